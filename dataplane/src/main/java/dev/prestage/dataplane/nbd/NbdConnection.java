package dev.prestage.dataplane.nbd;

import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.PendingRead;
import dev.prestage.dataplane.block.VerifiedReader;
import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.time.Clock;
import java.io.EOFException;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// One client.
///
/// The connection's own thread reads requests and answers what is here at once, several replies in
/// one write if several requests lie ready. What must wait for an origin is answered by a second
/// thread that begins with the first such request; fetching threads only put a finished read into
/// its queue. So a client that does not read stalls these two threads and nobody else.
final class NbdConnection implements Runnable {
  private static final Logger LOG = System.getLogger(NbdConnection.class.getName());

  // The largest read that is answered from one buffer; larger ones are rare and get memory of their
  // own. 1 MiB is what Linux asks for at most by default.
  private static final int MAX_INLINE_BYTES = 1 << 20;
  // Replies are not held back beyond this, so that the client works while the server reads on.
  private static final int BATCH_BYTES = 128 * 1024;
  private static final int LATE_BYTES = 64 * 1024;
  private static final String NO_MEMORY = "no memory for the reply: clients take theirs slowly";
  private static final int REPLY_ROOM =
      Nbd.STRUCTURED_REPLY_BYTES + Long.BYTES; // header and offset

  private final SocketChannel channel;
  private final Exports exports;
  private final NbdLimits limits;
  private final ReplyMemory memory;
  private final Clock clock;
  private final Trouble trouble;
  private final ClientLog log;
  private final @Nullable String refusal;
  private final Consumer<NbdConnection> ended;
  private final long beganNanos;
  private final VerifiedReader reader = new VerifiedReader();
  // Runs while there are late replies to take.
  private final Pace pace;
  private final Wire wire;
  private boolean structured;
  private volatile @Nullable Disk disk;

  // The late replies.
  private final ReentrantLock late = new ReentrantLock();
  private final Condition lateChanged = late.newCondition();
  private final Deque<LateRead> answered = new ArrayDeque<>();
  private @Nullable Thread lateWriter;
  private int requestsInFlight;
  private long bytesInFlight;
  private volatile boolean closed;

  /// @param refusal why the client gets no disk, or null if it may choose one
  NbdConnection(
      SocketChannel channel,
      Exports exports,
      NbdLimits limits,
      ReplyMemory memory,
      Clock clock,
      Trouble trouble,
      ClientLog log,
      @Nullable String refusal,
      Consumer<NbdConnection> ended) {
    this.channel = channel;
    this.pace = new Pace(limits.leastBytesPerSecond(), limits.patience());
    this.wire = new Wire(channel, clock, pace, MAX_INLINE_BYTES + REPLY_ROOM);
    this.trouble = trouble;
    this.log = log;
    this.refusal = refusal;
    this.exports = exports;
    this.limits = limits;
    this.memory = memory;
    this.clock = clock;
    this.ended = ended;
    this.beganNanos = clock.nanos();
  }

  /// A read whose reply is written by the second thread.
  private final class LateRead extends PendingRead {
    final String vm;
    final long cookie;

    LateRead(String vm, long cookie, long offset, int length, long arrivedNanos) {
      super(offset, length, arrivedNanos);
      this.vm = vm;
      this.cookie = cookie;
    }

    @Override
    protected void finished() {
      late.lock();
      try {
        if (!closed) {
          answered.add(this);
          pace.owe(clock.nanos());
          lateChanged.signalAll();
          return;
        }
      } finally {
        late.unlock();
      }
      giveMemoryBack();
    }

    void giveMemoryBack() {
      memory.giveBack(vm, length());
    }
  }

