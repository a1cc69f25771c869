package dev.prestage.simulator.report;

import dev.prestage.simulator.trace.Trace;
import java.util.Locale;

/// The size of a cache as a share of the distinct pages of a trace.
///
/// @param percent more than 0; infinite if the cache holds everything
public record CacheSize(double percent) {
  /// It holds everything.
  public static final CacheSize UNLIMITED = new CacheSize(Double.POSITIVE_INFINITY);

  public CacheSize {
    if (!(percent > 0)) {
      throw new IllegalArgumentException("a cache of " + percent + " % holds nothing");
    }
  }

  /// The size that a text names: `5%`, `0.5` or `unlimited`.
  ///
  /// @throws IllegalArgumentException if it names none
  public static CacheSize of(String text) {
    if (text.equals("unlimited")) {
      return UNLIMITED;
    }
    try {
      return new CacheSize(
          Double.parseDouble(text.endsWith("%") ? text.substring(0, text.length() - 1) : text));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "'" + text + "' is not a cache size, such as 5% of the distinct pages, or unlimited", e);
    }
  }

  /// So many times this size.
  public CacheSize times(double factor) {
    return new CacheSize(percent * factor);
  }

  /// In pages, rounded down, at least one.
  public int pages(Trace trace) {
    double pages = Math.floor(trace.distinctPages() * percent / 100);
    return (int) Math.clamp(pages, 1, Integer.MAX_VALUE - 8);
  }

  @Override
  public String toString() {
    return Double.isInfinite(percent)
        ? "unlimited"
        : String.format(Locale.ROOT, percent == Math.rint(percent) ? "%.0f%%" : "%s%%", percent);
  }
}
