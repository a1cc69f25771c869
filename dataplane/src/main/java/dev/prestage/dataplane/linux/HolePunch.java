package dev.prestage.dataplane.linux;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;
import java.util.Optional;

/// Gives ranges of one file back to the file system: they read as zeros afterwards and occupy
/// nothing (`fallocate(2)` with `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`).
///
/// A `FileChannel` hides its descriptor, so this opens the file once more.
public final class HolePunch implements AutoCloseable {
  private static final Logger LOG = System.getLogger(HolePunch.class.getName());

  private static final int O_RDWR = 2;
  private static final int O_CLOEXEC = 0x80000;
  private static final int KEEP_SIZE = 1;
  private static final int PUNCH_HOLE = 2;

  private final Path file;
  private final int descriptor;
  private boolean unavailable;
  private boolean closed;

  private HolePunch(Path file, int descriptor) {
    this.file = file;
    this.descriptor = descriptor;
    this.unavailable = descriptor < 0;
  }

  /// Prepares for a file that exists. Where the system has no such call, [#punch] does nothing.
  ///
  /// @throws IOException if the file cannot be opened for writing
  public static HolePunch open(Path file) throws IOException {
    if (Calls.INSTANCE.isEmpty()) {
      LOG.log(
          Level.WARNING,
          "this system has no fallocate: evicted extents of {0} keep their disk space",
          file);
      return new HolePunch(file, -1);
    }
    int descriptor = Calls.INSTANCE.get().open(file.toString(), O_RDWR | O_CLOEXEC);
    if (descriptor < 0) {
      throw new IOException("cannot open " + file + ": errno " + -descriptor);
    }
    return new HolePunch(file, descriptor);
  }

  /// Gives a range back. Says once, and is quiet from then on, if the file system cannot do it.
  public synchronized void punch(long offset, long lengthBytes) {
    if (unavailable || Calls.INSTANCE.isEmpty()) {
      return;
    }
    int error =
        Calls.INSTANCE.get().fallocate(descriptor, PUNCH_HOLE | KEEP_SIZE, offset, lengthBytes);
    if (error != 0) {
      unavailable = true;
      LOG.log(
          Level.WARNING,
          "evicted extents of {0} keep their disk space: its file system cannot punch holes"
              + " (errno {1}); ext4, xfs, btrfs and tmpfs can",
          file,
          error);
    }
  }

  @Override
  public synchronized void close() {
    if (descriptor >= 0 && Calls.INSTANCE.isPresent() && !closed) {
      closed = true;
      unavailable = true;
      Calls.INSTANCE.get().close(descriptor);
    }
  }

  /// The three calls. Absent as a whole where one of them is.
  private record Calls(
      MethodHandle openHandle, MethodHandle fallocateHandle, MethodHandle closeHandle) {
    static final Optional<Calls> INSTANCE = find();
    private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO =
        STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

    private static Optional<Calls> find() {
      Linker linker = Linker.nativeLinker();
      SymbolLookup lookup = linker.defaultLookup();
      Optional<MemorySegment> open = lookup.find("open");
      Optional<MemorySegment> fallocate = lookup.find("fallocate");
      Optional<MemorySegment> close = lookup.find("close");
      if (open.isEmpty() || fallocate.isEmpty() || close.isEmpty()) {
        return Optional.empty();
      }
      Linker.Option errno = Linker.Option.captureCallState("errno");
      return Optional.of(
          new Calls(
              linker.downcallHandle(
                  open.get(),
                  FunctionDescriptor.of(
                      ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT),
                  errno,
                  Linker.Option.firstVariadicArg(2)),
              linker.downcallHandle(
                  fallocate.get(),
                  FunctionDescriptor.of(
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_LONG,
                      ValueLayout.JAVA_LONG),
                  errno),
              linker.downcallHandle(
                  close.get(), FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT))));
    }

    /// The descriptor, or the negative error number.
    int open(String path, int flags) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        int descriptor = (int) openHandle.invokeExact(state, arena.allocateFrom(path), flags);
        return descriptor >= 0 ? descriptor : -(int) ERRNO.get(state, 0L);
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }

    /// Zero, or the error number.
    int fallocate(int descriptor, int mode, long offset, long lengthBytes) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        int result =
            (int) fallocateHandle.invokeExact(state, descriptor, mode, offset, lengthBytes);
        return result == 0 ? 0 : (int) ERRNO.get(state, 0L);
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }

    void close(int descriptor) {
      try {
        // The result says nothing that a caller could act on.
        int _ = (int) closeHandle.invokeExact(descriptor);
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }
  }
}
