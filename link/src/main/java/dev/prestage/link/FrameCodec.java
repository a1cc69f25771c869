package dev.prestage.link;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.Frame.AccessRecord;
import dev.prestage.link.Frame.Accesses;
import dev.prestage.link.Frame.Answer;
import dev.prestage.link.Frame.Bind;
import dev.prestage.link.Frame.BoundAll;
import dev.prestage.link.Frame.Cancel;
import dev.prestage.link.Frame.Counter;
import dev.prestage.link.Frame.Evicted;
import dev.prestage.link.Frame.HeldLease;
import dev.prestage.link.Frame.Hello;
import dev.prestage.link.Frame.Leases;
import dev.prestage.link.Frame.Purge;
import dev.prestage.link.Frame.Reclaim;
import dev.prestage.link.Frame.Resident;
import dev.prestage.link.Frame.Stage;
import dev.prestage.link.Frame.Status;
import dev.prestage.link.Frame.Trouble;
import dev.prestage.link.Frame.Unbind;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// Frames to bytes and back. A frame's kind is its number below; numbers are never reused.
public final class FrameCodec {
  /// The protocol's version. It rises when a frame changes its meaning or layout.
  public static final int VERSION = 5;

  /// The largest frame: the resident units of 8 TiB in blocks are 16 MiB of bits.
  public static final int MAX_BYTES = 17 * 1024 * 1024;

  private static final byte HELLO = 1;
  private static final byte BIND = 2;
  private static final byte UNBIND = 3;
  private static final byte BOUND_ALL = 4;
  private static final byte STAGE = 5;
  private static final byte CANCEL = 6;
  private static final byte RECLAIM = 7;
  private static final byte ANSWER = 8;
  private static final byte ACCESSES = 9;
  private static final byte LEASES = 10;
  private static final byte HELD_LEASE = 11;
  private static final byte RESIDENT = 12;
  private static final byte EVICTED = 13;
  private static final byte STATUS = 14;
  private static final byte TROUBLE = 15;
  private static final byte PURGE = 16;

  // The place in the list is the number on the wire; new ones go to the end.
  private static final List<AccessType> TYPES =
      List.of(
          AccessType.READ,
          AccessType.WRITE,
          AccessType.EXECUTE,
          AccessType.UNKNOWN,
          AccessType.RELEASE);
  private static final List<ResourceType> RESOURCES =
      List.of(
          ResourceType.FILE_BLOCK,
          ResourceType.MEMORY_PAGE,
          ResourceType.NETWORK_CONNECTION,
          ResourceType.IO_BANDWIDTH);
  private static final List<Measure> MEASURES =
      List.of(Measure.BYTES, Measure.CONNECTIONS, Measure.BYTES_PER_SECOND);
  private static final List<Cause> CAUSES =
      List.of(Cause.DEMAND, Cause.PREFETCH, Cause.READAHEAD, Cause.MAINTENANCE);

  private FrameCodec() {}

  /// The frame as bytes: kind and payload, without the length.
  public static byte[] encode(Frame frame) {
    var bytes = new ByteArrayOutputStream(64);
    try (var out = new DataOutputStream(bytes)) {
      write(frame, out);
    } catch (IOException e) {
      throw new UncheckedIOException("an array cannot fail", e);
    }
    return bytes.toByteArray();
  }

