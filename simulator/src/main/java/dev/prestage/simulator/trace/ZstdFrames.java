package dev.prestage.simulator.trace;

import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.zip.ZipException;

/// Decompresses all frames of a zstd file (RFC 8878), one behind the other. Skippable frames hold
/// no data and are passed over.
///
/// The library's own stream takes a file that was cut off within its second frame for a whole one
/// if the end of the first was read with it. Here that is an error.
final class ZstdFrames extends InputStream {
  private final InputStream in;
  private final byte[] read;
  private final ByteBuffer compressed;
  private final ByteBuffer data;
  private final ZstdDecompressCtx context = new ZstdDecompressCtx();
  private boolean withinFrame;
  private boolean mayHoldMore;

  /// @param in closed with this
  ZstdFrames(InputStream in, int bufferBytes) {
    this.in = in;
    this.read = new byte[bufferBytes];
    this.compressed = ByteBuffer.allocateDirect(bufferBytes).limit(0);
    this.data = ByteBuffer.allocateDirect(2 * bufferBytes).limit(0);
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    while (!data.hasRemaining()) {
      if (!compressed.hasRemaining() && !mayHoldMore && !fill()) {
        if (withinFrame) {
          throw new EOFException("the file ends within a frame");
        }
        return -1;
      }
      decompress();
    }
    int copied = Math.min(length, data.remaining());
    data.get(target, offset, copied);
    return copied;
  }

  private void decompress() throws ZipException {
    data.clear();
    try {
      withinFrame = !context.decompressDirectByteBufferStream(data, compressed);
    } catch (ZstdException e) {
      ZipException damaged = new ZipException(e.getMessage());
      damaged.initCause(e);
      throw damaged;
    }
    mayHoldMore = withinFrame && !data.hasRemaining();
    data.flip();
  }

  private boolean fill() throws IOException {
    int bytes = in.read(read);
    if (bytes > 0) {
      compressed.clear().put(read, 0, bytes).flip();
    }
    return bytes > 0;
  }

  @Override
  public void close() throws IOException {
    context.close();
    in.close();
  }
}
