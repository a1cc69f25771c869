package dev.prestage.dataplane.linux;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.net.Inet4Address;
import java.nio.ByteBuffer;

/// A network device whose far end is this process (`tun(4)`, `netdevice(7)`): what the kernel sends
/// there is read here, and what is written here the kernel receives.
///
/// It needs the right to administer the network that this process is in, as root has it and the
/// first user of a user namespace with a network of its own, and access to `/dev/net/tun`. The
/// device goes when it is closed; that is for its owner to do once nobody reads or writes.
public final class Tunnel implements AutoCloseable {
  /// The longest packet, in bytes: what the kernel gives a new device.
  public static final int PACKET_BYTES = 1500;

  private static final String CLONE = "/dev/net/tun";

  // linux/if_tun.h, linux/sockios.h, linux/if.h on the architectures that x86 and ARM are.
  private static final long TUNSETIFF = 0x400454caL;
  private static final long SIOCGIFFLAGS = 0x8913;
  private static final long SIOCSIFFLAGS = 0x8914;
  private static final long SIOCSIFADDR = 0x8916;
  private static final long SIOCSIFNETMASK = 0x891c;
  private static final short IFF_UP = 1;
  private static final short IFF_TUN_NO_PI = 0x1001;
  private static final short AF_INET = 2;
  private static final int SOCK_DGRAM_CLOEXEC = 0x80002;

  /// `struct ifreq`: a name, then a value of the call's own.
  private static final long REQUEST_BYTES = 40;

  private static final long VALUE = 16;
  private static final long ADDRESS = 20;

  private final int descriptor;

  private Tunnel(int descriptor) {
    this.descriptor = descriptor;
  }

  /// Makes a device, gives it an address and raises it.
  ///
  /// @param name of the device, 15 bytes of ASCII at most
  /// @param prefix of the network that is reached through it, 1 to 31
  /// @throws IOException with one line that says what this system refuses
  public static Tunnel open(String name, Inet4Address address, int prefix) throws IOException {
    Calls files = Calls.INSTANCE.orElseThrow(() -> new IOException("this system is no Linux"));
    int descriptor = files.open(CLONE, Calls.O_RDWR | Calls.O_CLOEXEC);
    if (descriptor < 0) {
      throw new IOException("cannot open " + CLONE + ": errno " + -descriptor);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment request = request(arena, name);
      request.set(ValueLayout.JAVA_SHORT, VALUE, IFF_TUN_NO_PI);
      Net.control(descriptor, TUNSETIFF, request, "cannot make the network device " + name);
      configure(
          name,
          SIOCSIFADDR,
          address.getAddress(),
          "cannot give " + name + " the address " + address.getHostAddress());
      int mask = -1 << (Integer.SIZE - prefix);
      configure(
          name,
          SIOCSIFNETMASK,
          ByteBuffer.allocate(Integer.BYTES).putInt(mask).array(),
          "cannot give " + name + " a network of " + prefix + " bits");
      raise(name);
    } catch (IOException e) {
      files.close(descriptor);
      throw e;
    }
    return new Tunnel(descriptor);
  }

  private static MemorySegment request(Arena arena, String name) {
    MemorySegment request = arena.allocate(REQUEST_BYTES, Long.BYTES);
    request.setString(0, name);
    return request;
  }

