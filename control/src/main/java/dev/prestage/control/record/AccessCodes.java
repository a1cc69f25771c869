package dev.prestage.control.record;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;

/// The numbers that stand for access types and causes in the rows of the history. They are part of
/// the schema: a number keeps its meaning for ever, whatever becomes of the enums.
final class AccessCodes {
  private static final AccessType[] TYPES = {
    AccessType.READ, AccessType.WRITE, AccessType.EXECUTE, AccessType.RELEASE, AccessType.UNKNOWN
  };

  private static final Cause[] CAUSES = {
    Cause.DEMAND, Cause.PREFETCH, Cause.READAHEAD, Cause.MAINTENANCE
  };

  private AccessCodes() {}

  static byte of(AccessType type) {
    return switch (type) {
      case READ -> 0;
      case WRITE -> 1;
      case EXECUTE -> 2;
      case RELEASE -> 3;
      case UNKNOWN -> 4;
    };
  }

  static byte of(Cause cause) {
    return switch (cause) {
      case DEMAND -> 0;
      case PREFETCH -> 1;
      case READAHEAD -> 2;
      case MAINTENANCE -> 3;
    };
  }

  /// Whether a row may have these numbers: one that was not written whole before a power cut may
  /// have others.
  static boolean areKnown(byte type, byte cause) {
    return type >= 0 && type < TYPES.length && cause >= 0 && cause < CAUSES.length;
  }

  static AccessType type(byte code) {
    return TYPES[code];
  }

  static Cause cause(byte code) {
    return CAUSES[code];
  }
}
