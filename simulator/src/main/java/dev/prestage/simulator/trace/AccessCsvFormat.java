package dev.prestage.simulator.trace;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/// This project's own recordings: CSV whose first line says which of three kinds it is. Lines that
/// begin with `#` are comments. Times are microseconds.
///
/// | header | a line |
/// |---|---|
/// | `t_us,stream,program,run,object,extent` | one extent of a program's run; 64 KiB, or what the file's name says, as `4k` does; each object is a device |
/// | `t_us,pid,comm,ev,ino,start_page,npages` | pages looked up in the page cache; ev R buffered read, F file fault, M fault-around map; the sizes of the files, which lie one behind the other by inode, are in `NAME.files.csv` |
/// | `start_us,end_us,offset,length` | bytes read by a VM while it boots |
final class AccessCsvFormat implements TraceFormat {
  private static final String EXTENTS = "t_us,stream,program,run,object,extent";
  private static final String LOOKUPS = "t_us,pid,comm,ev,ino,start_page,npages";
  private static final String READS = "start_us,end_us,offset,length";
  private static final String FILES = "ino,pages_seen";
  private static final List<String> HEADERS = List.of(EXTENTS, LOOKUPS, READS);
  private static final int EXTENT_BYTES = 64 << 10;

  /// A size in a file's name, such as `4k` in `starts4k` and `64k` in `vmboot64k`.
  private static final Pattern UNIT = Pattern.compile("(?<!\\d)(\\d{1,4})k(?![A-Za-z0-9])");

  @Override
  public String name() {
    return "access-csv";
  }

  @Override
  public String summary() {
    return "this project's recordings, CSV told apart by the header line";
  }

  @Override
  public boolean recognises(Head head) {
    return HEADERS.stream().anyMatch(header -> head.startsWithLine(header));
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ',');
    if (!lines.next()) {
      throw new TraceException(source.fileName() + ": empty; expected a header line");
    }
    return switch (lines.line()) {
      case EXTENTS -> extents(source, lines);
      case LOOKUPS -> lookups(source, lines);
      case READS -> reads(source, lines);
      default ->
          throw lines.wrong(
              "no header of an access CSV; expected one of " + String.join(" or ", HEADERS));
    };
  }

  private static Trace extents(Source source, Lines lines) throws IOException {
    int unit = source.unitBytes().orElseGet(() -> unitIn(source.name()));
    Requests requests = new Requests(source, lines, unit, true);
    String program = "";
    while (lines.next()) {
      lines.expect(6, 6, EXTENTS);
      long nanos = lines.multiply(lines.number(0, "t_us"), 1000, "t_us");
      int stream = lines.smallNumber(1, "stream");
      if (!lines.is(2, program)) {
        program = lines.text(2);
      }
      int run = requests.run(program, lines.smallNumber(3, "run"), stream);
      int device = requests.device("", lines.number(4, "object"));
      requests.pages(nanos, run, stream, device, lines.number(5, "extent"), 1, false);
    }
    return requests.toTrace();
  }

  private static int unitIn(String name) {
    return UNIT.matcher(name)
        .results()
        .map(MatchResult::group)
        .mapToInt(size -> Integer.parseInt(size.substring(0, size.length() - 1)))
        .filter(size -> Integer.bitCount(size) == 1)
        .map(size -> size << 10)
        .findFirst()
        .orElse(EXTENT_BYTES);
  }

  private static Trace lookups(Source source, Lines lines) throws IOException {
    if (source.unitBytes().orElse(Trace.PAGE_BYTES) != Trace.PAGE_BYTES) {
      throw new TraceException(
          source.fileName()
              + ": its pages are of 4096 bytes, not "
              + source.unitBytes().getAsInt());
    }
    Requests requests = new Requests(source, lines, Trace.PAGE_BYTES, true).withoutGap();
    Path files = source.path().resolveSibling(source.name() + ".files.csv");
    var pagesByInode = FileSizes.read(files, FILES);
    pagesByInode.forEach(requests::device);
    int run = requests.onlyRun();
    while (lines.next()) {
      lines.expect(7, 7, LOOKUPS);
      long nanos = lines.multiply(lines.number(0, "t_us"), 1000, "t_us");
      int pid = lines.smallNumber(1, "pid");
      if (!lines.is(3, "R") && !lines.is(3, "F") && !lines.is(3, "M")) {
        throw lines.wrong(lines.quote(3) + " is no event; expected R, F or M (ev)");
      }
      long inode = lines.number(4, "ino");
      long first = lines.number(5, "start_page");
      long count = lines.number(6, "npages");
      long pages = pagesByInode.get(inode);
      if (pages < 0) {
        throw lines.wrong("inode " + inode + " is not in " + Source.fileName(files));
      }
      if (first > pages || count > pages - first) {
        throw lines.wrong(
            "pages "
                + first
                + " + "
                + count
                + " of inode "
                + inode
                + ", which has "
                + pages
                + " in "
                + Source.fileName(files));
      }
      requests.pages(nanos, run, pid, requests.device("", inode), first, count, false);
    }
    return requests.toTrace();
  }

  private static Trace reads(Source source, Lines lines) throws IOException {
    Requests requests = Requests.ofBytes(source, lines, true);
    int run = requests.onlyRun();
    int device = requests.device("", 0);
    while (lines.next()) {
      lines.expect(4, 4, READS);
      long nanos = lines.multiply(lines.number(0, "start_us"), 1000, "start_us");
      long offset = lines.number(2, "offset");
      requests.bytes(nanos, run, 0, device, offset, lines.number(3, "length"), false);
    }
    return requests.toTrace();
  }
}
