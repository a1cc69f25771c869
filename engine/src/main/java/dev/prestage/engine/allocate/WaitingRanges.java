package dev.prestage.engine.allocate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Ranges that wait for capacity. Whose VM holds least has the next turn, and each VM's own go in
/// the order of due times; so neither what one VM holds nor how much it waits for keeps another one
/// from its turn.
final class WaitingRanges {
  private static final Comparator<Queued> ORDER =
      Comparator.comparingLong((Queued queued) -> queued.wanted().dueNanos())
          .thenComparingLong(Queued::arrival);

  private final int most;
  private final Map<Holder, TreeSet<Queued>> byVm = new LinkedHashMap<>();
  private long arrivals;
  private int size;

  private record Queued(Wanted wanted, long arrival) {}

  /// @param most how many may wait
  WaitingRanges(int most) {
    this.most = most;
  }

  int size() {
    return size;
  }

  boolean isFull() {
    return size >= most;
  }

  void add(Wanted wanted) {
    byVm.computeIfAbsent(wanted.holder(), _ -> new TreeSet<>(ORDER))
        .add(new Queued(wanted, arrivals++));
    size++;
  }

  /// Makes room in a full queue: what is due last of the VM that has the most in it leaves, if that
  /// VM has more than the newcomer will have.
  ///
  /// @return what left, or null if the newcomer cannot have a place
  @Nullable Wanted displaceFor(Holder newcomer) {
    TreeSet<Queued> greediest = null;
    TreeSet<Queued> own = byVm.get(newcomer);
    int longest = own == null ? 1 : own.size() + 1;
    for (TreeSet<Queued> each : byVm.values()) {
      if (each.size() > longest) {
        longest = each.size();
        greediest = each;
      }
    }
    if (greediest == null) {
      return null;
    }
    size--;
    Queued last = greediest.last();
    greediest.remove(last); // it was not the only one
    return last.wanted();
  }

  /// The next one whose turn it is.
  ///
  /// @param mayHave leaves out VMs that may not have what is next of theirs
  /// @return null if there is none
  @Nullable Wanted next(Predicate<Wanted> mayHave) {
    Wanted next = null;
    for (TreeSet<Queued> each : byVm.values()) {
      Wanted first = each.first().wanted();
      if ((next == null || isBefore(first, next)) && mayHave.test(first)) {
        next = first;
      }
    }
    return next;
  }

  private static boolean isBefore(Wanted one, Wanted other) {
    int turn = one.holder().compareHeld(other.holder());
    return turn < 0 || (turn == 0 && one.dueNanos() < other.dueNanos());
  }

  /// Takes out what [#next] gave.
  void remove(Wanted next) {
    TreeSet<Queued> own = byVm.get(next.holder());
    if (own == null || !own.first().wanted().equals(next)) {
      throw new IllegalStateException(next + " is not the next one of its VM");
    }
    own.pollFirst();
    size--;
    if (own.isEmpty()) {
      byVm.remove(next.holder());
    }
  }

  /// Takes out all that were due before a time.
  List<Wanted> removeDueBefore(long nanos) {
    return removeAll(wanted -> wanted.dueNanos() < nanos, true);
  }

  /// Takes out all of which something holds.
  List<Wanted> removeIf(Predicate<Wanted> isGone) {
    return removeAll(isGone, false);
  }

  /// @param byDueTime whether it holds of none that is due later than one of which it does not
  private List<Wanted> removeAll(Predicate<Wanted> isGone, boolean byDueTime) {
    List<Wanted> gone = new ArrayList<>();
    for (Iterator<TreeSet<Queued>> all = byVm.values().iterator(); all.hasNext(); ) {
      TreeSet<Queued> own = all.next();
      for (Iterator<Queued> each = own.iterator(); each.hasNext(); ) {
        Wanted wanted = each.next().wanted();
        if (isGone.test(wanted)) {
          each.remove();
          gone.add(wanted);
        } else if (byDueTime) {
          break;
        }
      }
      if (own.isEmpty()) {
        all.remove();
      }
    }
    size -= gone.size();
    return gone;
  }
}
