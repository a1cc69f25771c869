package dev.prestage.benchmarks.demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// The demo's outcome, a row for each mode and role.
///
/// @param rows in the order in which they ran
public record DemoReport(List<Row> rows) {
  /// One boot.
  ///
  /// @param mode `none`, `readahead`, `replay`, `predicted` or `local`
  /// @param demandReads read requests of the guest
  /// @param demandWaits those that waited for the origin
  /// @param stallSeconds in which at least one read was outstanding
  /// @param runSeconds from the VM's start to its last read
  /// @param bytesFetched what came from the origin
  /// @param usefulBytes staged before the guest asked for it
  /// @param unusedBytes staged and not asked for
  /// @param demandBytes what the guest asked for
  /// @param bytesVerified read and compared with the image
  public record Row(
      String mode,
      String role,
      int demandReads,
      long demandWaits,
      double stallSeconds,
      double runSeconds,
      long bytesFetched,
      long usefulBytes,
      long unusedBytes,
      long demandBytes,
      long bytesVerified) {}

  /// The roles that ran, each once.
  List<String> roles() {
    return rows.stream().map(Row::role).distinct().toList();
  }

  /// The row of a mode and role.
  Row row(String mode, String role) {
    return rows.stream()
        .filter(row -> row.mode().equals(mode) && row.role().equals(role))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no row " + mode + " for " + role));
  }

  /// Writes the rows as JSON.
  public void write(Path file) throws IOException {
    new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(file.toFile(), this);
  }

  /// The rows as a table in Markdown, aligned for a terminal.
  public String table() {
    List<List<String>> cells = new ArrayList<>();
    cells.add(
        List.of(
            "role",
            "mode",
            "reads",
            "waited",
            "stall s",
            "run s",
            "fetched MiB",
            "useful MiB",
            "unused MiB",
            "verified MiB"));
    for (Row row : rows) {
      cells.add(
          List.of(
              row.role(),
              row.mode(),
              Integer.toString(row.demandReads()),
              Long.toString(row.demandWaits()),
              decimal("%.2f", row.stallSeconds()),
              decimal("%.2f", row.runSeconds()),
              decimal("%.1f", mebibytes(row.bytesFetched())),
              decimal("%.1f", mebibytes(row.usefulBytes())),
              decimal("%.1f", mebibytes(row.unusedBytes())),
              decimal("%.1f", mebibytes(row.bytesVerified()))));
    }
    return MarkdownTable.of(cells, 2);
  }

  private static String decimal(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  private static double mebibytes(long bytes) {
    return bytes / (double) (1 << 20);
  }
}
