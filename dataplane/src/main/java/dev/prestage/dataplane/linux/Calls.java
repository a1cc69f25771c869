package dev.prestage.dataplane.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.Optional;

/// The system calls on files. Absent as a whole where one of them is.
record Calls(MethodHandle openHandle, MethodHandle fallocateHandle, MethodHandle closeHandle) {
  static final int O_RDONLY = 0;
  static final int O_RDWR = 2;
  static final int O_NONBLOCK = 0x800;
  static final int O_CLOEXEC = 0x80000;

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
      int result = (int) fallocateHandle.invokeExact(state, descriptor, mode, offset, lengthBytes);
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
