package dev.prestage.dataplane.linux;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// A unix socket at which other processes hand over a `userfaultfd`, as Firecracker does
/// (`unix(7)`, SCM_RIGHTS): the JDK's sockets take no descriptors.
///
/// One thread waits, accepts and receives; any may [#wake] it.
public final class HandOver implements AutoCloseable {
  private static final short AF_UNIX = 1;
  private static final int STREAM_CLOEXEC_NONBLOCK = 0x80801;
  private static final int CLOEXEC_NONBLOCK = 0x80800;
  private static final int BACKLOG = 16;
  private static final int LONGEST_PATH = 107;
  private static final int SOL_SOCKET = 1;
  private static final int SO_PEERCRED = 17;
  private static final int SCM_RIGHTS = 1;
  private static final int MSG_CMSG_CLOEXEC = 0x40000000;
  private static final short POLLIN = 1;
  private static final int POLL_BYTES = 8;

  // struct msghdr and struct cmsghdr where a long has 64 bits.
  private static final long HEADER_BYTES = 56;
  private static final long CONTROL_BYTES = 256;
  private static final long CONTROL_HEADER_BYTES = 16;

  private final Path path;
  private final int listener;
  private final int bell;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment set = arena.allocate(4 * POLL_BYTES, Integer.BYTES);
  private final MemorySegment count = arena.allocate(Long.BYTES, Long.BYTES);
  private final MemorySegment one = arena.allocate(Long.BYTES, Long.BYTES);
  private boolean closed;

  private HandOver(Path path, int listener, int bell) {
    this.path = path;
    this.listener = listener;
    this.bell = bell;
    one.set(ValueLayout.JAVA_LONG, 0, 1L);
  }