  /// The frame that the bytes hold.
  ///
  /// @throws ProtocolException if the bytes are no frame
  public static Frame decode(ByteBuffer in) throws ProtocolException {
    try {
      Frame frame = read(in);
      if (in.hasRemaining()) {
        throw new ProtocolException(in.remaining() + " bytes too many after " + frame);
      }
      return frame;
    } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
      throw new ProtocolException("malformed frame: " + e, e);
    }
  }

  private static void write(Frame frame, DataOutputStream out) throws IOException {
    switch (frame) {
      case Hello(int version, long pid, long instance) -> {
        out.writeByte(HELLO);
        out.writeInt(version);
        out.writeLong(pid);
        out.writeLong(instance);
      }
      case Bind(
              long requestId,
              int binding,
              String name,
              int space,
              ResourceType type,
              String tenant,
              String source) -> {
        out.writeByte(BIND);
        out.writeLong(requestId);
        out.writeInt(binding);
        writeText(name, out);
        out.writeInt(space);
        out.writeByte(RESOURCES.indexOf(type));
        writeText(tenant, out);
        writeText(source, out);
      }
      case Unbind(long requestId, int binding) -> {
        out.writeByte(UNBIND);
        out.writeLong(requestId);
        out.writeInt(binding);
      }
      case Purge(long requestId, String tenant, String source) -> {
        out.writeByte(PURGE);
        out.writeLong(requestId);
        writeText(tenant, out);
        writeText(source, out);
      }
      case BoundAll() -> out.writeByte(BOUND_ALL);
      case Stage(Lease lease) -> {
        out.writeByte(STAGE);
        writeLease(lease, out);
      }
      case Cancel(long leaseId) -> {
        out.writeByte(CANCEL);
        out.writeLong(leaseId);
      }
      case Reclaim(long leaseId) -> {
        out.writeByte(RECLAIM);
        out.writeLong(leaseId);
      }
      case Answer(long requestId, long amount, Shape shape, String address, String error) -> {
        out.writeByte(ANSWER);
        out.writeLong(requestId);
        out.writeLong(amount);
        writeShape(shape, out);
        writeText(address, out);
        writeText(error, out);
      }
      case Accesses(List<AccessRecord> records) -> {
        out.writeByte(ACCESSES);
        out.writeInt(records.size());
        for (AccessRecord record : records) {
          writeAccess(record, out);
        }
      }
      case Leases(List<LeaseState> states) -> {
        out.writeByte(LEASES);
        out.writeInt(states.size());
        for (LeaseState state : states) {
          writeState(state, out);
        }
      }
      case HeldLease(Lease lease, LeaseState state) -> {
        out.writeByte(HELD_LEASE);
        writeLease(lease, out);
        writeState(state, out);
      }
      case Resident(int space, BitSet units) -> {
        out.writeByte(RESIDENT);
        out.writeInt(space);
        byte[] bits = units.toByteArray();
        out.writeInt(bits.length);
        out.write(bits);
      }
      case Evicted(int space, long first, int units) -> {
        out.writeByte(EVICTED);
        out.writeInt(space);
        out.writeLong(first);
        out.writeInt(units);
      }
      case Status(List<Counter> counters) -> {
        out.writeByte(STATUS);
        out.writeInt(counters.size());
        for (Counter counter : counters) {
          writeText(counter.name(), out);
          writeText(counter.label(), out);
          out.writeLong(counter.value());
        }
      }
      case Trouble(String kind, String text) -> {
        out.writeByte(TROUBLE);
        writeText(kind, out);
        writeText(text, out);
      }
    }
  }

  private static Frame read(ByteBuffer in) throws ProtocolException {
    byte kind = in.get();
    return switch (kind) {
      case HELLO -> new Hello(in.getInt(), in.getLong(), in.getLong());
      case BIND ->
          new Bind(
              in.getLong(),
              in.getInt(),
              readText(in),
              in.getInt(),
              RESOURCES.get(in.get()),
              readText(in),
              readText(in));
      case UNBIND -> new Unbind(in.getLong(), in.getInt());
      case PURGE -> new Purge(in.getLong(), readText(in), readText(in));
      case BOUND_ALL -> new BoundAll();
      case STAGE -> new Stage(readLease(in));
      case CANCEL -> new Cancel(in.getLong());
      case RECLAIM -> new Reclaim(in.getLong());
      case ANSWER ->
          new Answer(in.getLong(), in.getLong(), readShape(in), readText(in), readText(in));
      case ACCESSES -> new Accesses(readList(in, () -> readAccess(in)));
      case LEASES -> new Leases(readList(in, () -> readState(in)));
      case HELD_LEASE -> new HeldLease(readLease(in), readState(in));
      case RESIDENT -> {
        int space = in.getInt();
        ByteBuffer bits = in.slice(in.position() + Integer.BYTES, in.getInt());
        in.position(in.position() + bits.remaining());
        yield new Resident(space, BitSet.valueOf(bits));
      }
      case EVICTED -> new Evicted(in.getInt(), in.getLong(), in.getInt());
      case STATUS ->
          new Status(readList(in, () -> new Counter(readText(in), readText(in), in.getLong())));
      case TROUBLE -> new Trouble(readText(in), readText(in));
      default -> throw new ProtocolException("unknown frame kind " + kind);
    };
  }

  private static void writeShape(@Nullable Shape shape, DataOutputStream out) throws IOException {
    out.writeBoolean(shape != null);
    if (shape != null) {
      out.writeLong(shape.amount());
      out.writeLong(shape.unitAmount());
      out.writeByte(MEASURES.indexOf(shape.measure()));
      out.writeInt(shape.depth());
    }
  }

  private static @Nullable Shape readShape(ByteBuffer in) {
    return in.get() == 0
        ? null
        : new Shape(in.getLong(), in.getLong(), MEASURES.get(in.get()), in.getInt());
  }

  private static void writeLease(Lease lease, DataOutputStream out) throws IOException {
    out.writeLong(lease.id());
    out.writeInt(lease.binding());
    out.writeInt(lease.space());
    out.writeLong(lease.first());
    out.writeInt(lease.units());
    out.writeInt(lease.pool());
    out.writeFloat(lease.probability());
    out.writeInt(lease.experts());
    out.writeLong(lease.dueNanos());
    out.writeLong(lease.untilNanos());
  }

  private static Lease readLease(ByteBuffer in) {
    return new Lease(
        in.getLong(),
        in.getInt(),
        new Range(in.getInt(), in.getLong(), in.getInt()),
        in.getInt(),
        in.getFloat(),
        in.getInt(),
        in.getLong(),
        in.getLong());
  }

  private static void writeState(LeaseState state, DataOutputStream out) throws IOException {
    out.writeLong(state.leaseId());
    out.writeLong(state.ready());
    out.writeLong(state.useful());
    out.writeLong(state.late());
    out.writeLong(state.unused());
    out.writeLong(state.redundant());
    out.writeLong(state.failed());
    out.writeLong(state.cancelled());
    out.writeLong(state.unobserved());
    out.writeLong(state.leadNanos());
  }

  private static LeaseState readState(ByteBuffer in) {
    return new LeaseState(
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong(),
        in.getLong());
  }

  private static void writeAccess(AccessRecord record, DataOutputStream out) throws IOException {
    out.writeInt(record.binding());
    out.writeInt(record.space());
    out.writeLong(record.offset());
    out.writeInt(record.amount());
    out.writeLong(record.timeNanos());
    out.writeByte(TYPES.indexOf(record.type()));
    out.writeByte(CAUSES.indexOf(record.cause()));
    out.writeBoolean(record.waited());
    out.writeLong(record.latencyNanos());
  }

  private static AccessRecord readAccess(ByteBuffer in) {
    return new AccessRecord(
        in.getInt(),
        in.getInt(),
        in.getLong(),
        in.getInt(),
        in.getLong(),
        TYPES.get(in.get()),
        CAUSES.get(in.get()),
        in.get() != 0,
        in.getLong());
  }

  private static void writeText(String text, DataOutputStream out) throws IOException {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    out.writeInt(utf8.length);
    out.write(utf8);
  }

  private static String readText(ByteBuffer in) {
    int length = in.getInt();
    if (length < 0 || length > in.remaining()) {
      throw new IllegalArgumentException("text of " + length + " bytes");
    }
    byte[] utf8 = new byte[length];
    in.get(utf8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  private static <T> List<T> readList(ByteBuffer in, Supplier<T> element) {
    int size = in.getInt();
    if (size < 0 || size > in.remaining()) {
      throw new IllegalArgumentException("list of " + size + " elements");
    }
    var list = new ArrayList<T>(Math.min(size, 4096));
    for (int i = 0; i < size; i++) {
      list.add(element.get());
    }
    return list;
  }
}
