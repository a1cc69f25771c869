package dev.prestage.control.api;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Moments in requests: a date, `2026-11-22T10:00:00Z`, or how long ago, `90s`, `15m`, `2h`, `7d`,
/// `PT1H30M`.
final class Times {
  private static final Pattern LENGTH = Pattern.compile("(\\d{1,9})(ms|s|m|h|d)");

  private Times() {}

  /// Nanoseconds since the epoch.
  static long nanos(String name, String text, long nowNanos) throws Problem.Thrown {
    try {
      Duration ago = duration(text);
      if (ago != null) {
        return Math.subtractExact(nowNanos, ago.toNanos());
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

  /// How long something is, above zero.
  static long lengthNanos(String name, String text) throws Problem.Thrown {
    try {
      Duration length = duration(text);
      if (length != null && length.toNanos() > 0) {
        return length.toNanos();
      }
    } catch (DateTimeException | ArithmeticException _) {
      // said below
    }
    throw new Problem.Thrown(
        Problem.invalid(
            "'" + name + "' is not a length of time; send one such as 500ms, 90s, 15m, 2h, 7d"));
  }

  private static @Nullable Duration duration(String text) {
    Matcher parts = LENGTH.matcher(text);
    if (parts.matches()) {
      long count = Long.parseLong(parts.group(1));
      return switch (parts.group(2)) {
        case "ms" -> Duration.ofMillis(count);
        case "s" -> Duration.ofSeconds(count);
        case "m" -> Duration.ofMinutes(count);
        case "h" -> Duration.ofHours(count);
        default -> Duration.ofDays(count);
      };
    }
    return text.startsWith("P") || text.startsWith("p") ? Duration.parse(text) : null;
  }
}
