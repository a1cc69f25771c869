package dev.prestage.dataplane.nbd;

import java.io.EOFException;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A small NBD client for tests and benchmarks: reads from one export, any number of them in
/// flight, answered in whatever order the server likes.
///
/// Any thread may read; replies are handed out by one thread of the client's own. How many reads
/// are in flight is the caller's to bound.
public final class NbdClient implements AutoCloseable {
  private static final int REPLY_BUFFER_BYTES = 64 * 1024;

  /// Receives the answer to one read, in the client's thread.
  @FunctionalInterface
  public interface Answer {
    /// The answer. Must not block for long: others wait behind it.
    ///
    /// @param error 0, or the NBD error number; [#LOST] if the connection ended first
    /// @param bytes what was read, empty after an error; good for the duration of the call
    void accept(int error, ByteBuffer bytes);
  }

  /// The error of reads that the server did not answer.
  public static final int LOST = -1;

  private record Request(int length, Answer answer) {}

  private final SocketChannel channel;
  private final long sizeBytes;
  private final AtomicLong cookies = new AtomicLong();
  private final Map<Long, Request> requests = new ConcurrentHashMap<>();
  private final ReentrantLock sending = new ReentrantLock();
  private final ByteBuffer request = ByteBuffer.allocateDirect(Nbd.REQUEST_BYTES);
  private final ByteBuffer in = ByteBuffer.allocateDirect(REPLY_BUFFER_BYTES).flip();
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile boolean lost;

  private NbdClient(SocketChannel channel, String export) throws IOException {
    this.channel = channel;
    this.sizeBytes = negotiate(export);
    Thread.ofPlatform().daemon().name("nbd-client").start(this::receive);
  }

  /// Connects, over a unix socket or TCP, and chooses an export.
  ///
  /// @throws IOException if there is no such server or export; the server's own words are in it
  public static NbdClient connect(SocketAddress server, String export) throws IOException {
    SocketChannel channel = SocketChannel.open(server);
    try {
      if (channel.supportedOptions().contains(StandardSocketOptions.TCP_NODELAY)) {
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      }
      return new NbdClient(channel, export);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private long negotiate(String export) throws IOException {
    need(2 * Long.BYTES + Short.BYTES);
    if (in.getLong() != Nbd.MAGIC || in.getLong() != Nbd.OPTION_MAGIC) {
      throw new IOException("the server does not speak NBD's newstyle");
    }
    short flags = in.getShort();
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    int length = Integer.BYTES + name.length + Short.BYTES;
    ByteBuffer hello = ByteBuffer.allocate(Integer.BYTES + Long.BYTES + 2 * Integer.BYTES + length);
    hello.putInt(flags).putLong(Nbd.OPTION_MAGIC).putInt(Nbd.OPTION_GO).putInt(length);
    hello.putInt(name.length).put(name).putShort((short) 0);
    writeAll(hello.flip());
    long size = -1;
    while (true) {
      need(Long.BYTES + 3 * Integer.BYTES);
      if (in.getLong() != Nbd.OPTION_REPLY_MAGIC || in.getInt() != Nbd.OPTION_GO) {
        throw new IOException("the server answers something else");
      }
      int kind = in.getInt();
      ByteBuffer data = ByteBuffer.allocate(in.getInt());
      copy(data);
      data.flip();
      if (kind == Nbd.REPLY_ACK && size >= 0) {
        return size;
      }
      if (kind < 0) {
        throw new IOException("export '" + export + "': " + StandardCharsets.UTF_8.decode(data));
      }
      if (kind == Nbd.REPLY_INFO && data.getShort() == Nbd.INFO_EXPORT) {
        size = data.getLong();
      }
    }
  }

  /// The export's size.
  public long sizeBytes() {
    return sizeBytes;
  }

  /// Sends a read and returns; its answer comes later.
  ///
  /// @throws IOException if the connection is lost; the answer is then never called
  public void read(long offset, int length, Answer answer) throws IOException {
    long cookie = cookies.incrementAndGet();
    requests.put(cookie, new Request(length, answer));
    sending.lock();
    try {
      request.clear();
      request.putInt(Nbd.REQUEST_MAGIC).putShort((short) 0).putShort((short) Nbd.COMMAND_READ);
      request.putLong(cookie).putLong(offset).putInt(length);
      writeAll(request.flip());
    } catch (IOException e) {
      if (requests.remove(cookie) != null) {
        throw e;
      }
    } finally {
      sending.unlock();
    }
    if (lost) {
      abandon(cookie);
    }
  }

  /// Reads and waits.
  ///
  /// @throws IOException if the server answers with an error
  public byte[] read(long offset, int length) throws IOException {
    var result = new CompletableFuture<byte[]>();
    read(
        offset,
        length,
        (error, bytes) -> {
          if (error != 0) {
            result.completeExceptionally(new IOException("NBD error " + error));
          } else {
            byte[] copy = new byte[bytes.remaining()];
            bytes.get(copy);
            result.complete(copy);
          }
        });
    try {
      return result.get();
    } catch (ExecutionException e) {
      throw new IOException(
          "read of " + length + " bytes at " + offset + " failed: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private void receive() {
    ByteBuffer data = ByteBuffer.allocate(REPLY_BUFFER_BYTES);
    try {
      while (true) {
        need(Nbd.SIMPLE_REPLY_BYTES);
        int magic = in.getInt();
        int error = in.getInt();
        long cookie = in.getLong();
        Request asked = requests.get(cookie);
        if (magic != Nbd.SIMPLE_REPLY_MAGIC || asked == null) {
          throw new IOException("the server answers what was not asked");
        }
        int length = error == 0 ? asked.length : 0;
        if (data.capacity() < length) {
          data = ByteBuffer.allocate(length);
        }
        data.clear().limit(length);
        copy(data);
        // Only now: the connection may end within the bytes.
        requests.remove(cookie);
        asked.answer.accept(error, data.flip());
      }
    } catch (IOException _) {
      // Everything outstanding is answered below.
    } finally {
      lost = true;
      requests.keySet().forEach(this::abandon);
      ended.countDown();
    }
  }

  private void abandon(long cookie) {
    @Nullable Request asked = requests.remove(cookie);
    if (asked != null) {
      asked.answer.accept(LOST, ByteBuffer.allocate(0));
    }
  }

  private void copy(ByteBuffer into) throws IOException {
    while (into.hasRemaining()) {
      if (!in.hasRemaining()) {
        need(1);
      }
      int limit = in.limit();
      in.limit(Math.min(limit, in.position() + into.remaining()));
      into.put(in);
      in.limit(limit);
    }
  }

  private void need(int bytes) throws IOException {
    if (in.remaining() >= bytes) {
      return;
    }
    in.compact();
    try {
      while (in.position() < bytes) {
        if (channel.read(in) < 0) {
          throw new EOFException("the server has hung up");
        }
      }
    } finally {
      in.flip();
    }
  }

  private void writeAll(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /// Hangs up. Reads that are outstanding are answered with [#LOST] before this returns.
  @Override
  public void close() throws IOException {
    channel.close();
    try {
      ended.await();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }
}
