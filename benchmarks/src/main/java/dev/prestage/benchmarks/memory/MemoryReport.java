package dev.prestage.benchmarks.memory;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.MarkdownTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// What the modes reached.
public record MemoryReport(List<Row> rows) {
  private static final double MOST_FAULTS = 0.03;
  private static final double MOST_STALL = 0.6;

  public MemoryReport {
    rows = List.copyOf(rows);
  }

  /// One mode; medians over its runs.
  ///
  /// @param waitMillis from the restore until the guest was resumed
  /// @param stallMillis how long the guest's reads took
  /// @param faults reads that waited for a page
  /// @param staged pages that were filled in before
  public record Row(String mode, double waitMillis, double stallMillis, long faults, long staged) {}

  /// One mode's row.
  public Row row(String mode) {
    return rows.stream().filter(row -> row.mode().equals(mode)).findFirst().orElseThrow();
  }

  /// What the gate holds.
  public List<Check> checks() {
    Row onDemand = row(MemoryDemo.ON_DEMAND);
    return List.of(
        Check.atMost(
            "resumed when available: faults as a share of those on demand",
            (double) row(MemoryDemo.WHEN_AVAILABLE).faults() / onDemand.faults(),
            MOST_FAULTS),
        Check.atMost(
            "resumed at once: stall as a share of that on demand",
            row(MemoryDemo.AT_ONCE).stallMillis() / onDemand.stallMillis(),
            MOST_STALL));
  }

  /// For people.
  public String table() {
    List<List<String>> cells = new ArrayList<>();
    cells.add(List.of("mode", "resumed after ms", "stall ms", "faults", "pages ahead"));
    for (Row row : rows) {
      cells.add(
          List.of(
              row.mode(),
              String.format(Locale.ROOT, "%.0f", row.waitMillis()),
              String.format(Locale.ROOT, "%.0f", row.stallMillis()),
              Long.toString(row.faults()),
              Long.toString(row.staged())));
    }
    return MarkdownTable.of(cells, 1);
  }

  /// Writes the rows to a file.
  public void write(Path file) throws IOException {
    ObjectMapper json = new ObjectMapper();
    ArrayNode all = json.createArrayNode();
    for (Row row : rows) {
      ObjectNode object = all.addObject();
      object.put("mode", row.mode());
      object.put("waitMillis", row.waitMillis());
      object.put("stallMillis", row.stallMillis());
      object.put("faults", row.faults());
      object.put("staged", row.staged());
    }
    Files.writeString(file, json.writerWithDefaultPrettyPrinter().writeValueAsString(all) + "\n");
  }
}
