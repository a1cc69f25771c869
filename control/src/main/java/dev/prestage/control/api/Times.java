package dev.prestage.control.api;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Moments in requests: a date, `2026-11-22T10:00:00Z`, or how long ago, `90s`, `15m`, `2h`, `7d`,
/// `PT1H30M`.
final class Times {
  private static final Pattern AGO = Pattern.compile("(\\d{1,9})(ms|s|m|h|d)");

  private Times() {}

  /// Nanoseconds since the epoch.
  static long nanos(String name, String text, long nowNanos) throws Problem.Thrown {
    try {
      Matcher ago = AGO.matcher(text);
      if (ago.matches()) {
        long count = Long.parseLong(ago.group(1));
        Duration duration =
            switch (ago.group(2)) {
              case "ms" -> Duration.ofMillis(count);
              case "s" -> Duration.ofSeconds(count);
              case "m" -> Duration.ofMinutes(count);
              case "h" -> Duration.ofHours(count);
              default -> Duration.ofDays(count);
            };
        return Math.subtractExact(nowNanos, duration.toNanos());
      }
      if (text.startsWith("P") || text.startsWith("p")) {
        return Math.subtractExact(nowNanos, Duration.parse(text).toNanos());
      }
      // A '+' that stands in a query as it is means a space there.
      Instant instant = OffsetDateTime.parse(text.replace(' ', '+')).toInstant();
      return Math.addExact(
          Math.multiplyExact(instant.getEpochSecond(), 1_000_000_000L), instant.getNano());
    } catch (DateTimeException | ArithmeticException _) {
      throw new Problem.Thrown(
          Problem.invalid(
              "'"
                  + name
                  + "' is not a time; send a date such as 2026-11-22T10:00:00Z or how long ago, such"
                  + " as 90s, 15m, 2h, 7d"));
    }
  }
}
