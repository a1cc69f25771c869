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
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.function.Function;

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
    return new Envelope(VERSION, body.toByteArray()).seal(MAGIC);
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
    Envelope envelope = Envelope.open(file, MAGIC, "a Prestage model", FIRST_VERSION, VERSION);
    return envelope.read(in -> {
      String tenant = in.readUTF();
      String program = in.readUTF();
      HostKnowledge host = common.apply(tenant);
      if (envelope.version() == VERSION) {
        return new ModelFile(tenant, program, HybridForecaster.read(in, spaces, host));
      }
      var first = new ModelFile(tenant, program, HybridForecaster.readFirst(in, spaces, host));
      in.skipNBytes(in.available()); // its table of successors is not used
      return first;
    });
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
}
