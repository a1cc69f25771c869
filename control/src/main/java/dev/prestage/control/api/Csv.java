package dev.prestage.control.api;

import dev.prestage.engine.history.AccessHistory;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Rows of history as CSV (RFC 4180, with line feeds): one header line, then a line an access.
final class Csv {
  static final String MEDIA_TYPE = "text/csv; charset=utf-8; header=present";

  private static final String HEAD =
      "timeNanos,tenant,program,vm,type,space,resource,access,sizeBytes,cause,waited,latencyNanos,"
          + "run\n";

  private Csv() {}

  static byte[] head() {
    return HEAD.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] lines(List<AccessHistory.Row> rows) {
    StringBuilder text = new StringBuilder(rows.size() * 128);
    for (AccessHistory.Row row : rows) {
      text.append(row.timeNanos()).append(',');
      name(text, row.tenant()).append(',');
      name(text, row.program()).append(',');
      name(text, row.vm()).append(',');
      text.append(row.type().text()).append(',');
      name(text, row.space()).append(',');
      text.append(row.resource()).append(',');
      text.append(row.access()).append(',');
      text.append(row.sizeBytes()).append(',');
      text.append(row.cause()).append(',');
      text.append(row.waited()).append(',');
      text.append(row.latencyNanos()).append(',');
      text.append(row.run()).append('\n');
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static StringBuilder name(StringBuilder text, String name) {
    if (name.chars().noneMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r')) {
      return text.append(name);
    }
    return text.append('"').append(name.replace("\"", "\"\"")).append('"');
  }
}
