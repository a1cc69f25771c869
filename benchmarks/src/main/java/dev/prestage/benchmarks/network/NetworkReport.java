package dev.prestage.benchmarks.network;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.benchmarks.demo.MarkdownTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// What the modes reached with the same requests.
///
/// @param roundTripMillis of the link
/// @param link what the link is
/// @param rows in the order in which they ran
public record NetworkReport(double roundTripMillis, String link, List<Row> rows) {
  public NetworkReport {
    rows = List.copyOf(rows);
  }

  /// One mode.
  ///
  /// @param mode `direct`, `pooled` or `predicted`
  /// @param needed how often a request needed a connection
  /// @param p50Millis from asking for a connection to the first answer on it, the median
  /// @param p95Millis the same, the 95th of 100
  /// @param opened connections that the upstreams saw
  /// @param used those of them on which something was said
  public record Row(
      String mode, int needed, double p50Millis, double p95Millis, long opened, long used) {
    /// @param nanos what each took
    static Row of(String mode, List<Long> nanos, long opened, long used) {
      return new Row(mode, nanos.size(), millis(nanos, 0.50), millis(nanos, 0.95), opened, used);
    }

    /// Connections that were opened for nothing.
    long wasted() {
      return opened - used;
    }

    /// Their share of all.
    double wastedShare() {
      return opened == 0 ? 0 : wasted() / (double) opened;
    }
  }

  /// The value below which a share of all lies.
  static double millis(List<Long> nanos, double share) {
    List<Long> sorted = nanos.stream().sorted().toList();
    int place = (int) Math.ceil(share * sorted.size()) - 1;
    return sorted.get(Math.max(0, place)) / 1e6;
  }

  /// The row of a mode.
  Row row(String mode) {
    return rows.stream()
        .filter(row -> row.mode().equals(mode))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no row " + mode));
  }

  /// Writes the rows as JSON.
  public void write(Path file) throws IOException {
    new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(file.toFile(), this);
  }

  /// What it was measured over and on, in two lines, and the table.
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT, "link: %.0f ms round trip, %s%n%n%s", roundTripMillis, link, table());
  }

  /// The rows as a table in Markdown.
  public String table() {
    List<List<String>> cells = new ArrayList<>();
    cells.add(List.of("mode", "needed", "p50 ms", "p95 ms", "opened", "used", "wasted"));
    for (Row row : rows) {
      cells.add(
          List.of(
              row.mode(),
              Integer.toString(row.needed()),
              decimal("%.1f", row.p50Millis()),
              decimal("%.1f", row.p95Millis()),
              Long.toString(row.opened()),
              Long.toString(row.used()),
              decimal("%.0f %%", 100 * row.wastedShare())));
    }
    return MarkdownTable.of(cells, 1);
  }

  private static String decimal(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
