package dev.prestage.dataplane.linux;

import java.io.IOException;
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
  private static final int NO_ACCESS = 13;

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

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      Calls.INSTANCE.ifPresent(calls -> calls.close(number));
    }
  }
}
