package dev.prestage.dataplane.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/// The system calls of the memory page server. What is negative is an error number.
///
/// They are resolved when they are first used. A thread keeps the segment into which errors are
/// written, because a page fault must not wait for an allocation.
final class Native {
  static final int EAGAIN = 11;
  static final int EEXIST = 17;

  static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  /// The segment lives as long as the thread can reach it.
  private static final ThreadLocal<MemorySegment> ERROR =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(STATE));

  private static final MethodHandle IOCTL =
      handle(
          "ioctl",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.ADDRESS),
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle FCNTL =
      handle(
          "fcntl",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT),
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle READ = transfer("read");
  private static final MethodHandle WRITE = transfer("write");
  private static final MethodHandle PREAD =
      handle(
          "pread",
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG));
  private static final MethodHandle FADVISE =
      handle(
          "posix_fadvise",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));
  private static final MethodHandle MINCORE =
      handle(
          "mincore",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_LONG,
              ValueLayout.ADDRESS));
  private static final MethodHandle POLL =
      handle(
          "poll",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));
  private static final MethodHandle EVENTFD =
      handle(
          "eventfd",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
  private static final MethodHandle SOCKET =
      handle(
          "socket",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT));
  private static final MethodHandle BIND = onAddress("bind");
  private static final MethodHandle LISTEN =
      handle(
          "listen",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
  private static final MethodHandle ACCEPT =
      handle(
          "accept4",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_INT));
  private static final MethodHandle RECVMSG =
      handle(
          "recvmsg",
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_INT));
  private static final MethodHandle GETSOCKOPT =
      handle(
          "getsockopt",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.ADDRESS));

  private Native() {}

  private static MethodHandle transfer(String name) {
    return handle(
        name,
        FunctionDescriptor.of(
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_LONG));
  }

  private static MethodHandle onAddress(String name) {
    return handle(
        name,
        FunctionDescriptor.of(
            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
  }

  private static MethodHandle handle(String name, FunctionDescriptor shape, Linker.Option... more) {
    Linker linker = Linker.nativeLinker();
    Linker.Option[] options = new Linker.Option[more.length + 1];
    options[0] = Linker.Option.captureCallState("errno");
    System.arraycopy(more, 0, options, 1, more.length);
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), shape, options);
  }

  private static int failed(MemorySegment state) {
    return -(int) ERRNO.get(state, 0L);
  }

  private static AssertionError defect(Throwable e) {
    return new AssertionError("a downcall does not throw", e);
  }

  static int ioctl(int descriptor, long call, MemorySegment argument) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) IOCTL.invokeExact(state, descriptor, call, argument);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int fcntl(int descriptor, int command, int argument) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) FCNTL.invokeExact(state, descriptor, command, argument);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int read(int descriptor, MemorySegment into) {
    MemorySegment state = ERROR.get();
    try {
      long count = (long) READ.invokeExact(state, descriptor, into, into.byteSize());
      return count >= 0 ? (int) count : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int write(int descriptor, MemorySegment from) {
    MemorySegment state = ERROR.get();
    try {
      long count = (long) WRITE.invokeExact(state, descriptor, from, from.byteSize());
      return count >= 0 ? (int) count : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int read(int descriptor, MemorySegment into, long offset) {
    MemorySegment state = ERROR.get();
    try {
      long count = (long) PREAD.invokeExact(state, descriptor, into, into.byteSize(), offset);
      return count >= 0 ? (int) count : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  /// Zero, or the error number itself, as this call returns it.
  static int advise(int descriptor, long offset, long lengthBytes, int advice) {
    try {
      return (int) FADVISE.invokeExact(ERROR.get(), descriptor, offset, lengthBytes, advice);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int residency(MemorySegment mapped, MemorySegment found) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) MINCORE.invokeExact(state, mapped, mapped.byteSize(), found);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int poll(MemorySegment set, int count, int patienceMillis) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) POLL.invokeExact(state, set, (long) count, patienceMillis);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int eventfd(int flags) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) EVENTFD.invokeExact(state, 0, flags);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int socket(int domain, int type) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) SOCKET.invokeExact(state, domain, type, 0);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int bind(int socket, MemorySegment address, int lengthBytes) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) BIND.invokeExact(state, socket, address, lengthBytes);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int listen(int socket, int backlog) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) LISTEN.invokeExact(state, socket, backlog);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int accept(int socket, int flags) {
    MemorySegment state = ERROR.get();
    try {
      int result =
          (int) ACCEPT.invokeExact(state, socket, MemorySegment.NULL, MemorySegment.NULL, flags);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int recvmsg(int socket, MemorySegment header, int flags) {
    MemorySegment state = ERROR.get();
    try {
      long count = (long) RECVMSG.invokeExact(state, socket, header, flags);
      return count >= 0 ? (int) count : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static int getsockopt(
      int socket, int level, int option, MemorySegment value, MemorySegment lengthBytes) {
    MemorySegment state = ERROR.get();
    try {
      int result = (int) GETSOCKOPT.invokeExact(state, socket, level, option, value, lengthBytes);
      return result >= 0 ? result : failed(state);
    } catch (Throwable e) {
      throw defect(e);
    }
  }

  static void close(int descriptor) {
    Calls.INSTANCE.ifPresent(calls -> calls.close(descriptor));
  }
}
