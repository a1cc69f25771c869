package dev.prestage.engine.time;

/// Time for decisions and for stamps: nanoseconds since the epoch that never step back.
///
/// On a host it is a monotonic source tied once to the wall clock, so that differences are
/// durations and values are dates. A long of nanoseconds lasts until the year 2262.
@FunctionalInterface
public interface Clock {
  /// Nanoseconds since 1970-01-01T00:00:00Z.
  long nanos();
}
