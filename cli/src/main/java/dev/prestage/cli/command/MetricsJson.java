package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Metrics in Prometheus' text format as one JSON array of `name`, `labels` and `value`.
final class MetricsJson {
  private static final Pattern LINE =
      Pattern.compile("(?<name>[a-zA-Z0-9_:]+)(\\{(?<labels>.*)})? (?<value>[^ ]+)");
  private static final Pattern LABEL =
      Pattern.compile("([a-zA-Z0-9_]+)=\"((?:\\\\.|[^\"\\\\])*)\"");

  private MetricsJson() {}

  static String of(String text) {
    ArrayNode all = Json.MAPPER.createArrayNode();
    text.lines()
        .map(LINE::matcher)
        .filter(Matcher::matches)
        .forEach(line -> add(all.addObject(), line));
    return all.toString();
  }

  private static void add(ObjectNode metric, Matcher line) {
    metric.put("name", line.group("name"));
    ObjectNode labels = metric.putObject("labels");
    Matcher label = LABEL.matcher(String.valueOf(line.group("labels")));
    while (label.find()) {
      labels.put(label.group(1), unescaped(label.group(2)));
    }
    metric.put("value", Double.parseDouble(line.group("value").replace("Inf", "Infinity")));
  }

  private static String unescaped(String text) {
    return text.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
  }
}
