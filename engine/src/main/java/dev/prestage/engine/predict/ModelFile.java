package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Spaces;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UTFDataFormatException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.function.Function;
import java.util.zip.CRC32C;

/// What was learnt about a program, as bytes that may travel to another host: magic, version,
/// length and CRC-32C of the rest, tenant and program, then the names of spaces and sections of
/// what the forecaster learnt. Big-endian. The first version had no sections and is read.
///
/// @param tenant whose program it is
/// @param program its name
/// @param forecaster what was learnt
public record ModelFile(String tenant, String program, HybridForecaster forecaster) {
  private static final long MAGIC = 0x5052455354414745L; // "PRESTAGE"
  private static final int VERSION = 2;
  private static final int FIRST_VERSION = 1;
  private static final int HEADER_BYTES = Long.BYTES + 3 * Integer.BYTES;

  /// The model as bytes.
  public byte[] encode(Spaces spaces) {
    var body = new ByteArrayOutputStream();
    try (var out = new DataOutputStream(body)) {
      out.writeUTF(tenant);
      out.writeUTF(program);
      forecaster.write(out, spaces);
    } catch (IOException e) {
      throw new UncheckedIOException("an array cannot fail", e);
    }
    byte[] bytes = body.toByteArray();
    return ByteBuffer.allocate(HEADER_BYTES + bytes.length)
        .putLong(MAGIC)
        .putInt(VERSION)
        .putInt(bytes.length)
        .putInt(checksum(bytes))
        .put(bytes)
        .array();
  }

  /// The model that the bytes hold; the buffer's position stays where it is.
  ///
  /// @throws ModelException with the reason if they hold none that can be used
  public static ModelFile decode(ByteBuffer file, Spaces spaces) throws ModelException {
    return decode(file, spaces, _ -> new HostKnowledge());
  }

  /// As [#decode(ByteBuffer, Spaces)], for a host whose programs have something in common.
  ///
  /// @param common what those of a tenant have
  public static ModelFile decode(
      ByteBuffer file, Spaces spaces, Function<String, HostKnowledge> common)
      throws ModelException {
    ByteBuffer in = file.slice();
    if (in.remaining() < HEADER_BYTES || in.getLong() != MAGIC) {
      throw new ModelException("it is not a Prestage model");
    }
    int version = in.getInt();
    if (version != VERSION && version != FIRST_VERSION) {
      throw new ModelException(
          "it has format version " + version + ", this Prestage reads " + VERSION);
    }
    int length = in.getInt();
    int checksum = in.getInt();
    if (length != in.remaining()) {
      throw new ModelException("it is cut: " + in.remaining() + " of " + length + " bytes");
    }
    byte[] bytes = new byte[length];
    in.get(bytes);
    if (checksum(bytes) != checksum) {
      throw new ModelException("its checksum is wrong: it was damaged");
    }
    try (var data = new DataInputStream(new ByteArrayInputStream(bytes))) {
      String tenant = data.readUTF();
      String program = data.readUTF();
      HostKnowledge host = common.apply(tenant);
      var model =
          new ModelFile(
              tenant,
              program,
              version == FIRST_VERSION
                  ? HybridForecaster.readFirst(data, spaces, host)
                  : HybridForecaster.read(data, spaces, host));
      if (version == VERSION && data.available() > 0) {
        throw new ModelException("it has " + data.available() + " bytes left over");
      }
      return model;
    } catch (ModelException e) {
      throw e;
    } catch (EOFException e) {
      throw new ModelException("it ends within what it announces");
    } catch (UTFDataFormatException | IllegalArgumentException e) {
      throw new ModelException("it is malformed: " + e.getMessage());
    } catch (IOException e) {
      throw new UncheckedIOException("an array cannot fail", e);
    }
  }

  /// Writes or reads the inside of a section.
  @FunctionalInterface
  interface Inside<T> {
    void with(T bytes) throws IOException;
  }

  static void section(DataOutput out, String name, int version, Inside<DataOutput> inside)
      throws IOException {
    var bytes = new ByteArrayOutputStream();
    inside.with(new DataOutputStream(bytes));
    out.writeUTF(name);
    out.writeInt(version);
    out.writeInt(bytes.size());
    out.write(bytes.toByteArray());
  }

  /// One section as it stands in the file.
  record Section(String name, int version, ByteArrayInputStream bytes) {
    /// Reads all of it.
    void read(Inside<DataInput> inside) throws IOException {
      var data = new DataInputStream(bytes);
      inside.with(data);
      if (data.available() > 0) {
        throw new ModelException(
            "its section '" + name + "' has " + data.available() + " bytes left over");
      }
    }
  }

  static Section section(DataInput in) throws IOException {
    String name = in.readUTF();
    int version = in.readInt();
    int announced = in.readInt();
    int most = in instanceof DataInputStream data ? data.available() : Integer.MAX_VALUE;
    if (announced > most) {
      throw new EOFException();
    }
    byte[] bytes = new byte[ResourceCodec.checkedSize(announced, most)];
    in.readFully(bytes);
    return new Section(name, version, new ByteArrayInputStream(bytes));
  }

  private static int checksum(byte[] bytes) {
    var crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }
}
