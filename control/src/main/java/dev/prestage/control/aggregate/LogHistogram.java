package dev.prestage.control.aggregate;

/// Durations counted by size, for quantiles to within an eighth: each power of two is divided into
/// four equal parts, and a quantile is the middle of its part.
///
/// Below 1 µs everything is one part, above 2^44 ns (about five hours) another. The array covers
/// what was seen only, so a key that was touched a few times takes little.
final class LogHistogram {
  private static final int FIRST_EXPONENT = 10;
  private static final int LAST_EXPONENT = 44;
  private static final int LAST = (LAST_EXPONENT - FIRST_EXPONENT) * 4 + 1;

  private long[] counts = {};
  private int first;
  private long total;
  private long least = Long.MAX_VALUE;
  private long most = Long.MIN_VALUE;

  void add(long nanos) {
    int part = part(nanos);
    cover(part, part);
    counts[part - first]++;
    total++;
    least = Math.min(least, nanos);
    most = Math.max(most, nanos);
  }

  private void cover(int from, int to) {
    if (counts.length == 0) {
      counts = new long[to - from + 1];
      first = from;
    } else if (from < first || to >= first + counts.length) {
      int begin = Math.min(first, from);
      int end = Math.max(first + counts.length, to + 1);
      long[] wider = new long[end - begin];
      System.arraycopy(counts, 0, wider, first - begin, counts.length);
      counts = wider;
      first = begin;
    }
  }

  /// Adds all that another one counted.
  void add(LogHistogram other) {
    if (other.total > 0) {
      cover(other.first, other.first + other.counts.length - 1);
      for (int i = 0; i < other.counts.length; i++) {
        counts[other.first + i - first] += other.counts[i];
      }
      total += other.total;
      least = Math.min(least, other.least);
      most = Math.max(most, other.most);
    }
  }

  void write(Packed.Writer out) {
    out.number(counts.length);
    if (counts.length > 0) {
      out.number(first);
      for (long count : counts) {
        out.number(count);
      }
      out.number(least);
      out.number(most - least);
    }
  }

  static LogHistogram read(Packed.Reader in) {
    var histogram = new LogHistogram();
    int length = in.count();
    if (length > 0) {
      long first = in.positive();
      if (first > LAST || length > LAST + 1 - first) {
        throw new IllegalArgumentException("a duration that nothing takes");
      }
      histogram.first = (int) first;
      histogram.counts = new long[length];
      for (int i = 0; i < length; i++) {
        histogram.counts[i] = in.positive();
        histogram.total += histogram.counts[i];
      }
      histogram.least = in.number();
      histogram.most = Math.addExact(histogram.least, in.positive());
    }
    return histogram;
  }

  /// The value that this share of all values does not exceed; 0 if there is none.
  long quantile(double share) {
    long rank = (long) Math.ceil(share * total);
    long below = 0;
    for (int i = 0; i < counts.length; i++) {
      below += counts[i];
      if (below >= rank && counts[i] > 0) {
        // No answer lies outside of what was seen.
        return Math.clamp(middle(first + i), least, most);
      }
    }
    return 0;
  }

  private static int part(long nanos) {
    if (nanos < 1L << FIRST_EXPONENT) {
      return 0;
    }
    int exponent = 63 - Long.numberOfLeadingZeros(nanos);
    if (exponent >= LAST_EXPONENT) {
      return LAST;
    }
    int quarter = (int) (nanos >>> (exponent - 2)) & 3;
    return 1 + (exponent - FIRST_EXPONENT) * 4 + quarter;
  }

  private static long middle(int part) {
    if (part == 0) {
      return 1L << (FIRST_EXPONENT - 1);
    }
    int exponent = FIRST_EXPONENT + (part - 1) / 4;
    long quarter = 1L << (exponent - 2);
    return (4 + (part - 1) % 4) * quarter + quarter / 2;
  }
}
