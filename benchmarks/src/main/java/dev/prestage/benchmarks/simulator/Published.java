package dev.prestage.benchmarks.simulator;

import dev.prestage.simulator.report.CacheSize;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// What another implementation measured for one policy on one trace, in open loop.
///
/// @param uselessPerDemandPage NaN where none was published
/// @param tolerance how far the ratios may be from it
record Published(
    String trace,
    String policy,
    CacheSize cache,
    int lead,
    double missRatio,
    double uselessPerDemandPage,
    double tolerance) {
  /// Useless pages were published with two digits, cut off.
  static final double CUT = 0.01;

  /// Whether useless pages were published too.
  boolean hasUseless() {
    return !Double.isNaN(uselessPerDemandPage);
  }

  /// All of them.
  static List<Published> all() throws IOException {
    InputStream in = Published.class.getResourceAsStream("published.csv");
    if (in == null) {
      throw new IOException("published.csv is missing from this build");
    }
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      return lines
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(line -> of(line.split(",", -1)))
          .toList();
    }
  }

  private static Published of(String[] cells) {
    return new Published(
        cells[0],
        cells[1],
        CacheSize.of(cells[2]),
        Integer.parseInt(cells[3]),
        Double.parseDouble(cells[4]),
        orNone(cells[5]),
        Double.parseDouble(cells[6]));
  }

  private static double orNone(String cell) {
    return cell.isEmpty() ? Double.NaN : Double.parseDouble(cell);
  }
}