  /// Listens, in place of whatever has that name.
  ///
  /// @throws IOException with one line that says why not
  public static HandOver listen(Path path) throws IOException {
    byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
    if (name.length > LONGEST_PATH) {
      throw new IOException(
          "the path of a unix socket has at most "
              + LONGEST_PATH
              + " bytes, and this has "
              + name.length
              + ": "
              + path);
    }
    Files.deleteIfExists(path);
    int socket = required(Native.socket(AF_UNIX, STREAM_CLOEXEC_NONBLOCK), "make a socket", path);
    int bell = -1;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(Short.BYTES + name.length + 1L);
      address.set(ValueLayout.JAVA_SHORT_UNALIGNED, 0, AF_UNIX);
      MemorySegment.copy(name, 0, address, ValueLayout.JAVA_BYTE, Short.BYTES, name.length);
      required(Native.bind(socket, address, (int) address.byteSize()), "bind", path);
      required(Native.listen(socket, BACKLOG), "listen at", path);
      bell = required(Native.eventfd(CLOEXEC_NONBLOCK), "make an eventfd for", path);
      return new HandOver(path, socket, bell);
    } catch (IOException e) {
      Native.close(socket);
      throw e;
    }
  }

  private static int required(int result, String what, Path path) throws IOException {
    if (result < 0) {
      throw new IOException("cannot " + what + " " + path + ": errno " + -result);
    }
    return result;
  }

  /// What a wait found.
  ///
  /// @param faults there are events to read
  /// @param peerEnded the peer has closed its end, or sent something more
  /// @param arrived somebody connects
  public record Found(boolean faults, boolean peerEnded, boolean arrived) {}

  /// Waits until somebody connects or [#wake] is called or, with a peer, for that.
  ///
  /// @param patienceMillis how long at most; negative for as long as it takes
  public Found await(@Nullable Peer peer, @Nullable PageFaults faults, int patienceMillis) {
    watch(0, listener);
    watch(1, bell);
    watch(2, peer == null ? -1 : peer.socket);
    watch(3, faults == null ? -1 : faults.descriptor());
    int ready = Native.poll(set, 4, patienceMillis);
    if (ready <= 0) {
      return new Found(false, false, false);
    }
    if (happened(1)) {
      int _ = Native.read(bell, count);
    }
    return new Found(happened(3), happened(2), happened(0));
  }

  private void watch(int place, int descriptor) {
    set.set(ValueLayout.JAVA_INT, (long) place * POLL_BYTES, descriptor);
    set.set(ValueLayout.JAVA_SHORT, (long) place * POLL_BYTES + 4, POLLIN);
    set.set(ValueLayout.JAVA_SHORT, (long) place * POLL_BYTES + 6, (short) 0);
  }

  private boolean happened(int place) {
    return set.get(ValueLayout.JAVA_SHORT, (long) place * POLL_BYTES + 6) != 0;
  }

  /// Ends the wait, or the next one.
  public synchronized void wake() {
    if (!closed) {
      int _ = Native.write(bell, one);
    }
  }

  /// Takes a connection, or null if nobody connects.
  public @Nullable Peer accept() {
    int socket = Native.accept(listener, CLOEXEC_NONBLOCK);
    return socket < 0 ? null : new Peer(socket);
  }

  @Override
  public synchronized void close() throws IOException {
    if (!closed) {
      closed = true;
      Native.close(listener);
      Native.close(bell);
      arena.close();
      Files.deleteIfExists(path);
    }
  }

  /// One who connected.
  public static final class Peer implements AutoCloseable {
    private final int socket;
    private final long pid;

    private Peer(int socket) {
      this.socket = socket;
      this.pid = pidOf(socket);
    }

    private static long pidOf(int socket) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment credentials = arena.allocate(12, Integer.BYTES);
        MemorySegment length =
            arena.allocateFrom(ValueLayout.JAVA_INT, (int) credentials.byteSize());
        int result = Native.getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials, length);
        return result < 0 ? 0 : credentials.get(ValueLayout.JAVA_INT, 0);
      }
    }

    /// Its process, or 0 where that cannot be said.
    public long pid() {
      return pid;
    }

    /// What came at once.
    ///
    /// @param bytes what was said, 0 at the end, negative if nothing was
    /// @param faults the first userfaultfd that came with it, or null; other descriptors are closed
    public record Message(int bytes, @Nullable PageFaults faults) {}

    /// Receives what there is, without waiting.
    public Message receive(MemorySegment into) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment vector = arena.allocate(16, Long.BYTES);
        vector.set(ValueLayout.ADDRESS, 0, into);
        vector.set(ValueLayout.JAVA_LONG, 8, into.byteSize());
        MemorySegment control = arena.allocate(CONTROL_BYTES, Long.BYTES);
        MemorySegment header = arena.allocate(HEADER_BYTES, Long.BYTES);
        header.set(ValueLayout.ADDRESS, 16, vector);
        header.set(ValueLayout.JAVA_LONG, 24, 1L);
        header.set(ValueLayout.ADDRESS, 32, control);
        header.set(ValueLayout.JAVA_LONG, 40, CONTROL_BYTES);
        int bytes = Native.recvmsg(socket, header, MSG_CMSG_CLOEXEC);
        return new Message(
            bytes, bytes < 0 ? null : first(control, header.get(ValueLayout.JAVA_LONG, 40)));
      }
    }

    private static @Nullable PageFaults first(MemorySegment control, long lengthBytes) {
      PageFaults first = null;
      long at = 0;
      while (at + CONTROL_HEADER_BYTES <= lengthBytes) {
        long length = control.get(ValueLayout.JAVA_LONG, at);
        if (length < CONTROL_HEADER_BYTES || at + length > lengthBytes) {
          break;
        }
        boolean descriptors =
            control.get(ValueLayout.JAVA_INT, at + 8) == SOL_SOCKET
                && control.get(ValueLayout.JAVA_INT, at + 12) == SCM_RIGHTS;
        for (long d = at + CONTROL_HEADER_BYTES;
            descriptors && d + Integer.BYTES <= at + length;
            d += Integer.BYTES) {
          int descriptor = control.get(ValueLayout.JAVA_INT, d);
          if (first == null && isOfPageFaults(descriptor)) {
            first = PageFaults.of(descriptor);
          } else {
            Native.close(descriptor);
          }
        }
        at += (length + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
      }
      return first;
    }

    /// Some hand over a memory's file as well.
    private static boolean isOfPageFaults(int descriptor) {
      try {
        Path target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor));
        return target.toString().equals("anon_inode:[userfaultfd]");
      } catch (IOException _) {
        return false;
      }
    }

    /// Looks whether the peer has ended; what else it says is passed over.
    ///
    /// @param scratch for what is passed over
    /// @return 0 at the end, negative if nothing was said
    public int receiveNothing(MemorySegment scratch) {
      Message message = receive(scratch);
      if (message.faults() != null) {
        message.faults().close();
      }
      return message.bytes();
    }

    @Override
    public void close() {
      Native.close(socket);
    }
  }
}
