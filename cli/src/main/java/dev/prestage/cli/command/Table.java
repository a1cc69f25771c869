package dev.prestage.cli.command;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/// A table for a terminal: columns as wide as what stands in them, numbers to the right.
public final class Table {
  private static final String UNITS = "KMGTPE";

  private final List<String> header;
  private final List<List<String>> rows = new ArrayList<>();

  public Table(String... header) {
    this.header = List.of(header);
  }

  /// Bytes as people read them: `512 B`, `64.0 KiB`, `8.0 GiB`.
  static String size(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = -1;
    // What would be printed as 1024.0 takes the next unit.
    while (value >= 1023.95 && unit < UNITS.length() - 1) {
      value /= 1024;
      unit++;
    }
    return "%.1f %ciB".formatted(value, UNITS.charAt(unit));
  }

  /// Adds a row with one cell for each column.
  public void row(Object... cells) {
    List<String> row = new ArrayList<>();
    for (Object cell : cells) {
      row.add(String.valueOf(cell));
    }
    if (row.size() != header.size()) {
      throw new IllegalArgumentException(row.size() + " cells for " + header.size() + " columns");
    }
    rows.add(row);
  }

  public void print(PrintStream out) {
    int columns = header.size();
    int[] width = new int[columns];
    boolean[] numeric = new boolean[columns];
    for (int c = 0; c < columns; c++) {
      width[c] = header.get(c).length();
      numeric[c] = !rows.isEmpty();
      for (List<String> row : rows) {
        width[c] = Math.max(width[c], row.get(c).length());
        numeric[c] &= row.get(c).matches("-?[0-9][0-9.,]*( ?[%a-zA-Z/]{1,4})?|-?");
      }
    }
    print(out, header, width, numeric);
    rows.forEach(row -> print(out, row, width, numeric));
  }

  private static void print(PrintStream out, List<String> row, int[] width, boolean[] numeric) {
    StringBuilder line = new StringBuilder();
    for (int c = 0; c < row.size(); c++) {
      String padding = " ".repeat(width[c] - row.get(c).length());
      line.append(numeric[c] ? padding + row.get(c) : row.get(c) + padding).append("  ");
    }
    out.println(line.toString().stripTrailing());
  }
}
