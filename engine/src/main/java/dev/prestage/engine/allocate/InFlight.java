package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Shape;

/// How much is granted and neither ready nor ended, and how much more may be.
final class InFlight {
  /// A unit counts as so many parts, and a page of 4 KiB as one: 256 units are 16 MiB of either. A
  /// limit made for extents would let less of pages be on its way than a disk has to choose from.
  private static final int PARTS = 16;

  private final int mostUnits;
  private long parts;

  InFlight(int mostUnits) {
    this.mostUnits = mostUnits;
  }

  /// What units take of the room. A promise of a rate takes no time, and none of it.
  static long parts(Shape shape, int units) {
    return (long) units * partsOf(shape);
  }

  private static int partsOf(Shape shape) {
    if (shape.isOwn()) {
      return 0;
    }
    return shape.measure() == Measure.BYTES
        ? Math.clamp(shape.unitAmount() * PARTS / Shape.BLOCK_BYTES, 1, PARTS)
        : PARTS;
  }

  /// How many more units of a shape may be on their way.
  int room(Shape shape) {
    int each = partsOf(shape);
    if (each == 0) {
      return mostUnits;
    }
    // Small units leave room for a large one: what lands one by one would else always be refilled
    // by them.
    int left = each < PARTS && mostUnits > 1 ? PARTS : 0;
    return Math.clamp((most() - parts - left) / each, Integer.MIN_VALUE, Integer.MAX_VALUE);
  }

  private long most() {
    return (long) mostUnits * PARTS;
  }

  boolean hasRoom() {
    return parts < most();
  }

  /// The share of the room that is taken.
  double load() {
    return (double) parts / most();
  }

  void begun(long more) {
    parts += more;
  }

  void landed(long less) {
    parts -= less;
  }

  /// What is on its way, in whole units.
  int units() {
    return Math.toIntExact(Math.ceilDiv(parts, PARTS));
  }
}
