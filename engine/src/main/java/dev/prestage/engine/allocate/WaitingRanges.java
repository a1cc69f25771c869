package dev.prestage.engine.allocate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Ranges that wait for capacity. Whose VM holds least has the next turn, and each VM's own go in
/// the order of due times; so neither what one VM holds nor how much it waits for keeps another one
/// from its turn.
final class WaitingRanges {
  private final int most;
  private final Map<Holder, TreeMap<Place, Wanted>> byVm = new LinkedHashMap<>();
  private long arrivals;
  private int size;

  /// A place in the order of one VM.
  private record Place(long dueNanos, long arrival) implements Comparable<Place> {
    private static final Comparator<Place> ORDER =
        Comparator.comparingLong(Place::dueNanos).thenComparingLong(Place::arrival);

    @Override
    public int compareTo(Place other) {
      return ORDER.compare(this, other);
    }
  }

  /// @param most how many may wait
  WaitingRanges(int most) {
    this.most = most;
  }

  int size() {
    return size;
  }

  boolean isEmpty() {
    return size == 0;
  }

  boolean isFull() {
    return size >= most;
  }

  /// The rest of a range that was granted in part may come back to a queue that is full since.
  void add(Wanted wanted) {
    byVm.computeIfAbsent(wanted.holder(), _ -> new TreeMap<>())
        .put(new Place(wanted.dueNanos(), arrivals++), wanted);
    size++;
  }

  /// Makes room in a full queue: what is due last of the VM that has the most in it leaves, if that
  /// VM has more than the newcomer will have.
  ///
  /// @return what left, or null if the newcomer cannot have a place
  @Nullable Wanted displaceFor(Holder newcomer) {
    Holder greediest = null;
    int longest = waiting(newcomer) + 1;
    for (Map.Entry<Holder, TreeMap<Place, Wanted>> each : byVm.entrySet()) {
      if (each.getValue().size() > longest) {
        longest = each.getValue().size();
        greediest = each.getKey();
      }
    }
    return greediest == null ? null : remove(greediest, byVm.get(greediest).lastKey());
  }

  private int waiting(Holder holder) {
    TreeMap<Place, Wanted> own = byVm.get(holder);
    return own == null ? 0 : own.size();
  }

  /// The next one whose turn it is.
  ///
  /// @param mayHave leaves out VMs that may not have what is next of theirs
  /// @return null if there is none
  @Nullable Wanted next(Predicate<Wanted> mayHave) {
    Wanted next = null;
    for (TreeMap<Place, Wanted> own : byVm.values()) {
      Wanted first = own.firstEntry().getValue();
      if ((next == null || isBefore(first, next)) && mayHave.test(first)) {
        next = first;
      }
    }
    return next;
  }

  private static boolean isBefore(Wanted one, Wanted other) {
    int turn = one.holder().compareHeld(other.holder());
    return turn < 0 || turn == 0 && one.dueNanos() < other.dueNanos();
  }

  /// Takes out what [#next] gave.
  void remove(Wanted next) {
    remove(next.holder(), byVm.get(next.holder()).firstKey());
  }

  private Wanted remove(Holder holder, Place place) {
    TreeMap<Place, Wanted> own = byVm.get(holder);
    Wanted wanted = own.remove(place);
    if (own.isEmpty()) {
      byVm.remove(holder);
    }
    size--;
    return wanted;
  }

  /// Takes out all that were due before a time.
  List<Wanted> removeDueBefore(long nanos) {
    List<Wanted> old = new ArrayList<>();
    for (Holder holder : List.copyOf(byVm.keySet())) {
      TreeMap<Place, Wanted> own = byVm.get(holder);
      while (!own.isEmpty() && own.firstKey().dueNanos() < nanos) {
        old.add(remove(holder, own.firstKey()));
      }
    }
    return old;
  }

  /// Takes out all of which something holds.
  List<Wanted> removeIf(Predicate<Wanted> isGone) {
    List<Wanted> gone = new ArrayList<>();
    for (Holder holder : List.copyOf(byVm.keySet())) {
      TreeMap<Place, Wanted> own = byVm.get(holder);
      for (Map.Entry<Place, Wanted> each : List.copyOf(own.entrySet())) {
        if (isGone.test(each.getValue())) {
          gone.add(remove(holder, each.getKey()));
        }
      }
    }
    return gone;
  }
}
