package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Resource;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/// Requests in model files, some three bytes each: numbers of variable length, the place of a
/// request as its distance from the end of the one before.
///
/// Each request is its units, with a mark if it begins a block of a stream; then, if marked, the
/// stream and the space; then the distance. A request of no units ends them.
final class RequestCodec {
  private static final int MOST_UNITS = HybridForecaster.MOST_UNITS;
  private static final int MOST_REQUESTS = 1 << 18;

  /// Requests of more units in all are passed over: to index them would keep the host busy.
  private static final long MOST_INDEXED = 1 << 25;

  private final ResourceCodec codec;

  RequestCodec(ResourceCodec codec) {
    this.codec = codec;
  }

  /// What a writer remembers between two requests.
  private static final class At {
    int stream = -1;
    int space = -1;
    long end;
  }

  void write(RequestLog log, DataOutput out) throws IOException {
    At at = new At();
    IOException[] failed = new IOException[1];
    log.readAll((stream, unit, units) -> {
      try {
        write(at, stream, unit, units, out);
      } catch (IOException e) {
        failed[0] = e;
      }
    });
    if (failed[0] != null) {
      throw failed[0];
    }
    number(0, out);
  }

  private void write(At at, int stream, long unit, int units, DataOutput out) throws IOException {
    int space = Resource.space(unit);
    boolean isNew = stream != at.stream || space != at.space;
    number(((long) units << 1) | (isNew ? 1 : 0), out);
    if (isNew) {
      number(stream, out);
      number(codec.place(space), out);
      at.stream = stream;
      at.space = space;
      at.end = 0;
    }
    long distance = Resource.index(unit) - at.end;
    number((distance << 1) ^ (distance >> 63), out);
    at.end = Resource.index(unit) + units;
  }

  void read(DataInput in, RequestLog into) throws IOException {
    Map<Long, RequestLog.Stream> streams = new HashMap<>();
    RequestLog.Stream stream = null;
    int space = -1;
    long end = 0;
    long indexed = 0;
    long head = number(in);
    for (int requests = 0; head != 0; requests++, head = number(in)) {
      long units = head >>> 1;
      if (units < 1 || units > MOST_UNITS || requests == MOST_REQUESTS) {
        throw new ModelException("it has a request of " + units + " units");
      }
      if ((head & 1) != 0) {
        stream = streams.computeIfAbsent(number(in), _ -> into.open());
        space = codec.space(Math.clamp(number(in), -1, Integer.MAX_VALUE));
        end = 0;
      }
      if (stream == null) {
        throw new ModelException("it has a request of no stream");
      }
      long zigzag = number(in);
      long first = end + ((zigzag >>> 1) ^ -(zigzag & 1));
      end = first + units;
      Resource.of(space, end);
      long unit = Resource.of(space, first);
      indexed += units;
      if (indexed <= MOST_INDEXED) {
        into.append(stream, unit, (int) units);
      }
    }
  }

  private static void number(long number, DataOutput out) throws IOException {
    long left = number;
    while ((left & ~0x7FL) != 0) {
      out.writeByte((int) left | 0x80);
      left >>>= 7;
    }
    out.writeByte((int) left);
  }

  private static long number(DataInput in) throws IOException {
    long number = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte part = in.readByte();
      number |= (long) (part & 0x7F) << shift;
      if (part >= 0) {
        return number;
      }
    }
    throw new ModelException("it has a number of more than 64 bits");
  }
}
