package dev.prestage.dataplane.linux;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/// One open file, readable, with a path that always leads to this file: also once another file has
/// its name, or none has.
///
/// A `FileChannel` hides its descriptor. What is opened through [#path] and what `stat` says of it
/// belong to the same file, whatever happens to names meanwhile.
public final class Descriptor implements AutoCloseable {
  private static final int NO_ENTRY = 2;
  private static final int INTERRUPTED = 4;
  private static final int NO_ACCESS = 13;
  private static final int WILL_NEED = 3;

  /// The system reads no more than its read-ahead at one piece of advice, which is 128 KiB unless
  /// somebody has changed it.
  private static final long ADVICE_BYTES = 128 * 1024;

  private final int number;
  private boolean closed;

  private Descriptor(int number) {
    this.number = number;
  }

  /// Opens a file.
  ///
  /// @throws NoSuchFileException if there is none of this name
  /// @throws IOException if it cannot be opened, or this is no Linux
  public static Descriptor open(Path file) throws IOException {
    Calls calls = Calls.INSTANCE.orElseThrow(() -> new IOException("this system is no Linux"));
    // Without O_NONBLOCK the opening of a named pipe would wait for a writer.
    int number = calls.open(file.toString(), Calls.O_RDONLY | Calls.O_CLOEXEC | Calls.O_NONBLOCK);
    return switch (-number) {
      case NO_ENTRY -> throw new NoSuchFileException(file.toString());
      case NO_ACCESS -> throw new AccessDeniedException(file.toString());
      default -> {
        if (number < 0) {
          throw new IOException("cannot open " + file + ": errno " + -number);
        }
        yield new Descriptor(number);
      }
    };
  }

  /// The file, by its descriptor; valid until this is closed.
  public Path path() {
    return Path.of("/proc/self/fd/" + number);
  }

  /// Reads into native memory, until that is full or the file ends. Not while this is being closed.
  ///
  /// @param into memory of this process that is neither mapped from a file nor another's
  /// @return how many bytes were read
  /// @throws IOException if they cannot be
  public long read(MemorySegment into, long offset) throws IOException {
    long done = 0;
    while (done < into.byteSize()) {
      int count = Native.read(number, into.asSlice(done), offset + done);
      if (count == -INTERRUPTED) {
        continue;
      }
      if (count < 0) {
        throw new IOException("cannot read at " + (offset + done) + ": errno " + -count);
      }
      if (count == 0) {
        break;
      }
      done += count;
    }
    return done;
  }

  /// Asks the system to read a range into its page cache, which goes on after this returns. Where
  /// it cannot, nothing happens: it is advice.
  public void willNeed(long offset, long lengthBytes) {
    for (long done = 0; done < lengthBytes; done += ADVICE_BYTES) {
      int _ =
          Native.advise(
              number, offset + done, Math.min(ADVICE_BYTES, lengthBytes - done), WILL_NEED);
    }
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      Calls.INSTANCE.ifPresent(calls -> calls.close(number));
    }
  }
}
