package dev.prestage.control.aggregate;

import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;

/// One unit of a space, such as an extent of an image.
record Unit(Whole space, long index) {
  /// A space of units.
  record Whole(String tenant, ResourceType type, String name) {
    static Whole of(AccessHistory.Row row) {
      return new Whole(row.tenant(), row.type(), row.space());
    }
  }

  static Unit of(AccessHistory.Row row) {
    return new Unit(Whole.of(row), row.resource());
  }

  /// As in the API: `file-block:debian12.raw/4711`.
  String text() {
    return space.type().text() + ":" + space.name() + "/" + index;
  }
}
