package dev.prestage.control.aggregate;

import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.util.Comparator;

/// One unit of a space, such as an extent of an image.
record Unit(Whole space, long index) implements Comparable<Unit> {
  private static final Comparator<Unit> ORDER =
      Comparator.<Unit, String>comparing(unit -> unit.space().tenant())
          .thenComparing(unit -> unit.space().type())
          .thenComparing(unit -> unit.space().name())
          .thenComparingLong(Unit::index);

  /// A space of units.
  record Whole(String tenant, ResourceType type, String name) {
    // Written out, because a record's own takes several times as long and there are two or three
    // an access.
    @Override
    public int hashCode() {
      return (tenant.hashCode() * 31 + name.hashCode()) * 31 + type.hashCode();
    }

    static Whole of(AccessHistory.Row row) {
      return new Whole(row.tenant(), row.type(), row.space());
    }
  }

  static Unit of(AccessHistory.Row row) {
    return new Unit(Whole.of(row), row.resource());
  }

  static Unit of(Usage.Owner owner, long index) {
    return new Unit(new Whole(owner.tenant(), owner.type(), owner.space()), index);
  }

  @Override
  public int hashCode() {
    return space.hashCode() * 31 + Long.hashCode(index * 0x9E37_79B9_7F4A_7C15L);
  }

  @Override
  public int compareTo(Unit other) {
    return ORDER.compare(this, other);
  }

  /// As in the API: `file-block:debian12.raw/4711`.
  String text() {
    return space.type().text() + ":" + space.name() + "/" + index;
  }
}
