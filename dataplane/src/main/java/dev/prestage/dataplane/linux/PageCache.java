package dev.prestage.dataplane.linux;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Which pages of a file the system's page cache has, by `mincore(2)`.
///
/// The file is mapped for that and never read through the mapping. Of a file that this user neither
/// owns nor may write the kernel says that all of it is there. For one thread.
public final class PageCache implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final MemorySegment mapped;
  private final MemorySegment found;

  private PageCache(FileChannel channel, long sizeBytes) throws IOException {
    this.mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, sizeBytes, arena);
    this.found = arena.allocate((sizeBytes - 1) / PageFaults.PAGE_BYTES + 1);
  }

  /// Looks at nothing yet.
  public static PageCache open(Path file, long sizeBytes) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return new PageCache(channel, sizeBytes);
    }
  }

  /// How many pages the file has.
  public int pages() {
    return (int) found.byteSize();
  }

  /// Looks at all pages.
  ///
  /// @throws IOException if the kernel does not say
  public void look() throws IOException {
    int result = Native.residency(mapped, found);
    if (result < 0) {
      throw new IOException("mincore failed: errno " + -result);
    }
  }

  /// Whether a page was there when this last looked.
  public boolean has(int page) {
    return (found.get(ValueLayout.JAVA_BYTE, page) & 1) != 0;
  }

  @Override
  public void close() {
    arena.close();
  }
}
