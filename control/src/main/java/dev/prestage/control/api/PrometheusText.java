package dev.prestage.control.api;

import dev.prestage.control.command.Reply.Counter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/// Numbers in Prometheus' text format 0.0.4: the prefix `prestage_`, and `_total` at the end of
/// what only rises.
///
/// Source: prometheus.io, "Exposition formats". All lines of one metric must stand together, and
/// label values escape the backslash, the quote and the line feed.
final class PrometheusText {
  static final String MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private static final String PREFIX = "prestage_";
  private static final String TOTAL = "_total";
  private static final Pattern NOT_IN_NAMES = Pattern.compile("[^a-zA-Z0-9_]");

  private PrometheusText() {}

  static String of(List<Counter> counters) {
    Map<String, List<Counter>> families = new LinkedHashMap<>();
    for (Counter counter : counters) {
      families.computeIfAbsent(name(counter), _ -> new ArrayList<>()).add(counter);
    }
    StringBuilder text = new StringBuilder();
    families.forEach((name, family) -> {
      String type = family.getFirst().cumulative() ? "counter" : "gauge";
      text.append("# HELP ")
          .append(name)
          .append(' ')
          .append(MetricHelp.of(family.getFirst().name()))
          .append('\n');
      text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
      for (Counter counter : family) {
        text.append(name);
        labels(text, counter.labels());
        text.append(' ').append(number(counter.value())).append('\n');
      }
    });
    return text.toString();
  }

  private static String name(Counter counter) {
    String name = PREFIX + NOT_IN_NAMES.matcher(counter.name()).replaceAll("_");
    return counter.cumulative() && !name.endsWith(TOTAL) ? name + TOTAL : name;
  }

  private static void labels(StringBuilder text, Map<String, String> labels) {
    if (labels.isEmpty()) {
      return;
    }
    char separator = '{';
    for (Map.Entry<String, String> label : new TreeMap<>(labels).entrySet()) {
      text.append(separator)
          .append(NOT_IN_NAMES.matcher(label.getKey()).replaceAll("_"))
          .append("=\"");
      text.append(
          label.getValue().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n"));
      text.append('"');
      separator = ',';
    }
    text.append('}');
  }

  private static String number(double value) {
    if (Double.isInfinite(value)) {
      return value > 0 ? "+Inf" : "-Inf";
    }
    // Whole numbers without exponent, as far as a double counts exactly.
    return value == Math.rint(value) && Math.abs(value) < 0x1p53
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
