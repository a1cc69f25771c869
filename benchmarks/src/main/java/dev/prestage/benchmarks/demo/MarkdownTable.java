package dev.prestage.benchmarks.demo;

import java.util.List;

/// Tables in Markdown, aligned for a terminal.
public final class MarkdownTable {
  private MarkdownTable() {}

  /// A table.
  ///
  /// @param cells rows of the same length, the first with the headings
  /// @param words how many columns, from the left, hold words; the others hold numbers
  public static String of(List<List<String>> cells, int words) {
    StringBuilder table = new StringBuilder();
    for (int line = 0; line < cells.size(); line++) {
      List<String> row = cells.get(line);
      StringBuilder rule = new StringBuilder("\n|");
      table.append('|');
      for (int column = 0; column < row.size(); column++) {
        int width = width(cells, column);
        boolean word = column < words;
        String padding = " ".repeat(width - row.get(column).length());
        table
            .append(' ')
            .append(word ? row.get(column) + padding : padding + row.get(column))
            .append(" |");
        rule.append('-').append("-".repeat(width)).append(word ? "-|" : ":|");
      }
      if (line == 0) {
        table.append(rule);
      }
      table.append('\n');
    }
    return table.toString().stripTrailing();
  }

  private static int width(List<List<String>> cells, int column) {
    return cells.stream().mapToInt(row -> row.get(column).length()).max().orElse(0);
  }
}
