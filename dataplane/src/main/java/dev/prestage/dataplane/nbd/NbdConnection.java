package dev.prestage.dataplane.nbd;

import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.PendingRead;
import dev.prestage.dataplane.block.VerifiedReader;
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

  // Holds over 2,000 requests.
  private static final int IN_BYTES = 64 * 1024;
  // The largest read that is answered from one buffer; larger ones are rare and get memory of their
  // own. 1 MiB is what Linux asks for at most by default.
  private static final int MAX_INLINE_BYTES = 1 << 20;
  private static final int FIRST_OUT_BYTES = 128 * 1024;
  // Replies are not held back beyond this, so that the client works while the server reads on.
  private static final int BATCH_BYTES = 128 * 1024;
  private static final int LATE_BYTES = 64 * 1024;
  private static final int REPLY_ROOM =
      Nbd.STRUCTURED_REPLY_BYTES + Long.BYTES; // header and offset
  // Names are at most 4,096 bytes; larger options are refused, much larger ones end the connection.
  private static final int MAX_OPTION_BYTES = 64 * 1024;
  private static final int MAX_SKIPPED_BYTES = 1 << 20;
  private static final int MAX_OPTIONS = 1024;
  private static final int EXPORT_NAME_ZEROES = 124;

  private final SocketChannel channel;
  private final Exports exports;
  private final NbdLimits limits;
  private final ReplyMemory memory;
  private final Clock clock;
  private final Consumer<NbdConnection> ended;
  private final long beganNanos;
  private final VerifiedReader reader = new VerifiedReader();
  private final ByteBuffer in = ByteBuffer.allocateDirect(IN_BYTES).flip();
  private final ReentrantLock writing = new ReentrantLock();
  private ByteBuffer out = ByteBuffer.allocateDirect(FIRST_OUT_BYTES);
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

  // When the client last took something of what is being written; 0 while nothing is.
  private volatile long writingSinceNanos;

  NbdConnection(
      SocketChannel channel,
      Exports exports,
      NbdLimits limits,
      ReplyMemory memory,
      Clock clock,
      Consumer<NbdConnection> ended) {
    this.channel = channel;
    this.exports = exports;
    this.limits = limits;
    this.memory = memory;
    this.clock = clock;
    this.ended = ended;
    this.beganNanos = clock.nanos();
  }

  /// A read whose reply is written by the second thread.
  private final class LateRead extends PendingRead {
    final long cookie;

    LateRead(long cookie, long offset, int length, long arrivedNanos) {
      super(offset, length, arrivedNanos);
      this.cookie = cookie;
    }

    @Override
    protected void finished() {
      late.lock();
      try {
        if (!closed) {
          answered.add(this);
          lateChanged.signalAll();
          return;
        }
      } finally {
        late.unlock();
      }
      memory.giveBack(length());
    }
  }

  /// The client broke the protocol in a way that leaves nothing to answer.
  private static final class BrokenProtocol extends IOException {
    private static final long serialVersionUID = 1;

    BrokenProtocol(String message) {
      super(message);
    }
  }

  @Override
  public void run() {
    try {
      Disk chosen = negotiate();
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
      LOG.log(Level.INFO, "closing a connection whose client {0}", e.getMessage());
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "connection lost", e);
    } catch (OutOfMemoryError e) {
      LOG.log(
          Level.WARNING, "closing a connection, there is no memory for it: {0}", e.getMessage());
    } finally {
      close();
      ended.accept(this);
    }
  }

  boolean serves(Disk other) {
    return disk == other;
  }

  boolean isNegotiatingSince(long nanos) {
    return disk == null && beganNanos < nanos;
  }

  /// Whether it holds memory for replies and its client has taken nothing since.
  boolean isStuckSince(long nanos) {
    long since = writingSinceNanos;
    late.lock();
    try {
      return since != 0 && since < nanos && bytesInFlight > 0;
    } finally {
      late.unlock();
    }
  }

  /// Ends the connection; its threads end soon.
  void close() {
    int unsent = 0;
    late.lock();
    try {
      closed = true;
      for (LateRead read : answered) {
        unsent += read.length();
      }
      answered.clear();
      lateChanged.signalAll();
    } finally {
      late.unlock();
    }
    if (unsent > 0) {
      memory.giveBack(unsent);
    }
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "closing", e);
    }
  }

  // ---- handshake

  /// The disk that the client chose, or null if it went away in peace.
  private @Nullable Disk negotiate() throws IOException {
    out.putLong(Nbd.MAGIC).putLong(Nbd.OPTION_MAGIC);
    out.putShort((short) (Nbd.HANDSHAKE_FIXED_NEWSTYLE | Nbd.HANDSHAKE_NO_ZEROES));
    flush();
    need(Integer.BYTES);
    int clientFlags = in.getInt();
    int known = Nbd.HANDSHAKE_FIXED_NEWSTYLE | Nbd.HANDSHAKE_NO_ZEROES;
    if ((clientFlags & ~known) != 0) {
      throw new BrokenProtocol("sent unknown handshake flags " + clientFlags);
    }
    boolean zeroes = (clientFlags & Nbd.HANDSHAKE_NO_ZEROES) == 0;
    for (int i = 0; i < MAX_OPTIONS; i++) {
      need(Long.BYTES + 2 * Integer.BYTES);
      if (in.getLong() != Nbd.OPTION_MAGIC) {
        throw new BrokenProtocol("sent an option without its magic");
      }
      int option = in.getInt();
      int length = in.getInt();
      if (length < 0 || length > MAX_OPTION_BYTES) {
        refuseLong(option, length);
        continue;
      }
      byte[] data = new byte[length];
      take(data);
      ByteBuffer payload = ByteBuffer.wrap(data);
      switch (option) {
        case Nbd.OPTION_EXPORT_NAME -> {
          return exportName(new String(data, StandardCharsets.UTF_8), zeroes);
        }
        case Nbd.OPTION_ABORT -> {
          reply(option, Nbd.REPLY_ACK, new byte[0]);
          flush();
          return null;
        }
        case Nbd.OPTION_LIST -> list(option, length);
        case Nbd.OPTION_INFO, Nbd.OPTION_GO -> {
          Disk found = info(option, payload);
          if (found != null && option == Nbd.OPTION_GO) {
            flush();
            return found;
          }
        }
        case Nbd.OPTION_STRUCTURED_REPLY -> {
          if (length != 0) {
            refuse(option, Nbd.REPLY_ERROR_INVALID, "this option has no data");
          } else {
            structured = true;
            reply(option, Nbd.REPLY_ACK, new byte[0]);
          }
        }
        default -> refuse(option, Nbd.REPLY_ERROR_UNSUPPORTED, "option not supported");
      }
      flush();
    }
    throw new BrokenProtocol("sent more than " + MAX_OPTIONS + " options");
  }

  private void refuseLong(int option, int length) throws IOException {
    if (length < 0 || length > MAX_SKIPPED_BYTES) {
      throw new BrokenProtocol(
          "announced an option of " + Integer.toUnsignedString(length) + " bytes");
    }
    skip(length);
    if (option == Nbd.OPTION_EXPORT_NAME) {
      throw new BrokenProtocol("asked for an export with a name of " + length + " bytes");
    }
    refuse(
        option, Nbd.REPLY_ERROR_TOO_BIG, "at most " + MAX_OPTION_BYTES + " bytes of option data");
    flush();
  }

  private @Nullable Disk find(String name) {
    if (!name.isEmpty()) {
      return exports.find(name);
    }
    var names = exports.names();
    return names.size() == 1 ? exports.find(names.getFirst()) : null;
  }

  private String explainMissing(String name) {
    return name.isEmpty()
        ? "name an export: exactly one disk must be attached to leave it out, and there are "
            + exports.names().size()
        : "no disk is attached under the name '" + name + "'";
  }

  /// The oldest way to choose: it has no way to say no but to hang up.
  private Disk exportName(String name, boolean zeroes) throws IOException {
    Disk found = find(name);
    if (found == null) {
      throw new BrokenProtocol("asked for an export that is not there: " + explainMissing(name));
    }
    out.putLong(found.sizeBytes()).putShort(exportFlags());
    if (zeroes) {
      out.put(new byte[EXPORT_NAME_ZEROES]);
    }
    flush();
    return found;
  }

  private short exportFlags() {
    int flags = Nbd.FLAG_HAS_FLAGS | Nbd.FLAG_READ_ONLY | Nbd.FLAG_CAN_MULTI_CONN;
    return (short) (structured ? flags | Nbd.FLAG_SEND_DF : flags);
  }

  private void list(int option, int length) throws IOException {
    if (length != 0) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "this option has no data");
      return;
    }
    for (String name : exports.names()) {
      byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
      reply(
          option,
          Nbd.REPLY_SERVER,
          ByteBuffer.allocate(Integer.BYTES + utf8.length).putInt(utf8.length).put(utf8).array());
    }
    reply(option, Nbd.REPLY_ACK, new byte[0]);
  }

  private @Nullable Disk info(int option, ByteBuffer payload) throws IOException {
    if (payload.remaining() < Integer.BYTES + Short.BYTES) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "the option is cut short");
      return null;
    }
    int nameBytes = payload.getInt();
    if (nameBytes < 0 || nameBytes > payload.remaining() - Short.BYTES) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "the name is longer than the option");
      return null;
    }
    byte[] utf8 = new byte[nameBytes];
    payload.get(utf8);
    String name = new String(utf8, StandardCharsets.UTF_8);
    int requests = Short.toUnsignedInt(payload.getShort());
    if (payload.remaining() != requests * Short.BYTES) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "the list of requests has another length");
      return null;
    }
    Disk found = find(name);
    if (found == null) {
      refuse(option, Nbd.REPLY_ERROR_UNKNOWN, explainMissing(name));
      return null;
    }
    ByteBuffer export = ByteBuffer.allocate(2 * Short.BYTES + Long.BYTES);
    export.putShort((short) Nbd.INFO_EXPORT).putLong(found.sizeBytes()).putShort(exportFlags());
    reply(option, Nbd.REPLY_INFO, export.array());
    while (payload.hasRemaining()) {
      switch (payload.getShort()) {
        case Nbd.INFO_NAME -> {
          byte[] own = found.name().getBytes(StandardCharsets.UTF_8);
          ByteBuffer info = ByteBuffer.allocate(Short.BYTES + own.length);
          reply(option, Nbd.REPLY_INFO, info.putShort((short) Nbd.INFO_NAME).put(own).array());
        }
        case Nbd.INFO_BLOCK_SIZE -> {
          ByteBuffer info = ByteBuffer.allocate(Short.BYTES + 3 * Integer.BYTES);
          info.putShort((short) Nbd.INFO_BLOCK_SIZE).putInt(1);
          info.putInt(Nbd.PREFERRED_BLOCK_BYTES).putInt(Nbd.MAX_REQUEST_BYTES);
          reply(option, Nbd.REPLY_INFO, info.array());
        }
        default -> {
          // Other requests are hints that may stay unanswered.
        }
      }
    }
    reply(option, Nbd.REPLY_ACK, new byte[0]);
    return found;
  }

  private void refuse(int option, int error, String why) throws IOException {
    reply(option, error, why.getBytes(StandardCharsets.UTF_8));
  }

  private void reply(int option, int kind, byte[] data) throws IOException {
    if (out.remaining() < Long.BYTES + 3 * Integer.BYTES + data.length) {
      flush();
    }
    out.putLong(Nbd.OPTION_REPLY_MAGIC).putInt(option).putInt(kind).putInt(data.length).put(data);
  }

  // ---- transmission

  private void serve(Disk chosen) throws IOException {
    while (true) {
      if (in.remaining() < Nbd.REQUEST_BYTES) {
        flush();
        need(Nbd.REQUEST_BYTES);
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
          skip(length);
          error(cookie, Nbd.EPERM, "this disk is read-only");
        }
        case Nbd.COMMAND_TRIM, Nbd.COMMAND_WRITE_ZEROES ->
            error(cookie, Nbd.EPERM, "this disk is read-only");
        case Nbd.COMMAND_DISCONNECT -> {
          flush();
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
    if (out.remaining() < REPLY_ROOM + length) {
      flush();
      if (out.capacity() < REPLY_ROOM + length) {
        out = ByteBuffer.allocateDirect(MAX_INLINE_BYTES + REPLY_ROOM);
      }
    }
    int start = out.position();
    header(out, cookie, offset, length);
    if (!chosen.readNow(offset, length, out, reader)) {
      out.position(start);
      return false;
    }
    if (out.position() >= BATCH_BYTES) {
      flush();
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
    if (out.remaining() < REPLY_ROOM + why.length()) {
      flush();
    }
    error(out, cookie, error, why);
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
    // What is answered already must not wait behind what takes long.
    flush();
    awaitShare(chosen, length);
    if (!memory.take(length, () -> closed)) {
      throw new ClosedChannelException();
    }
    LateRead read;
    try {
      read = new LateRead(cookie, offset, length, arrivedNanos);
    } catch (OutOfMemoryError e) {
      memory.giveBack(length);
      throw e;
    }
    chosen.readLater(read, reader);
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

  private void writeLate() {
    ByteBuffer buffer = ByteBuffer.allocateDirect(LATE_BYTES);
    try {
      LateRead read = nextAnswered();
      while (read != null) {
        try {
          write(read, buffer);
        } finally {
          memory.giveBack(read.length());
        }
        late.lock();
        try {
          requestsInFlight--;
          bytesInFlight -= read.length();
          lateChanged.signalAll();
        } finally {
          late.unlock();
        }
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
    int sent = failure != null ? read.length() : 0;
    writing.lock();
    try {
      do {
        int count = Math.min(buffer.remaining(), read.length() - sent);
        writeAll(buffer.put(read.bytes(), sent, count).flip());
        buffer.clear();
        sent += count;
      } while (sent < read.length());
    } finally {
      writing.unlock();
    }
  }

  // ---- bytes

  private void flush() throws IOException {
    if (out.position() > 0) {
      writing.lock();
      try {
        writeAll(out.flip());
      } finally {
        writing.unlock();
        out.clear();
      }
    }
  }

  private void writeAll(ByteBuffer bytes) throws IOException {
    try {
      while (bytes.hasRemaining()) {
        writingSinceNanos = clock.nanos();
        channel.write(bytes);
      }
    } finally {
      writingSinceNanos = 0;
    }
  }

  /// Waits until so many bytes lie in the buffer.
  private void need(int bytes) throws IOException {
    if (in.remaining() >= bytes) {
      return;
    }
    in.compact();
    try {
      while (in.position() < bytes) {
        if (channel.read(in) < 0) {
          throw new EOFException();
        }
      }
    } finally {
      in.flip();
    }
  }

  private void take(byte[] into) throws IOException {
    for (int at = 0; at < into.length; ) {
      need(1);
      int count = Math.min(in.remaining(), into.length - at);
      in.get(into, at, count);
      at += count;
    }
  }

  private void skip(int bytes) throws IOException {
    for (int left = bytes; left > 0; ) {
      flush();
      need(1);
      int count = Math.min(in.remaining(), left);
      in.position(in.position() + count);
      left -= count;
    }
  }
}
