package dev.prestage.control.aggregate;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Which unit is touched after which, within a run of a VM.
///
/// Rows come in the order of time, and the last unit of each run is remembered: that gives the same
/// pairs as sorting by run. Touches of one unit one after the other are one. When there are more
/// pairs than places, counts and probabilities are lower bounds.
public final class Transitions implements AccessHistory.Visitor {
  /// About 1 KB a pair at most: 32 MB.
  static final int PAIRS = 1 << 15;

  private static final Comparator<Pair> BY_UNIT =
      Comparator.comparing((Pair pair) -> pair.from().unit())
          .thenComparing(pair -> pair.to().unit());

  private final FrequentKeys<Pair, LogHistogram> pairs;
  private final FrequentKeys<Place, Boolean> left;
  private final Recent<RunOfVm, Last> runs = new Recent<>(Recent.RUNS, Last::new, _ -> {});
  private final Map<Unit.Whole, Space> spaces = new HashMap<>();
  private long transitions;
  private long outsideRuns;

  /// A space, with a number in place of its names: comparing those takes most of the time.
  private record Space(Unit.Whole whole, int number) {}

  /// A unit of such a space.
  private record Place(Space space, long index) {
    @Override
    public int hashCode() {
      return Long.hashCode((index * 31 + space.number) * 0x9E37_79B9_7F4A_7C15L);
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Place(Space another, long at)
          && at == index
          && another.number == space.number;
    }

    Unit unit() {
      return new Unit(space.whole, index);
    }
  }

  private record Pair(Place from, Place to) {
    @Override
    public int hashCode() {
      return from.hashCode() * 31 + to.hashCode();
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Pair(Place a, Place b) && a.equals(from) && b.equals(to);
    }
  }

  private static final class Last {
    @Nullable Place place;
    long timeNanos;
  }

  /// Over no rows yet.
  public Transitions() {
    this(PAIRS);
  }

  Transitions(int places) {
    this.pairs = new FrequentKeys<>(places, LogHistogram::new);
    this.left = FrequentKeys.ofKeys(places);
  }

  @Override
  public boolean visit(AccessHistory.Row row) {
    if (!Touches.isTouch(row)) {
      return true;
    }
    if (row.run() == Access.NO_RUN) {
      outsideRuns++;
      return true;
    }
    Last last = runs.of(RunOfVm.of(row));
    Place before = last.place;
    Place place = new Place(space(before, row), row.resource());
    if (before != null && !before.equals(place)) {
      transitions++;
      left.add(before);
      pairs.add(new Pair(before, place)).add(row.timeNanos() - last.timeNanos);
    }
    last.place = place;
    last.timeNanos = row.timeNanos();
    return true;
  }

  private Space space(@Nullable Place before, AccessHistory.Row row) {
    if (before != null) {
      Unit.Whole whole = before.space.whole;
      if (whole.name().equals(row.space())
          && whole.type() == row.type()
          && whole.tenant().equals(row.tenant())) {
        return before.space;
      }
    }
    return spaces.computeIfAbsent(Unit.Whole.of(row), whole -> new Space(whole, spaces.size()));
  }

  /// What was found, the most frequent first.
  public Reply.Transitions reply(int limit) {
    List<Reply.Transition> found =
        pairs.top(limit, BY_UNIT).stream()
            .map(counted -> {
              Pair pair = counted.key();
              return new Reply.Transition(
                  pair.from().space().whole().tenant(),
                  pair.from().unit().text(),
                  pair.to().unit().text(),
                  counted.seen(),
                  counted.missedUpTo(),
                  (double) counted.seen() / left.most(pair.from()),
                  counted.value().quantile(0.5));
            })
            .toList();
    return new Reply.Transitions(transitions, outsideRuns, pairs.exact() && left.exact(), found);
  }
}
