package dev.prestage.dataplane.block;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/// Reads bytes of a tier and lets none through that does not match its checksum. Belongs to one
/// thread; allocates nothing after its construction.
public final class VerifiedReader {
  private static final int BLOCK = TierFile.BLOCK_BYTES;

  private final CRC32C crc = new CRC32C();
  private final ByteBuffer extentBytes = ByteBuffer.allocateDirect(TierFile.EXTENT_BYTES);

  /// Fills the buffer with bytes of the image from `offset` on. All of them must lie in extents
  /// that were resident a moment ago.
  ///
  /// @return -1 if the buffer was filled; else the first extent with a block that is not right, and
  ///   the buffer is as it was
  int read(TierFile file, long offset, ByteBuffer into) {
    int position = into.position();
    int limit = into.limit();
    long end = offset + into.remaining();
    boolean aligned =
        offset % BLOCK == 0 && (end % BLOCK == 0 || end == file.identity().sizeBytes());
    int bad = aligned && into.isDirect() ? inPlace(file, offset, into) : copied(file, offset, into);
    into.limit(limit).position(bad < 0 ? limit : position);
    return bad;
  }

  /// Whether all blocks of an extent match.
  boolean verifies(TierFile file, int extent) {
    extentBytes.clear().limit(file.bytesOf(extent));
    return inPlace(file, (long) extent * TierFile.EXTENT_BYTES, extentBytes) < 0;
  }

  private int inPlace(TierFile file, long offset, ByteBuffer into) {
    int start = into.position();
    int end = into.limit();
    try {
      file.readUnverified(into, offset);
    } catch (IOException _) {
      // An unreadable block is a block that is not right: it is fetched anew.
      return (int) (offset / TierFile.EXTENT_BYTES);
    }
    int got = into.position();
    long block = offset / BLOCK;
    for (int at = start; at < end; at += BLOCK, block++) {
      int blockEnd = Math.min(at + BLOCK, end);
      if (blockEnd > got || sum(into, at, blockEnd) != file.sumOf(block)) {
        return (int) (block / TierFile.BLOCKS_PER_EXTENT);
      }
    }
    return -1;
  }

  private int sum(ByteBuffer bytes, int from, int to) {
    crc.reset();
    crc.update(bytes.limit(to).position(from));
    return (int) crc.getValue();
  }

  private int copied(TierFile file, long offset, ByteBuffer into) {
    long at = offset;
    long end = offset + into.remaining();
    while (at < end) {
      long extentStart = at - at % TierFile.EXTENT_BYTES;
      long stop = Math.min(end, extentStart + TierFile.EXTENT_BYTES);
      long from = at - at % BLOCK;
      long to = Math.min((stop + BLOCK - 1) / BLOCK * BLOCK, file.identity().sizeBytes());
      extentBytes.clear().limit((int) (to - from));
      int bad = inPlace(file, from, extentBytes);
      if (bad >= 0) {
        return bad;
      }
      into.put(extentBytes.limit((int) (stop - from)).position((int) (at - from)));
      at = stop;
    }
    return -1;
  }
}