  private static void configure(String device, long call, byte[] address, String failure)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment request = request(arena, device);
      request.set(ValueLayout.JAVA_SHORT, VALUE, AF_INET);
      MemorySegment.copy(address, 0, request, ValueLayout.JAVA_BYTE, ADDRESS, address.length);
      administer(call, request, failure);
    }
  }

  /// Raises a device; a new network namespace has its loopback, `lo`, down.
  ///
  /// @throws IOException with one line that says what this system refuses
  public static void raise(String device) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment request = request(arena, device);
      String failure = "cannot raise the network device " + device;
      administer(SIOCGIFFLAGS, request, failure);
      short flags = (short) (request.get(ValueLayout.JAVA_SHORT, VALUE) | IFF_UP);
      request.set(ValueLayout.JAVA_SHORT, VALUE, flags);
      administer(SIOCSIFFLAGS, request, failure);
    }
  }

  private static void administer(long call, MemorySegment request, String failure)
      throws IOException {
    Calls files = Calls.INSTANCE.orElseThrow(() -> new IOException("this system is no Linux"));
    int socket = Net.socket(AF_INET, SOCK_DGRAM_CLOEXEC);
    if (socket < 0) {
      throw new IOException(failure + ": errno " + -socket);
    }
    try {
      Net.control(socket, call, request, failure);
    } finally {
      files.close(socket);
    }
  }

  /// Waits for the next packet that the kernel sends.
  ///
  /// @param into a direct buffer of [#PACKET_BYTES], of which the packet's part is left to be read
  /// @param patienceMillis how long to wait
  /// @return whether a packet came
  public boolean read(ByteBuffer into, int patienceMillis) throws IOException {
    into.clear().limit(0);
    if (Net.poll(descriptor, patienceMillis) <= 0) {
      return false;
    }
    into.clear();
    int count = Net.read(descriptor, MemorySegment.ofBuffer(into));
    if (count < 0) {
      into.limit(0);
      throw new IOException("cannot read from the network device: errno " + -count);
    }
    into.limit(count);
    return count > 0;
  }

  /// Hands the kernel a packet; one that it does not take is lost, as on any link.
  ///
  /// @param packet what is left of a direct buffer
  /// @return whether the kernel took it
  public boolean write(ByteBuffer packet) {
    return Net.write(descriptor, MemorySegment.ofBuffer(packet)) == packet.remaining();
  }

  @Override
  public void close() {
    Calls.INSTANCE.ifPresent(calls -> calls.close(descriptor));
  }

  /// The system calls on devices. What is negative is an error number.
  private static final class Net {
    private static final short POLLIN = 1;
    private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO =
        STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle IOCTL =
        handle(
            "ioctl",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS),
            Linker.Option.firstVariadicArg(2));
    private static final MethodHandle SOCKET =
        handle(
            "socket",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT));
    private static final MethodHandle POLL =
        handle(
            "poll",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT));
    private static final MethodHandle READ = transfer("read");
    private static final MethodHandle WRITE = transfer("write");

    private static MethodHandle transfer(String name) {
      return handle(
          name,
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_LONG));
    }

    private static MethodHandle handle(
        String name, FunctionDescriptor shape, Linker.Option... more) {
      Linker linker = Linker.nativeLinker();
      Linker.Option[] options = new Linker.Option[more.length + 1];
      options[0] = Linker.Option.captureCallState("errno");
      System.arraycopy(more, 0, options, 1, more.length);
      return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), shape, options);
    }

    static void control(int descriptor, long call, MemorySegment request, String failure)
        throws IOException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        if ((int) IOCTL.invokeExact(state, descriptor, call, request) < 0) {
          throw new IOException(failure + ": errno " + (int) ERRNO.get(state, 0L));
        }
      } catch (IOException e) {
        throw e;
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }

    static int socket(int domain, int type) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        int result = (int) SOCKET.invokeExact(state, domain, type, 0);
        return result >= 0 ? result : -(int) ERRNO.get(state, 0L);
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }

    static int poll(int descriptor, int patienceMillis) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        // struct pollfd: descriptor, events, what happened.
        MemorySegment one = arena.allocate(Long.BYTES, Integer.BYTES);
        one.set(ValueLayout.JAVA_INT, 0, descriptor);
        one.set(ValueLayout.JAVA_SHORT, Integer.BYTES, POLLIN);
        return (int) POLL.invokeExact(state, one, 1L, patienceMillis);
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }

    static int read(int descriptor, MemorySegment into) {
      return transfer(READ, descriptor, into);
    }

    static int write(int descriptor, MemorySegment from) {
      return transfer(WRITE, descriptor, from);
    }

    private static int transfer(MethodHandle call, int descriptor, MemorySegment bytes) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        long count = (long) call.invokeExact(state, descriptor, bytes, bytes.byteSize());
        return count >= 0 ? (int) count : -(int) ERRNO.get(state, 0L);
      } catch (Throwable e) {
        throw new AssertionError("a downcall does not throw", e);
      }
    }
  }
}
