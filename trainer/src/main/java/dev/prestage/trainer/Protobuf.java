package dev.prestage.trainer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/// A message in the wire format of Protocol Buffers, field by field: as much of it as a model in
/// ONNX takes.
final class Protobuf {
  private static final int VARINT = 0;
  private static final int LENGTH_DELIMITED = 2;
  private static final int WIRE_TYPE_BITS = 3;
  private static final int MORE = 0x80;
  private static final int SEVEN_BITS = 0x7f;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  /// Adds a field that holds a number.
  Protobuf number(int field, long value) {
    varint((long) field << WIRE_TYPE_BITS | VARINT);
    varint(value);
    return this;
  }

  /// Adds a field that holds text.
  Protobuf text(int field, String value) {
    return octets(field, value.getBytes(StandardCharsets.UTF_8));
  }

  /// Adds a field that holds another message.
  Protobuf message(int field, Protobuf value) {
    return octets(field, value.toByteArray());
  }

  /// Adds a field that holds bytes.
  Protobuf octets(int field, byte[] value) {
    varint((long) field << WIRE_TYPE_BITS | LENGTH_DELIMITED);
    varint(value.length);
    bytes.writeBytes(value);
    return this;
  }

  private void varint(long value) {
    long left = value;
    while ((left & ~SEVEN_BITS) != 0) {
      bytes.write((int) (left & SEVEN_BITS) | MORE);
      left >>>= 7;
    }
    bytes.write((int) left);
  }

  byte[] toByteArray() {
    return bytes.toByteArray();
  }
}
