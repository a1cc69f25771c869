package dev.prestage.dataplane.memory;

import java.io.IOException;

/// What is wrong with a message, without a socket.
public final class RegionsProbe {
  private RegionsProbe() {}

  /// The reason for which it is refused, or an empty text.
  public static String reasonAgainst(String message, long snapshotBytes) {
    try {
      Regions.parse(message, snapshotBytes);
      return "";
    } catch (IOException e) {
      return "" + e.getMessage();
    }
  }
}
