package dev.prestage.control.notice;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.engine.stage.Notice;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// A notice as JSON: its fields by their names, and the time as ISO-8601.
public final class NoticeJson {
  private static final JsonMapper MAPPER = new JsonMapper();

  private NoticeJson() {}

  /// The fields of a notice, as the data of an event.
  public static byte[] of(Notice notice) {
    return write(fields(MAPPER.createObjectNode(), notice));
  }

  /// The same with the notice's id and kind before, for those who get nothing else.
  public static byte[] of(NoticeHub.Entry entry) {
    ObjectNode fields = MAPPER.createObjectNode();
    fields.put("id", entry.id()).put("event", kind(entry.notice()));
    return write(fields(fields, entry.notice()));
  }

  private static ObjectNode fields(ObjectNode fields, Notice notice) {
    fields.put("time", instant(notice.timeNanos()).toString());
    ObjectNode all = MAPPER.valueToTree(notice);
    all.remove("timeNanos");
    return fields.setAll(all);
  }

  private static byte[] write(ObjectNode fields) {
    try {
      return MAPPER.writeValueAsBytes(fields);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// The kind of a notice, as events call it: `staged`, `available` and so on.
  public static String kind(Notice notice) {
    return kind(notice.getClass());
  }

  /// All kinds that there are.
  public static List<String> kinds() {
    List<String> kinds = new ArrayList<>();
    for (Class<?> kind : Notice.class.getPermittedSubclasses()) {
      kinds.add(kind(kind));
    }
    return kinds;
  }

  private static String kind(Class<?> notice) {
    return notice.getSimpleName().toLowerCase(Locale.ROOT);
  }

  private static Instant instant(long nanos) {
    return Instant.ofEpochSecond(
        Math.floorDiv(nanos, 1_000_000_000L), Math.floorMod(nanos, 1_000_000_000L));
  }
}