  @Override
  public void run() {
    try {
      var handshake = new Handshake(wire, exports, refusal);
      Disk chosen = handshake.negotiate();
      structured = handshake.isStructured();
      if (chosen != null) {
        disk = chosen;
        // It may have been detached in between, when this connection could not be found yet.
        if (exports.find(chosen.name()) == chosen) {
          Thread.currentThread().setName("nbd-" + chosen.name());
          serve(chosen);
        }
      }
    } catch (ClosedChannelException | EOFException _) {
      // The client is gone, or this server closes.
    } catch (BrokenProtocol e) {
      log.say("nbd-protocol", "closing a connection whose client " + e.getMessage());
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "connection lost", e);
    } catch (OutOfMemoryError e) {
      trouble.report(
          "nbd-connections",
          "closing an NBD connection, there is no memory for it: " + e.getMessage());
    } finally {
      close();
      ended.accept(this);
    }
  }

  /// The VM whose disk the client chose, or nothing before it has.
  String vmName() {
    Disk chosen = disk;
    return chosen == null ? "" : chosen.name();
  }

  boolean serves(Disk other) {
    return disk == other;
  }

  long beganNanos() {
    return beganNanos;
  }

  boolean isNegotiatingSince(long nanos) {
    return disk == null && beganNanos < nanos;
  }

  /// How much memory its replies hold if its client is slow to take them, else 0.
  long bytesHeldSlowly() {
    if (!pace.isSlow(clock.nanos())) {
      return 0;
    }
    late.lock();
    try {
      return closed ? 0 : bytesInFlight;
    } finally {
      late.unlock();
    }
  }

  /// Ends the connection; its threads end soon.
  void close() {
    List<LateRead> unsent;
    late.lock();
    try {
      closed = true;
      unsent = List.copyOf(answered);
      answered.clear();
      lateChanged.signalAll();
    } finally {
      late.unlock();
    }
    unsent.forEach(LateRead::giveMemoryBack);
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "closing", e);
    }
  }

  private void serve(Disk chosen) throws IOException {
    ByteBuffer in = wire.in();
    while (true) {
      if (in.remaining() < Nbd.REQUEST_BYTES) {
        wire.flush();
        wire.need(Nbd.REQUEST_BYTES);
      }
      int magic = in.getInt();
      if (magic != Nbd.REQUEST_MAGIC) {
        throw new BrokenProtocol("sent a request with magic " + Integer.toHexString(magic));
      }
      int flags = Short.toUnsignedInt(in.getShort());
      int command = Short.toUnsignedInt(in.getShort());
      long cookie = in.getLong();
      long offset = in.getLong();
      int length = in.getInt();
      switch (command) {
        case Nbd.COMMAND_READ -> read(chosen, flags, cookie, offset, length);
        case Nbd.COMMAND_WRITE -> {
          if (length < 0 || length > Nbd.MAX_REQUEST_BYTES) {
            throw new BrokenProtocol("announced a write that is too long to skip");
          }
          wire.skip(length);
          error(cookie, Nbd.EPERM, "this disk is read-only");
        }
        case Nbd.COMMAND_TRIM, Nbd.COMMAND_WRITE_ZEROES ->
            error(cookie, Nbd.EPERM, "this disk is read-only");
        case Nbd.COMMAND_DISCONNECT -> {
          wire.flush();
          return;
        }
        default -> error(cookie, Nbd.EINVAL, "unknown command");
      }
    }
  }

  private void read(Disk chosen, int flags, long cookie, long offset, int length)
      throws IOException {
    int allowed = structured ? Nbd.COMMAND_FLAG_DF : 0;
    if ((flags & ~allowed) != 0) {
      error(cookie, Nbd.EINVAL, "unknown flags");
    } else if (length <= 0 || length > Nbd.MAX_REQUEST_BYTES) {
      error(cookie, Nbd.EINVAL, "a read has 1 to " + Nbd.MAX_REQUEST_BYTES + " bytes");
    } else if (offset < 0 || offset > chosen.sizeBytes() - length) {
      error(cookie, Nbd.EINVAL, "the range is not within the disk");
    } else if (length > MAX_INLINE_BYTES || !readNow(chosen, cookie, offset, length)) {
      readLater(chosen, cookie, offset, length);
    }
  }

  private boolean readNow(Disk chosen, long cookie, long offset, int length) throws IOException {
    ByteBuffer out = wire.out(REPLY_ROOM + length);
    int start = out.position();
    header(out, cookie, offset, length);
    if (!chosen.readNow(offset, length, out, reader)) {
      out.position(start);
      return false;
    }
    if (out.position() >= BATCH_BYTES) {
      wire.flush();
    }
    return true;
  }

  private void header(ByteBuffer into, long cookie, long offset, int length) {
    if (structured) {
      into.putInt(Nbd.STRUCTURED_REPLY_MAGIC);
      into.putShort((short) Nbd.CHUNK_DONE).putShort((short) Nbd.CHUNK_OFFSET_DATA);
      into.putLong(cookie).putInt(Long.BYTES + length).putLong(offset);
    } else {
      into.putInt(Nbd.SIMPLE_REPLY_MAGIC).putInt(0).putLong(cookie);
    }
  }

  private void error(long cookie, int error, String why) throws IOException {
    error(wire.out(REPLY_ROOM + why.length()), cookie, error, why);
  }

  private void error(ByteBuffer into, long cookie, int error, String why) {
    if (structured) {
      byte[] utf8 = why.getBytes(StandardCharsets.UTF_8);
      into.putInt(Nbd.STRUCTURED_REPLY_MAGIC);
      into.putShort((short) Nbd.CHUNK_DONE).putShort((short) Nbd.CHUNK_ERROR);
      into.putLong(cookie).putInt(Integer.BYTES + Short.BYTES + utf8.length);
      into.putInt(error).putShort((short) utf8.length).put(utf8);
    } else {
      into.putInt(Nbd.SIMPLE_REPLY_MAGIC).putInt(error).putLong(cookie);
    }
  }

  private void readLater(Disk chosen, long cookie, long offset, int length) throws IOException {
    long arrivedNanos = clock.nanos();
    long writingNanos = wire.writingNanos();
    // What is answered already must not wait behind what takes long.
    wire.flush();
    awaitShare(chosen, length);
    // While the client lets its own replies wait, the guest may be paused: that is not late.
    long countedFrom = Math.min(clock.nanos(), arrivedNanos + wire.writingNanos() - writingNanos);
    LateRead read;
    try {
      if (!takeMemory(chosen.name(), length, countedFrom)) {
        returnShare(length);
        error(cookie, Nbd.EIO, NO_MEMORY);
        wire.flush();
        return;
      }
      read = newLateRead(chosen.name(), cookie, offset, length, countedFrom);
    } catch (OutOfMemoryError e) {
      returnShare(length);
      throw e;
    }
    chosen.readLater(read, reader);
  }

  private LateRead newLateRead(String vm, long cookie, long offset, int length, long arrivedNanos) {
    try {
      return new LateRead(vm, cookie, offset, length, arrivedNanos);
    } catch (OutOfMemoryError e) {
      memory.giveBack(vm, length);
      throw e;
    }
  }

  private boolean takeMemory(String vm, int length, long arrivedNanos) throws IOException {
    long deadline = arrivedNanos + limits.readDeadline().toNanos();
    return switch (memory.take(vm, length, deadline, () -> closed)) {
      case TAKEN -> true;
      case GONE -> throw new ClosedChannelException();
      case TOO_LATE -> {
        trouble.report(
            "nbd-memory",
            "a read of "
                + length
                + " bytes of VM '"
                + vm
                + "' failed: no memory for its reply within "
                + limits.readDeadline().toMillis()
                + " ms, because NBD clients take their replies slowly");
        yield false;
      }
    };
  }

  /// Waits until this connection may hold so much more, and counts it.
  private void awaitShare(Disk chosen, int length) throws IOException {
    late.lock();
    try {
      while (!closed
          && (requestsInFlight >= limits.requestsInFlight()
              || (requestsInFlight > 0 && bytesInFlight + length > limits.bytesInFlight()))) {
        lateChanged.awaitUninterruptibly();
      }
      if (closed) {
        throw new ClosedChannelException();
      }
      requestsInFlight++;
      bytesInFlight += length;
      if (lateWriter == null) {
        lateWriter =
            Thread.ofPlatform().daemon().name("nbd-late-" + chosen.name()).start(this::writeLate);
      }
    } finally {
      late.unlock();
    }
  }

  private void returnShare(int length) {
    late.lock();
    try {
      requestsInFlight--;
      bytesInFlight -= length;
      lateChanged.signalAll();
    } finally {
      late.unlock();
    }
  }

  private void writeLate() {
    ByteBuffer buffer = ByteBuffer.allocateDirect(LATE_BYTES);
    try {
      LateRead read = nextAnswered();
      while (read != null) {
        try {
          write(read, buffer);
        } finally {
          read.giveMemoryBack();
        }
        returnShare(read.length());
        read = nextAnswered();
      }
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "connection lost", e);
      close();
    }
  }

  private @Nullable LateRead nextAnswered() {
    late.lock();
    try {
      while (answered.isEmpty() && !closed) {
        pace.settle();
        lateChanged.awaitUninterruptibly();
      }
      return answered.poll();
    } finally {
      late.unlock();
    }
  }

  private void write(LateRead read, ByteBuffer buffer) throws IOException {
    buffer.clear();
    String failure = read.failure();
    if (failure != null) {
      error(buffer, read.cookie, Nbd.EIO, failure);
    } else {
      header(buffer, read.cookie, read.offset(), read.length());
    }
    int from = failure != null ? read.length() : 0;
    wire.send(buffer, read.bytes(), from, read.length());
  }
}
