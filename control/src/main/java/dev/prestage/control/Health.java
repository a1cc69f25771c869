package dev.prestage.control;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// What is wrong on this host at present, and how staging went. Any thread may tell and ask.
final class Health {
  /// A trouble that is not said again within this time is taken as over: parts repeat theirs while
  /// it lasts.
  private static final Duration REMEMBERED = Duration.ofMinutes(5);

  private final Clock clock;
  private final Notices notices;
  private final Map<String, Trouble> troubles = new ConcurrentHashMap<>();
  private final AtomicLong leadNanos = new AtomicLong();

  private record Trouble(String text, long timeNanos) {}

  Health(Clock clock, Notices notices) {
    this.clock = clock;
    this.notices = notices;
  }

  /// Something does not work. Listeners hear of it when it begins or changes.
  ///
  /// @param kind one word that stays the same for the same trouble
  void trouble(String kind, String text) {
    long now = clock.nanos();
    Trouble before = troubles.put(kind, new Trouble(text, now));
    if (before == null || !before.text().equals(text)) {
      notices.publish(new Notice.Degraded(now, kind, text));
    }
  }

  /// A trouble is over for certain, and need not be remembered.
  void over(String kind) {
    troubles.remove(kind);
  }

  /// The troubles of the last minutes, by kind.
  Map<String, String> troubles() {
    long oldest = clock.nanos() - REMEMBERED.toNanos();
    troubles.values().removeIf(trouble -> trouble.timeNanos() < oldest);
    Map<String, String> all = new TreeMap<>();
    troubles.forEach((kind, trouble) -> all.put(kind, trouble.text()));
    return all;
  }

  void ended(Lease lease, long units, Outcome how, long leadNanosEach) {
    if (how == Outcome.USEFUL) {
      leadNanos.addAndGet(leadNanosEach * Long.bitCount(units));
    }
  }

  /// How long useful extents waited for their demand, summed over extents, in seconds.
  double leadSeconds() {
    return leadNanos.get() / 1e9;
  }
}
