package dev.prestage.control.aggregate;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Resource;
import java.util.ArrayList;
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

  private static final Comparator<Pair> ORDER =
      Comparator.<Pair>comparingLong(pair -> pair.counted().seen())
          .reversed()
          .thenComparing(Pair::from)
          .thenComparing(Pair::to);

  /// From one unit to another, each as a [Resource] of the space's number here.
  private final FrequentPairs pairs;

  /// How long it took from one to the other, at each pair's place: of a pair that was seen once,
  /// the time, and of others all times.
  private final long[] once;

  private final @Nullable LogHistogram[] durations;

  /// From one unit to any.
  private final FrequentPairs left;

  private final Recent<RunOfVm, Last> runs = new Recent<>(Recent.RUNS, Last::new, _ -> {});
  private final Map<Unit.Whole, Integer> numbers = new HashMap<>();
  private final List<Unit.Whole> spaces = new ArrayList<>();
  private long transitions;
  private long outsideRuns;

  /// A pair with names.
  private record Pair(FrequentPairs.Counted counted, Unit from, Unit to) {}

  private static final class Last {
    static final int NOWHERE = -1;

    int space = NOWHERE;
    long unit;
    long timeNanos;
  }

  /// Over no rows yet.
  public Transitions() {
    this(PAIRS);
  }

  Transitions(int places) {
    this.pairs = new FrequentPairs(places);
    this.once = new long[places];
    this.durations = new LogHistogram[places];
    this.left = new FrequentPairs(places);
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
    int space = space(last.space, row);
    long unit = Resource.of(space, row.resource());
    if (last.space != Last.NOWHERE && last.unit != unit) {
      transitions++;
      int _ = left.add(last.unit, 0);
      took(pairs.add(last.unit, unit), row.timeNanos() - last.timeNanos);
    }
    last.space = space;
    last.unit = unit;
    last.timeNanos = row.timeNanos();
    return true;
  }

  private void took(int place, long nanos) {
    if (place < 0) {
      once[~place] = nanos;
      durations[~place] = null;
      return;
    }
    LogHistogram all = durations[place];
    if (all == null) {
      all = new LogHistogram();
      all.add(once[place]);
      durations[place] = all;
    }
    all.add(nanos);
  }

  private long median(int place) {
    LogHistogram all = durations[place];
    return all == null ? once[place] : all.quantile(0.5);
  }

  /// The number of a row's space. Mostly it is that of the row before.
  private int space(int before, AccessHistory.Row row) {
    if (before != Last.NOWHERE) {
      Unit.Whole whole = spaces.get(before);
      if (whole.name().equals(row.space())
          && whole.type() == row.type()
          && whole.tenant().equals(row.tenant())) {
        return before;
      }
    }
    return numbers.computeIfAbsent(
        Unit.Whole.of(row),
        whole -> {
          spaces.add(whole);
          return spaces.size() - 1;
        });
  }

  private Pair named(FrequentPairs.Counted counted) {
    return new Pair(counted, named(counted.first()), named(counted.second()));
  }

  private Unit named(long unit) {
    return new Unit(spaces.get(Resource.space(unit)), Resource.index(unit));
  }

  /// What was found, the most frequent first.
  public Reply.Transitions reply(int limit) {
    List<Reply.Transition> found =
        pairs.all().stream()
            .map(this::named)
            .sorted(ORDER)
            .limit(limit)
            .map(pair -> {
              FrequentPairs.Counted counted = pair.counted();
              return new Reply.Transition(
                  pair.from().space().tenant(),
                  pair.from().text(),
                  pair.to().text(),
                  counted.seen(),
                  counted.missedUpTo(),
                  (double) counted.seen() / left.most(counted.first(), 0),
                  median(counted.place()));
            })
            .toList();
    return new Reply.Transitions(transitions, outsideRuns, pairs.exact() && left.exact(), found);
  }
}
