package dev.prestage.control.aggregate;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import java.util.Comparator;
import java.util.List;

/// What is touched most, and how: how often, how long, how much of it waited.
///
/// A burst is a series of touches with no pause longer than the burst gap between two; the time in
/// use is the sum of the bursts, each from its first to its last touch.
public final class TopAccesses implements AccessHistory.Visitor {
  /// Two histograms of at most 0.6 KB each: 24 MB.
  static final int KEYS = 1 << 14;

  private final Command.By by;
  private final long burstGapNanos;
  private final SpaceSaving<Key, Uses> uses;
  private long touches;

  private static final Comparator<Key> BY_NAME =
      (one, other) ->
          one instanceof OfUnit(Unit unit) && other instanceof OfUnit(Unit another)
              ? unit.compareTo(another)
              : Comparator.comparing(Key::tenant).thenComparing(Key::name).compare(one, other);

  /// What uses are counted of.
  private sealed interface Key {
    /// Whose it is, or empty where the name needs none.
    String tenant();

    String name();
  }

  private record Named(String tenant, String name) implements Key {}

  /// Its name is made for those that are shown only.
  private record OfUnit(Unit unit) implements Key {
    @Override
    public String tenant() {
      return unit.space().tenant();
    }

    @Override
    public String name() {
      return unit.text();
    }
  }

  private static final class Uses {
    final LogHistogram latency = new LogHistogram();
    final LogHistogram gaps = new LogHistogram();
    long waited;
    long bursts;
    long firstNanos;
    long lastNanos;
    long inUseNanos;
  }

  /// @param by what is counted
  /// @param burstGapNanos how long a pause within one burst may be
  public TopAccesses(Command.By by, long burstGapNanos) {
    this(by, burstGapNanos, KEYS);
  }

  TopAccesses(Command.By by, long burstGapNanos, int keys) {
    this.by = by;
    this.burstGapNanos = burstGapNanos;
    this.uses = new SpaceSaving<>(keys, Uses::new);
  }

  @Override
  public boolean visit(AccessHistory.Row row) {
    if (!Touches.isTouch(row)) {
      return true;
    }
    touches++;
    Uses use = uses.add(key(row));
    if (use.bursts == 0) {
      use.firstNanos = row.timeNanos();
      use.bursts = 1;
    } else {
      long gap = row.timeNanos() - use.lastNanos;
      use.gaps.add(gap);
      if (gap > burstGapNanos) {
        use.bursts++;
      } else {
        use.inUseNanos += gap;
      }
    }
    use.lastNanos = row.timeNanos();
    use.waited += row.waited() ? 1 : 0;
    use.latency.add(row.latencyNanos());
    return true;
  }

  private Key key(AccessHistory.Row row) {
    return switch (by) {
      case RESOURCE -> new OfUnit(Unit.of(row));
      case PROGRAM -> new Named(row.tenant(), row.program());
      case VM -> new Named(row.tenant(), row.vm());
      case TYPE -> new Named("", row.type().text());
    };
  }

  /// What was found, the most touched first.
  public Reply.Top reply(int limit) {
    List<Reply.TopRow> rows =
        uses.top(limit, BY_NAME).stream()
            .map(counted -> {
              Uses use = counted.value();
              return new Reply.TopRow(
                  counted.key().tenant(),
                  counted.key().name(),
                  counted.seen(),
                  counted.missedUpTo(),
                  use.waited,
                  (double) use.waited / counted.seen(),
                  use.latency.quantile(0.5),
                  use.latency.quantile(0.9),
                  use.latency.quantile(0.99),
                  use.firstNanos,
                  use.lastNanos,
                  use.bursts,
                  use.inUseNanos,
                  use.gaps.quantile(0.5));
            })
            .toList();
    return new Reply.Top(by.text(), touches, uses.exact(), rows);
  }
}
