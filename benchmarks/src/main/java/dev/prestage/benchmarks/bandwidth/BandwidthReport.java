package dev.prestage.benchmarks.bandwidth;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.benchmarks.demo.MarkdownTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// What a burst got in each mode.
///
/// @param linkBytes what the link moves, in bytes per second
/// @param burstBytes what the burst asks for, in bytes per second
/// @param others how many greedy VMs there are beside it
/// @param rows in the order in which they ran
public record BandwidthReport(long linkBytes, long burstBytes, int others, List<Row> rows) {
  private static final double MEGA = 1e6;

  public BandwidthReport {
    rows = List.copyOf(rows);
  }

  /// One mode.
  ///
  /// @param mode `fair share`, `reactive` or `predicted`
  /// @param firstSecondBytes what the burst got in its first second
  /// @param burstBytes what it got in all of its time, per second
  /// @param linkShare what all guests together got of the link meanwhile
  /// @param reservedBytes what was reserved for it before it began, in bytes per second
  /// @param reservedThenBytes the same after its first second and a half
  /// @param unusedBytes what of that waited for demand still
  public record Row(
      String mode,
      long firstSecondBytes,
      long burstBytes,
      double linkShare,
      long reservedBytes,
      long reservedThenBytes,
      long unusedBytes) {}

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

  private static String mega(long bytes) {
    return String.format(Locale.ROOT, "%.1f", bytes / MEGA);
  }

  /// What it was measured on, in a line, and the rows as a table in Markdown.
  public String table() {
    List<List<String>> cells = new ArrayList<>();
    cells.add(
        List.of(
            "mode",
            "first second MB/s",
            "burst MB/s",
            "link use",
            "reserved before",
            "reserved in it",
            "unused"));
    for (Row row : rows) {
      cells.add(
          List.of(
              row.mode(),
              mega(row.firstSecondBytes()),
              mega(row.burstBytes()),
              String.format(Locale.ROOT, "%.1f %%", 100 * row.linkShare()),
              mega(row.reservedBytes()),
              mega(row.reservedThenBytes()),
              mega(row.unusedBytes())));
    }
    return String.format(
        Locale.ROOT,
        "link: %s MB/s, filled by %d greedy VMs; one more bursts to %s MB/s%n%n%s",
        mega(linkBytes),
        others,
        mega(burstBytes),
        MarkdownTable.of(cells, 1));
  }
}
