package dev.prestage.control.aggregate;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// In which order units are touched within a run of a VM: how many follow one another without a
/// gap, by which strides touches advance, and which three follow one another most often.
///
/// A stretch is a series of touches in one space each of which touches the next unit. Stretches and
/// strides are of one space: touches of other spaces between them do not count. Touches of one unit
/// one after the other are one.
public final class Sequences implements AccessHistory.Visitor {
  /// About 0.5 KB for three units: 16 MB.
  static final int NGRAMS = 1 << 15;

  static final int STRIDES = 1 << 13;

  private static final Comparator<Three> BY_UNIT =
      Comparator.comparing(Three::first).thenComparing(Three::second).thenComparing(Three::third);

  private final FrequentKeys<Three, Boolean> ngrams;
  private final FrequentKeys<Long, Boolean> strides;
  private final Recent<RunOfVm, LastTwo> runs = new Recent<>(Recent.RUNS, LastTwo::new, _ -> {});
  private final Recent<InSpace, Stretch> stretches =
      new Recent<>(Recent.RUNS, Stretch::new, this::end);
  private final long[] stretchesByPower = new long[Long.SIZE];
  private final long[] unitsByPower = new long[Long.SIZE];
  private long touches;
  private long steps;
  private long outsideRuns;

  private record Three(Unit first, Unit second, Unit third) {
    @Override
    public int hashCode() { // as in Unit
      return (first.hashCode() * 31 + second.hashCode()) * 31 + third.hashCode();
    }
  }

  private record InSpace(RunOfVm run, Unit.Whole space) {}

  private static final class LastTwo {
    @Nullable Unit last;
    @Nullable Unit beforeLast;
  }

  private static final class Stretch {
    long last;
    long length;
  }

  /// Over no rows yet.
  public Sequences() {
    this(NGRAMS, STRIDES);
  }

  Sequences(int ngrams, int strides) {
    this.ngrams = FrequentKeys.ofKeys(ngrams);
    this.strides = FrequentKeys.ofKeys(strides);
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
    touches++;
    RunOfVm run = RunOfVm.of(row);
    Unit unit = Unit.of(row);
    follow(runs.of(run), unit);
    stretch(stretches.of(new InSpace(run, unit.space())), unit.index());
    return true;
  }

  private void follow(LastTwo before, Unit unit) {
    Unit last = before.last;
    if (unit.equals(last)) {
      return;
    }
    Unit beforeLast = before.beforeLast;
    if (last != null && beforeLast != null) {
      ngrams.add(new Three(beforeLast, last, unit));
    }
    before.beforeLast = last;
    before.last = unit;
  }

  private void stretch(Stretch stretch, long index) {
    if (stretch.length > 0) {
      long stride = index - stretch.last;
      if (stride == 0) {
        return;
      }
      steps++;
      strides.add(stride);
      if (stride != 1) {
        end(stretch);
        stretch.length = 0;
      }
    }
    stretch.length++;
    stretch.last = index;
  }

  private void end(Stretch stretch) {
    if (stretch.length > 0) {
      int power = 63 - Long.numberOfLeadingZeros(stretch.length);
      stretchesByPower[power]++;
      unitsByPower[power] += stretch.length;
    }
  }

  /// What was found: stretches by length, strides and n-grams the most frequent first. To be called
  /// once, after the last row.
  ///
  /// @param limit strides and n-grams, each
  public Reply.Sequences reply(int limit) {
    stretches.values().forEach(this::end);
    List<Reply.Stretches> lengths = new ArrayList<>();
    for (int power = 0; power < Long.SIZE - 1; power++) {
      if (stretchesByPower[power] > 0) {
        lengths.add(
            new Reply.Stretches(
                1L << power,
                (1L << (power + 1)) - 1,
                stretchesByPower[power],
                unitsByPower[power]));
      }
    }
    return new Reply.Sequences(
        touches,
        outsideRuns,
        strides.exact() && ngrams.exact(),
        lengths,
        strides.top(limit, Comparator.naturalOrder()).stream()
            .map(counted ->
                new Reply.Stride(
                    counted.key(),
                    counted.seen(),
                    counted.missedUpTo(),
                    (double) counted.seen() / steps))
            .toList(),
        ngrams.top(limit, BY_UNIT).stream()
            .map(counted ->
                new Reply.Ngram(
                    counted.key().first().space().tenant(),
                    List.of(
                        counted.key().first().text(),
                        counted.key().second().text(),
                        counted.key().third().text()),
                    counted.seen(),
                    counted.missedUpTo()))
            .toList());
  }
}
