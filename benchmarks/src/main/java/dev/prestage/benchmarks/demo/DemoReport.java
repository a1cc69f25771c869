package dev.prestage.benchmarks.demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

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
      long bytesVerified) {}

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

  /// The rows as a table.
  public String table() {
    List<String> lines = new ArrayList<>();
    lines.add(
        "| role | mode | reads | waited | stall s | run s | fetched MiB | useful MiB | unused MiB | verified MiB |");
    lines.add("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (Row row : rows) {
      lines.add(
          "| %s | %s | %d | %d | %.2f | %.2f | %.1f | %.1f | %.1f | %.1f |"
              .formatted(
                  row.role(),
                  row.mode(),
                  row.demandReads(),
                  row.demandWaits(),
                  row.stallSeconds(),
                  row.runSeconds(),
                  mebibytes(row.bytesFetched()),
                  mebibytes(row.usefulBytes()),
                  mebibytes(row.unusedBytes()),
                  mebibytes(row.bytesVerified())));
    }
    return String.join("\n", lines);
  }

  private static double mebibytes(long bytes) {
    return bytes / (double) (1 << 20);
  }
}
