package dev.prestage.cli.config;

import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Sizes, rates and durations as people write them: `8GiB`, `200MB/s`, `10ms`.
public final class Quantities {
  private static final Pattern FORM = Pattern.compile("([0-9]+(?:\\.[0-9]+)?) ?([A-Za-z]*)");

  private static final Map<String, Long> BYTES =
      Map.of(
          "", 1L,
          "b", 1L,
          "kb", 1_000L,
          "mb", 1_000_000L,
          "gb", 1_000_000_000L,
          "tb", 1_000_000_000_000L,
          "kib", 1L << 10,
          "mib", 1L << 20,
          "gib", 1L << 30,
          "tib", 1L << 40);

  private static final Map<String, Long> NANOS =
      Map.of(
          "ns", 1L,
          "us", 1_000L,
          "ms", 1_000_000L,
          "s", 1_000_000_000L,
          "m", 60_000_000_000L,
          "h", 3_600_000_000_000L,
          "d", 86_400_000_000_000L);

  private Quantities() {}

  /// Bytes: a number with B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of
  /// 1024).
  ///
  /// @throws IllegalArgumentException that names the accepted form
  public static long bytes(String text) {
    return quantity(text, BYTES, "a size such as 512MiB or 8GiB");
  }

  /// Bytes per second: as [#bytes] with `/s`.
  ///
  /// @throws IllegalArgumentException that names the accepted form
  public static long bytesPerSecond(String text) {
    String form = "a rate such as 200MB/s";
    if (!text.endsWith("/s")) {
      throw new IllegalArgumentException("'" + text + "' is not " + form);
    }
    return quantity(text.substring(0, text.length() - 2), BYTES, form);
  }

  /// A duration: a number with ns, us, ms, s, m, h or d.
  ///
  /// @throws IllegalArgumentException that names the accepted form
  public static Duration duration(String text) {
    return Duration.ofNanos(quantity(text, NANOS, "a duration such as 10ms, 30s or 2h"));
  }

  private static long quantity(String text, Map<String, Long> units, String form) {
    Matcher matcher = FORM.matcher(text.strip());
    if (matcher.matches()) {
      Long unit = units.get(matcher.group(2).toLowerCase(Locale.ROOT));
      if (unit != null) {
        double value = Double.parseDouble(matcher.group(1)) * unit;
        if (value <= Long.MAX_VALUE / 2.0) {
          return Math.round(value);
        }
      }
    }
    throw new IllegalArgumentException("'" + text + "' is not " + form);
  }
}
