package dev.prestage.simulator.trace;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// A file of little-endian binary records, one after the other.
final class Records implements Position {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final Source source;
  private final int recordBytes;
  private int at;
  private long number;

  Records(Source source, int recordBytes) {
    this.source = source;
    this.recordBytes = recordBytes;
  }

  /// Goes to the next record.
  ///
  /// @return false if the file ends before it
  /// @throws TraceException if the file ends within it
  boolean next() throws IOException {
    while (source.to() - source.from() < recordBytes) {
      if (!source.more()) {
        int rest = source.to() - source.from();
        if (rest == 0) {
          return false;
        }
        number++;
        throw wrong("the file ends after " + rest + " of the record's " + recordBytes + " bytes");
      }
    }
    number++;
    at = source.from();
    source.skipTo(at + recordBytes);
    return true;
  }

  /// How many records there were, this one included.
  long number() {
    return number;
  }

  /// Makes messages speak of an earlier record.
  void speakOf(long record) {
    number = record;
  }

  int byteAt(int offset) {
    return source.buffer()[at + offset] & 0xff;
  }

  int u16(int offset) {
    return (short) SHORT.get(source.buffer(), at + offset) & 0xffff;
  }

  long u32(int offset) {
    return (int) INT.get(source.buffer(), at + offset) & 0xffff_ffffL;
  }

  long i64(int offset) {
    return (long) LONG.get(source.buffer(), at + offset);
  }

  @Override
  public TraceException wrong(String what) {
    return new TraceException(source.fileName() + ", " + place() + ": " + what);
  }

  @Override
  public String place() {
    return "record " + number;
  }
}
