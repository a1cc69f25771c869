package dev.prestage.control.vm;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Whether this host is short of memory. It begins to be so at one mark and ends at a lower one, so
/// that what is done about it does not end it in the next moment.
///
/// The marks are the share of the last ten seconds in which something waited for memory; where the
/// kernel does not tell that, the share of memory that is available.
final class HostPressure {
  private static final Pattern WAITING = Pattern.compile("some avg10=([0-9.]+)");
  private static final Pattern TOTAL = Pattern.compile("MemTotal:\\s+(\\d+)");
  private static final Pattern AVAILABLE = Pattern.compile("MemAvailable:\\s+(\\d+)");

  private static final double BEGINS_PERCENT = 10;
  private static final double ENDS_PERCENT = 1;
  private static final double BEGINS_AVAILABLE_PERCENT = 5;
  private static final double ENDS_AVAILABLE_PERCENT = 10;

  private final Path proc;
  private boolean pressed;

  /// @param proc where the kernel tells it
  HostPressure(Path proc) {
    this.proc = proc;
  }

  /// Reads it. What cannot be read is pressure: nothing is given away on a guess.
  boolean isPressed() {
    try {
      String pressure = text(proc.resolve("pressure/memory"));
      if (!pressure.isEmpty()) {
        double waiting = number(WAITING, pressure);
        pressed = pressed ? waiting > ENDS_PERCENT : waiting >= BEGINS_PERCENT;
      } else {
        String memory = text(proc.resolve("meminfo"));
        double available = 100 * number(AVAILABLE, memory) / number(TOTAL, memory);
        pressed = available < (pressed ? ENDS_AVAILABLE_PERCENT : BEGINS_AVAILABLE_PERCENT);
      }
    } catch (IllegalArgumentException _) {
      return true;
    }
    return pressed;
  }

  /// Empty where there is none, or where the kernel has the file and does not count.
  private static String text(Path file) {
    try {
      return Files.readString(file, US_ASCII);
    } catch (IOException _) {
      return "";
    }
  }

  private static double number(Pattern pattern, String text) {
    Matcher found = pattern.matcher(text);
    if (!found.find()) {
      throw new IllegalArgumentException("no number of that name");
    }
    return Double.parseDouble(found.group(1));
  }
}
