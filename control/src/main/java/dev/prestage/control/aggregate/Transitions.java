package dev.prestage.control.aggregate;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import java.util.Comparator;
import java.util.List;
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
      Comparator.comparing(Pair::from).thenComparing(Pair::to);

  private final FrequentKeys<Pair, LogHistogram> pairs;
  private final FrequentKeys<Unit, Boolean> left;
  private final Recent<RunOfVm, Last> runs = new Recent<>(Recent.RUNS, Last::new, _ -> {});
  private long transitions;
  private long outsideRuns;

  private record Pair(Unit from, Unit to) {
    @Override
    public int hashCode() { // as in Unit
      return from.hashCode() * 31 + to.hashCode();
    }
  }

  private static final class Last {
    @Nullable Unit unit;
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
    Unit unit = Unit.of(row);
    Unit before = last.unit;
    if (before != null && !before.equals(unit)) {
      transitions++;
      left.add(before);
      pairs.add(new Pair(before, unit)).add(row.timeNanos() - last.timeNanos);
    }
    last.unit = unit;
    last.timeNanos = row.timeNanos();
    return true;
  }

  /// What was found, the most frequent first.
  public Reply.Transitions reply(int limit) {
    List<Reply.Transition> found =
        pairs.top(limit, BY_UNIT).stream()
            .map(counted -> {
              Pair pair = counted.key();
              return new Reply.Transition(
                  pair.from().space().tenant(),
                  pair.from().text(),
                  pair.to().text(),
                  counted.seen(),
                  counted.missedUpTo(),
                  (double) counted.seen() / left.most(pair.from()),
                  counted.value().quantile(0.5));
            })
            .toList();
    return new Reply.Transitions(transitions, outsideRuns, pairs.exact() && left.exact(), found);
  }
}
