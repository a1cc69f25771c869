package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// What `blkparse` prints about the Linux block layer unless told otherwise: `major,minor cpu
/// sequence seconds pid action RWBS sector + sectors [command]`, then a summary. Several such
/// outputs may follow each other in a file.
///
/// Only queue events (`Q`) of reads and writes are accesses, read-ahead included, because what the
/// kernel fetched ahead the disk had to bring. Zone appends are writes; discards, zeroing, flushes
/// and the other commands for zones move no data. Each device is a device, each process a stream. A
/// recording of stacked devices, such as dm-0 on sda, has each access once for each of them.
///
/// Lines that name the files which blkparse reads may stand anywhere. They go through another
/// buffer than the events, so on machines with many processors one of them is cut in two: an event
/// follows its first half in the same line, and its second half stands behind the summary. Apart
/// from all these a line of another shape ends the reading.
final class BlkparseFormat implements TraceFormat {
  private static final String SHAPE =
      "major,minor cpu sequence seconds pid action RWBS sector + sectors [command]";
  private static final String EVENT =
      "\\d+,\\d+\\s+\\d+\\s+\\d+\\s+\\d+\\.\\d+\\s+\\d+\\s+[A-Za-z]{1,2}(\\s.*)?";
  private static final Pattern LINE = Pattern.compile("\\s*" + EVENT);

  private static final String INPUT = "Input file ";
  private static final Pattern INPUT_LINE = Pattern.compile(INPUT + ".*\\.blktrace\\.\\d+ added");

  /// The first half of such a line, then an event, whose major number takes three columns.
  private static final Pattern CUT_INPUT_LINE =
      Pattern.compile("(" + INPUT + ".*?)(?=  \\d,| \\d\\d,|\\d\\d\\d,)\\s*" + EVENT);

  /// A line of the summary: a heading (with -s also `program (pid)` or `program (pid, ...)`) or
  /// numbers behind their names. blktrace's own, in the same terminal, has rules about a name.
  private static final Pattern SUMMARY =
      Pattern.compile(
          "(CPU\\d+|Total|Throughput|Events) \\(.*"
              + "|\\s*[A-Z][A-Za-z .]*:.*"
              + "|\\s*CPU +\\d+: .*"
              + "|=== .* ==="
              + "|.*\\(\\d+(, \\.\\.\\.)?\\)");

  @Override
  public String name() {
    return "blkparse";
  }

  @Override
  public String summary() {
    return "text that blkparse prints: queue events of reads and writes";
  }

  @Override
  public boolean recognises(Head head) {
    return head.startsWithLine(LINE) || head.startsWithLine(INPUT_LINE);
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ' ');
    Requests requests = Requests.ofBytes(source, lines, true).clock();
    int run = requests.onlyRun();
    TreeSet<String> otherActions = new TreeSet<>();
    @Nullable String cutLine = null;
    while (lines.next()) {
      if (!startsEvent(lines)) {
        String line = lines.line();
        if (INPUT_LINE.matcher(line).matches()) {
          continue;
        }
        if (cutLine != null && INPUT_LINE.matcher(cutLine + line).matches()) {
          cutLine = null;
          continue;
        }
        Matcher cut = CUT_INPUT_LINE.matcher(line);
        if (cut.matches()) {
          cutLine = cut.group(1);
          lines.cutFront(cut.end(1));
        } else if (SUMMARY.matcher(line).matches()) {
          continue;
        }
      }
      expectEvent(lines);
      if (!lines.is(5, "Q")) {
        if (requests.isEmpty() && !lines.is(5, "m")) {
          otherActions.add(lines.text(5));
        }
        continue;
      }
      lines.expect(8, Integer.MAX_VALUE, SHAPE);
      boolean write = isWrite(lines);
      if ((!write && !isRead(lines)) || hasNoSectors(lines)) {
        continue;
      }
      lines.expect(10, Integer.MAX_VALUE, SHAPE);
      if (!lines.is(8, "+")) {
        throw lines.wrong(lines.quote(8) + " is no +; expected " + SHAPE);
      }
      int device = requests.device("", device(lines));
      long nanos = lines.secondsAsNanos(3, "seconds");
      int pid = lines.smallNumber(4, "pid");
      long first = lines.number(7, "sector");
      long count = lines.number(9, "number of sectors");
      requests.sectors(nanos, run, pid, device, first, count, write);
    }
    if (requests.isEmpty() && !otherActions.isEmpty()) {
      throw new TraceException(
          source.fileName()
              + ": only "
              + String.join(" and ", otherActions)
              + " events; expected queue events (Q) of reads or writes");
    }
    return requests.toTrace();
  }

  /// A number and a comma.
  private static boolean startsEvent(Lines lines) {
    int digits = 0;
    while (isDigit(lines.at(0, digits))) {
      digits++;
    }
    return digits > 0 && lines.at(0, digits) == ',';
  }

  /// What events of all kinds begin with.
  private static void expectEvent(Lines lines) throws TraceException {
    device(lines);
    lines.expect(6, Integer.MAX_VALUE, SHAPE);
    lines.number(1, "cpu");
    // The sequence is printed with a sign and turns negative after two thousand million events.
    lines.number(2, lines.at(2, 0) == '-' ? 1 : 0, "sequence");
    lines.secondsAsNanos(3, "seconds");
    lines.number(4, "pid");
    if (lines.length(5) > 2 || !isLetter(lines.at(5, 0))) {
      throw lines.wrong(lines.quote(5) + " is no action; expected " + SHAPE);
    }
  }

  /// The operation's place in RWBS: a flush may stand before a write.
  private static int operation(Lines lines) {
    return lines.at(6, 0) == 'F' ? 1 : 0;
  }

  private static boolean isRead(Lines lines) {
    return lines.at(6, operation(lines)) == 'R';
  }

  /// Writes of data: `W`, but not `WZ`, which writes zeros without moving any, and `ZA`, a zone
  /// append, but not `ZR` and the other commands for zones.
  private static boolean isWrite(Lines lines) {
    int operation = operation(lines);
    byte next = lines.at(6, operation + 1);
    return switch (lines.at(6, operation)) {
      case 'W' -> next != 'Z';
      case 'Z' -> next == 'A';
      default -> false;
    };
  }

  /// Whether a command follows where a sector could stand, as for a flush, or a size in bytes with
  /// a command, as for what passes the block layer by.
  private static boolean hasNoSectors(Lines lines) {
    return lines.startsWith(7, "[")
        || (lines.fields() > 8 && (lines.startsWith(8, "[") || lines.startsWith(8, "(")));
  }

  private static boolean isDigit(byte b) {
    return b >= '0' && b <= '9';
  }

  private static boolean isLetter(byte b) {
    return (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z');
  }

  /// Major and minor number, in one.
  private static long device(Lines lines) throws TraceException {
    long major = 0;
    long minor = 0;
    int digits = 0;
    boolean comma = false;
    for (int i = 0; i < lines.length(0); i++) {
      byte b = lines.at(0, i);
      if (b == ',' && !comma && digits > 0) {
        comma = true;
        major = minor;
        minor = 0;
        digits = 0;
      } else if (isDigit(b) && digits < 9) {
        minor = 10 * minor + (b - '0');
        digits++;
      } else {
        throw noDevice(lines);
      }
    }
    if (!comma || digits == 0) {
      throw noDevice(lines);
    }
    return major << 32 | minor;
  }

  private static TraceException noDevice(Lines lines) {
    return lines.wrong(lines.quote(0) + " is no device; expected major,minor");
  }
}
