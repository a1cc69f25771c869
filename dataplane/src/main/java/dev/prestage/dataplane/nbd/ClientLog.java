package dev.prestage.dataplane.nbd;

import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.Thinning;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/// What the log says of clients. Whoever reaches the socket decides how often and with which words,
/// so lines are thinned out, and words of a client stand in them in quotes, short and in one line.
final class ClientLog {
  private static final Logger LOG = System.getLogger(ClientLog.class.getName());

  // As much of a name as a person recognizes; names of VMs are shorter than that.
  private static final int QUOTED_CHARACTERS = 80;

  private final Thinning thinning = new Thinning();
  private final Clock clock;

  ClientLog(Clock clock) {
    this.clock = clock;
  }

  /// Writes a line unless there were too many of its kind.
  void say(String kind, String text) {
    int leftOut = thinning.admit(kind, text, clock.nanos());
    if (leftOut > 0) {
      LOG.log(Level.INFO, "{0}: {1} more of this kind were left out", kind, leftOut);
    }
    if (leftOut != Thinning.LEAVE_OUT) {
      LOG.log(Level.INFO, "{0}: {1}", kind, text);
    }
  }

  /// A client's words in quotes: what could move a terminal or forge a line is written as its code,
  /// and of long ones the beginning is shown.
  static String quote(String words) {
    StringBuilder quoted = new StringBuilder("'");
    words
        .codePoints()
        .limit(QUOTED_CHARACTERS)
        .forEach(c -> {
          if (isPlain(c)) {
            quoted.appendCodePoint(c);
          } else {
            quoted.append("\\u{").append(Integer.toHexString(c)).append('}');
          }
        });
    quoted.append('\'');
    long length = words.codePoints().count();
    if (length > QUOTED_CHARACTERS) {
      quoted.append("... (").append(length).append(" characters)");
    }
    return quoted.toString();
  }

  private static boolean isPlain(int character) {
    return switch (Character.getType(character)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      default -> true;
    };
  }
}
