package dev.prestage.dataplane.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A `userfaultfd(2)` that another process has made for its memory: which of its pages are touched
/// while they are missing, which are removed, and the calls that fill them.
///
/// Reading and filling are for one thread, which also closes it. Addresses are those of the other
/// process; nothing here reads or writes memory at them except the kernel.
public final class PageFaults implements AutoCloseable {
  /// The size of a page, in bytes.
  public static final int PAGE_BYTES = 4096;

  /// Why a call did nothing: an event must be read first, or the process is changing its memory.
  public static final int AGAIN = -Native.EAGAIN;

  /// Why a call did nothing: the first page is there already.
  public static final int EXISTS = -Native.EEXIST;

  /// Why a call did nothing: no memory of the process is registered there any more.
  public static final int NO_SUCH_RANGE = -2;

  /// Why a call did nothing: the process has ended.
  public static final int NO_SUCH_PROCESS = -3;

  // linux/userfaultfd.h: _IOWR(0xAA, number, size) on the architectures that x86 and ARM are.
  private static final long UFFDIO_WAKE = 0x8010aa02L;
  private static final long UFFDIO_COPY = 0xc028aa03L;
  private static final long UFFDIO_ZEROPAGE = 0xc020aa04L;
  private static final byte EVENT_PAGEFAULT = 0x12;
  private static final byte EVENT_REMOVE = 0x15;
  private static final long WRITE = 1;
  private static final long MESSAGE_BYTES = 32;
  private static final int MESSAGES = 64;
  private static final int F_GETFL = 3;
  private static final int F_SETFL = 4;

  private final int descriptor;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment messages = arena.allocate(MESSAGES * MESSAGE_BYTES, Long.BYTES);
  private final MemorySegment request = arena.allocate(40, Long.BYTES);

  /// What has happened.
  public interface Events {
    /// A page was touched while it was missing; whoever touched it waits.
    ///
    /// @param address in the page, or its first
    void fault(long address, boolean write);

    /// A range was given back by its process: from now on it reads as zeros.
    void removed(long start, long end);
  }

  private PageFaults(int descriptor) {
    this.descriptor = descriptor;
  }

  /// Takes over a descriptor. Reads of it do not wait, for either process.
  static PageFaults of(int descriptor) {
    int flags = Native.fcntl(descriptor, F_GETFL, 0);
    if (flags >= 0 && (flags & Calls.O_NONBLOCK) == 0) {
      int _ = Native.fcntl(descriptor, F_SETFL, flags | Calls.O_NONBLOCK);
    }
    return new PageFaults(descriptor);
  }

  int descriptor() {
    return descriptor;
  }

  /// Hands over what has happened since the last call, at most some sixty events.
  ///
  /// @return how many events there were
  public int read(Events to) {
    int bytes = Native.read(descriptor, messages);
    if (bytes <= 0) {
      return 0;
    }
    int count = (int) (bytes / MESSAGE_BYTES);
    for (int i = 0; i < count; i++) {
      long at = i * MESSAGE_BYTES;
      switch (messages.get(ValueLayout.JAVA_BYTE, at)) {
        case EVENT_PAGEFAULT ->
            to.fault(
                messages.get(ValueLayout.JAVA_LONG, at + 16),
                (messages.get(ValueLayout.JAVA_LONG, at + 8) & WRITE) != 0);
        case EVENT_REMOVE ->
            to.removed(
                messages.get(ValueLayout.JAVA_LONG, at + 8),
                messages.get(ValueLayout.JAVA_LONG, at + 16));
        default -> {
          // Others come only to those who asked for them when the descriptor was made.
        }
      }
    }
    return count;
  }

  /// Fills missing pages with bytes of this process, and wakes whoever waits for them.
  ///
  /// @param address of the first page, in the other process
  /// @param bytes whole pages, in native memory
  /// @return how many bytes were filled, which may be less than all, or one of the reasons above,
  ///   or another negative error number
  public long copy(long address, MemorySegment bytes) {
    request.set(ValueLayout.JAVA_LONG, 0, address);
    request.set(ValueLayout.JAVA_LONG, 8, bytes.address());
    request.set(ValueLayout.JAVA_LONG, 16, bytes.byteSize());
    request.set(ValueLayout.JAVA_LONG, 24, 0L);
    request.set(ValueLayout.JAVA_LONG, 32, 0L);
    return filled(UFFDIO_COPY, 32, bytes.byteSize());
  }

  /// Fills missing pages with zeros, and wakes whoever waits for them; returns as [#copy] does.
  public long zero(long address, long lengthBytes) {
    request.set(ValueLayout.JAVA_LONG, 0, address);
    request.set(ValueLayout.JAVA_LONG, 8, lengthBytes);
    request.set(ValueLayout.JAVA_LONG, 16, 0L);
    request.set(ValueLayout.JAVA_LONG, 24, 0L);
    return filled(UFFDIO_ZEROPAGE, 24, lengthBytes);
  }

  /// A call that stops in the middle says EAGAIN, and in its argument how far it came.
  private long filled(long call, long doneAt, long lengthBytes) {
    int result = Native.ioctl(descriptor, call, request);
    if (result >= 0) {
      return lengthBytes;
    }
    long done = request.get(ValueLayout.JAVA_LONG, doneAt);
    return result == AGAIN && done > 0 ? done : result;
  }

  /// Wakes whoever waits for pages that are there.
  public void wake(long address, long lengthBytes) {
    request.set(ValueLayout.JAVA_LONG, 0, address);
    request.set(ValueLayout.JAVA_LONG, 8, lengthBytes);
    // It fails where the process has ended, and then nobody waits.
    int _ = Native.ioctl(descriptor, UFFDIO_WAKE, request);
  }

  @Override
  public void close() {
    Native.close(descriptor);
    arena.close();
  }
}
