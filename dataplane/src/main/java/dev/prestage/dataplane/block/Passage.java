package dev.prestage.dataplane.block;

import java.util.Locale;

/// How bytes come to a tier and leave it. What came less what left is what the tier holds.
public enum Passage {
  /// Were here when the tier was opened.
  FOUND(1),
  /// Came from an origin for a lease.
  STAGED(1),
  /// Came from an origin because a guest waited.
  DEMANDED(1),
  /// Came from an origin behind everything else.
  FILLED(1),
  /// Came from another tier.
  MOVED_IN(1),
  /// Went to another tier.
  MOVED_OUT(-1),
  /// Left the host to make room.
  EVICTED(-1),
  /// Were given back: staged and not used, purged, corrupt, or of another version of the image.
  REMOVED(-1);

  private final int sign;

  Passage(int sign) {
    this.sign = sign;
  }

  /// What they do to the bytes that a tier holds, 1 or -1.
  public int sign() {
    return sign;
  }

  /// The name of the tier's counter.
  public String counter() {
    return "tier_" + name().toLowerCase(Locale.ROOT) + "_bytes";
  }
}
