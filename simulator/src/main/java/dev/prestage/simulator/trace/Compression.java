package dev.prestage.simulator.trace;

import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import org.tukaani.xz.XZInputStream;

/// Opens files whatever they are compressed with, which their first bytes say, not their names.
final class Compression {
  /// Before it is decompressed.
  private static final int BUFFER_BYTES = 1 << 16;

  /// What a file may make us take to decompress it: xz's largest preset needs 65 MiB.
  private static final int XZ_MEMORY_KIB = 256 << 10;

  private static final String[] SUFFIXES = {".zst", ".gz", ".xz"};

  private Compression() {}

  /// A file's name without what says how it is compressed.
  static String nameWithout(String fileName) {
    String lower = fileName.toLowerCase(Locale.ROOT);
    for (String suffix : SUFFIXES) {
      if (lower.endsWith(suffix) && lower.length() > suffix.length()) {
        return fileName.substring(0, fileName.length() - suffix.length());
      }
    }
    return fileName;
  }

  /// The decompressed bytes. Reading them throws [TraceException] if the file is damaged or cut
  /// off.
  static InputStream open(Path path, Progress progress) throws IOException {
    RawFile raw = new RawFile(path, progress);
    try {
      return new Decompressed(path, raw);
    } catch (IOException e) {
      raw.close();
      throw e;
    }
  }

  private static boolean startsWith(byte[] head, int... magic) {
    for (int i = 0; i < magic.length; i++) {
      if (i >= head.length || (head[i] & 0xff) != magic[i]) {
        return false;
      }
    }
    return true;
  }

  /// Whether a zstd file begins with a frame that says something about the others: pzstd writes one
  /// before each frame of data (RFC 8878, section 3.1.2). There are sixteen kinds.
  private static boolean startsWithSkippableFrame(byte[] head) {
    return head.length > 0
        && (head[0] & 0xf0) == 0x50
        && startsWith(head, head[0] & 0xff, 0x2a, 0x4d, 0x18);
  }

  /// The file as it lies on the disk. Remembers its own failure, so that it is not taken for
  /// damage.
  private static final class RawFile extends InputStream {
    private final InputStream in;
    private final long total;
    private final Progress progress;
    private byte[] head;
    private int headRead;
    private long bytes;
    private boolean failed;

    RawFile(Path path, Progress progress) throws IOException {
      this.in = Files.newInputStream(path);
      this.total = Files.size(path);
      this.progress = progress;
      this.head = in.readNBytes(8);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int read;
      if (headRead < head.length) {
        read = Math.min(length, head.length - headRead);
        System.arraycopy(head, headRead, target, offset, read);
        headRead += read;
      } else {
        try {
          read = in.read(target, offset, length);
        } catch (IOException e) {
          failed = true;
          throw e;
        }
      }
      if (read > 0) {
        bytes += read;
        progress.read(bytes, total);
      }
      return read;
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }

  private static final class Decompressed extends FilterInputStream {
    private final Path path;
    private final RawFile raw;

    Decompressed(Path path, RawFile raw) throws IOException {
      super(raw);
      this.path = path;
      this.raw = raw;
      try {
        this.in = decompressor(raw);
      } catch (IOException e) {
        throw explained(e);
      }
    }

    private static InputStream decompressor(RawFile raw) throws IOException {
      if (startsWith(raw.head, 0x28, 0xb5, 0x2f, 0xfd) || startsWithSkippableFrame(raw.head)) {
        return new ZstdFrames(raw, BUFFER_BYTES);
      }
      if (startsWith(raw.head, 0x1f, 0x8b)) {
        return new GzipMembers(raw, BUFFER_BYTES);
      }
      if (startsWith(raw.head, 0xfd, '7', 'z', 'X', 'Z', 0)) {
        return new XZInputStream(raw, XZ_MEMORY_KIB);
      }
      return raw;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      try {
        return in.read(target, offset, length);
      } catch (IOException e) {
        throw explained(e);
      }
    }

    private IOException explained(IOException cause) {
      if (raw.failed) {
        return cause;
      }
      String what =
          cause instanceof EOFException || raw.bytes == raw.total
              ? "compressed, and cut off or damaged after "
              : "compressed, and damaged near byte ";
      TraceException explained =
          new TraceException(
              Source.fileName(path)
                  + ": "
                  + what
                  + raw.bytes
                  + " of "
                  + raw.total
                  + " bytes ("
                  + Objects.requireNonNullElse(cause.getMessage(), cause.getClass().getSimpleName())
                  + ")");
      explained.initCause(cause);
      return explained;
    }
  }
}
