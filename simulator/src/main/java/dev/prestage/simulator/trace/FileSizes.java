package dev.prestage.simulator.trace;

import it.unimi.dsi.fastutil.longs.Long2LongOpenHashMap;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;

/// The CSV beside a recording of page-cache lookups that says how many pages each file has.
final class FileSizes {
  private FileSizes() {}

  /// Pages by inode; -1 for those that are not in it.
  static Long2LongOpenHashMap read(Path file, String header) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new TraceException(
          file + ": no such file; a recording of page-cache lookups needs it (" + header + ")");
    }
    Long2LongOpenHashMap pages = new Long2LongOpenHashMap();
    pages.defaultReturnValue(-1);
    try (Source source =
        new Source(file, "", OptionalInt.empty(), Compression.open(file, Progress.NONE))) {
      Lines lines = new Lines(source, ',');
      if (!lines.next() || !lines.line().equals(header)) {
        throw lines.wrong("expected the header " + header);
      }
      while (lines.next()) {
        lines.expect(2, 2, header);
        long inode = lines.number(0, "ino");
        long seen = lines.number(1, "pages_seen");
        if (seen > Trace.MAX_PAGE) {
          throw lines.wrong(lines.quote(1) + " is too large (pages_seen)");
        }
        if (pages.putIfAbsent(inode, seen) >= 0) {
          throw lines.wrong("inode " + inode + " for the second time");
        }
      }
    }
    return pages;
  }
}
