package dev.prestage.control.aggregate;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What is touched most, and how: how often, how long, how much of it waited.
///
/// Hours are counted apart ([Usage]) and added up, those that were counted before and those whose
/// rows are looked at here. Bursts are those of one VM: what several VMs do at the same time is
/// several bursts.
public final class TopAccesses implements AccessHistory.Visitor {
  /// Two histograms of at most 0.6 KB each: 24 MB.
  static final int KEYS = 1 << 14;

  private static final AccessHistory.Selection ALL =
      new AccessHistory.Selection(null, null, null, Long.MIN_VALUE, Long.MAX_VALUE);

  private final Command.By by;
  private final long burstGapNanos;
  private final int keys;
  private final FrequentKeys<Key, Uses> uses;
  private @Nullable Usage hour;
  private boolean exact = true;
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

  /// @param by what is counted
  /// @param burstGapNanos how long a pause within one burst may be
  public TopAccesses(Command.By by, long burstGapNanos) {
    this(by, burstGapNanos, KEYS);
  }

  TopAccesses(Command.By by, long burstGapNanos, int keys) {
    this.by = by;
    this.burstGapNanos = burstGapNanos;
    this.keys = keys;
    this.uses = new FrequentKeys<>(keys, Uses::new);
  }

  @Override
  public boolean visit(AccessHistory.Row row) {
    long start = Usage.hourOf(row.timeNanos());
    Usage current = hour;
    if (current == null || current.startNanos() != start) {
      close();
      current = new Usage(start, burstGapNanos, keys);
      hour = current;
    }
    current.add(row);
    return true;
  }

  /// Adds an hour that was counted before, or what of it is selected.
  public void add(Usage usage, AccessHistory.Selection selection) {
    for (Usage.Part part : usage.parts()) {
      if (part.owner.matches(selection)) {
        touches += part.uses.touches;
        if (by != Command.By.RESOURCE) {
          uses.add(key(part.owner), part.uses.touches, 0).add(part.uses);
        }
      }
    }
    if (by == Command.By.RESOURCE) {
      exact &= usage.exact();
      for (var unit : usage.units()) {
        Usage.Owner owner = unit.key().part().owner;
        if (owner.matches(selection)) {
          uses.add(
                  new OfUnit(Unit.of(owner, unit.key().index())),
                  unit.seen(),
                  unit.missedUpTo() - usage.missedUpTo())
              .add(unit.value());
        }
      }
      uses.missed(usage.missedUpTo());
    }
  }

  private void close() {
    if (hour != null) {
      add(hour, ALL);
      hour = null;
    }
  }

  private Key key(Usage.Owner owner) {
    return switch (by) {
      case RESOURCE -> throw new IllegalStateException();
      case PROGRAM -> new Named(owner.tenant(), owner.program());
      case VM -> new Named(owner.tenant(), owner.vm());
      case TYPE -> new Named("", owner.type().text());
    };
  }

  /// What was found, the most touched first.
  public Reply.Top reply(int limit) {
    close();
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
                  use.gaps().quantile(0.5));
            })
            .toList();
    return new Reply.Top(by.text(), touches, exact && uses.exact(), rows);
  }
}
