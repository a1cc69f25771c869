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
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/// What the modes reached.
public record MemoryReport(List<Row> rows) {
  /// What stands before the modes of a snapshot that is far.
  static final String FAR = "10 ms away: ";

  private static final int PAGE = 4096;

  /// REAP's mark, Ustiugov et al., ASPLOS 2021.
  private static final double MOST_FAULTS = 0.03;

  private static final double MOST_FAULTS_WITH_OTHERS = 0.2;
  private static final double MOST_STALL = 0.6;
  private static final double MOST_STALL_FAR = 0.2;
  private static final double MOST_CPU = 2;

  public MemoryReport {
    rows = List.copyOf(rows);
  }

  /// One mode; medians over its runs.
  ///
  /// @param waitMillis from the restore until the guest was resumed
  /// @param stallMillis how long the guest's reads took
  /// @param touched pages that the guest read
  /// @param faults of these, those that waited for a page
  /// @param staged pages that were filled in before
  /// @param unobserved of these, those whose lease ended so
  /// @param cpuNanos the processor time of whoever served the faults
  public record Row(
      String mode,
      double waitMillis,
      double stallMillis,
      long touched,
      long faults,
      long staged,
      long unobserved,
      long cpuNanos) {
    /// Staged pages that the guest read, as the guest knows: a page that it read and that did not
    /// fault was there.
    long useful() {
      return Math.min(staged, touched - faults);
    }

    long unused() {
      return staged - useful();
    }

    double cpuMicrosPerFault() {
      return cpuNanos / 1e3 / Math.max(1, faults);
    }

    Row far() {
      return new Row(
          FAR + mode, waitMillis, stallMillis, touched, faults, staged, unobserved, cpuNanos);
    }

    static Row median(List<Row> rows) {
      return new Row(
          rows.getFirst().mode,
          middle(rows, Row::waitMillis),
          middle(rows, Row::stallMillis),
          rows.getFirst().touched,
          middleOf(rows, Row::faults),
          middleOf(rows, Row::staged),
          middleOf(rows, Row::unobserved),
          middleOf(rows, Row::cpuNanos));
    }

    private static double middle(List<Row> rows, ToDoubleFunction<Row> value) {
      return rows.stream().mapToDouble(value).sorted().toArray()[rows.size() / 2];
    }

    private static long middleOf(List<Row> rows, ToLongFunction<Row> value) {
      return rows.stream().mapToLong(value).sorted().toArray()[rows.size() / 2];
    }
  }

  /// One mode's row.
  Row row(Mode mode) {
    return row(mode.label());
  }

  private Row row(String mode) {
    return rows.stream().filter(row -> row.mode().equals(mode)).findFirst().orElseThrow();
  }

  /// What the gate holds.
  public List<Check> checks() {
    Row onDemand = row(Mode.ON_DEMAND);
    double farStall = row(FAR + Mode.ON_DEMAND.label()).stallMillis();
    return List.of(
        Check.atMost(
            "resumed when available: faults as a share of those on demand",
            (double) row(Mode.WHEN_AVAILABLE).faults() / onDemand.faults(),
            MOST_FAULTS),
        Check.atMost(
            "the same with a tenth of the pages others",
            (double) row(Mode.OTHERS).faults() / onDemand.faults(),
            MOST_FAULTS_WITH_OTHERS),
        Check.atMost(
            "resumed at once: stall as a share of that on demand",
            row(Mode.AT_ONCE).stallMillis() / onDemand.stallMillis(),
            MOST_STALL),
        Check.atMost(
            "10 ms away, resumed at once: stall as a share of that on demand",
            row(FAR + Mode.AT_ONCE.label()).stallMillis() / farStall,
            MOST_STALL_FAR),
        Check.atMost(
            "10 ms away, resumed when available: stall as a share of that on demand",
            row(FAR + Mode.WHEN_AVAILABLE.label()).stallMillis() / farStall,
            MOST_STALL_FAR),
        Check.atMost(
            "processor time of a fault, of that of a handler in C",
            onDemand.cpuMicrosPerFault() / row(Mode.C_ON_DEMAND).cpuMicrosPerFault(),
            MOST_CPU));
  }

  /// For people.
  public String table() {
    List<List<String>> cells = new ArrayList<>();
    cells.add(
        List.of(
            "mode",
            "resumed after ms",
            "stall ms",
            "faults",
            "MiB staged",
            "useful",
            "unused",
            "unobserved",
            "CPU µs a fault"));
    for (Row row : rows) {
      boolean onDemand = row.staged() == 0;
      cells.add(
          List.of(
              row.mode(),
              String.format(Locale.ROOT, "%.0f", row.waitMillis()),
              String.format(Locale.ROOT, "%.0f", row.stallMillis()),
              Long.toString(row.faults()),
              String.format(Locale.ROOT, "%.1f", row.staged() * (double) PAGE / (1 << 20)),
              Long.toString(row.useful()),
              Long.toString(row.unused()),
              Long.toString(row.unobserved()),
              onDemand ? String.format(Locale.ROOT, "%.1f", row.cpuMicrosPerFault()) : ""));
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
      object.put("touched", row.touched());
      object.put("faults", row.faults());
      object.put("staged", row.staged());
      object.put("useful", row.useful());
      object.put("unused", row.unused());
      object.put("unobserved", row.unobserved());
      object.put("cpuNanos", row.cpuNanos());
    }
    Files.writeString(file, json.writerWithDefaultPrettyPrinter().writeValueAsString(all) + "\n");
  }
}
