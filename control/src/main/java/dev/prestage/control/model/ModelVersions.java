package dev.prestage.control.model;

import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.resource.Program;
import dev.prestage.link.host.AtomicFile;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UTFDataFormatException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Earlier models of each program, as they were when another one took their place, the newest few:
/// `<tenant>/<program>.versions/<number>.version`, and beside them `serving`, which says where the
/// model that serves comes from. A model that learns on is one version; only what replaces it makes
/// a new one.
///
/// Each file is magic, version, length and CRC-32C of the rest; then the provenance, the number of
/// the version, its runs, and for an earlier one the model as [ModelBundle] has it. Big-endian.
///
/// A replacement is [#keep], the swap, [#replaced], in this order. A process that ends in between
/// leaves the number that serves among the kept ones: then nobody knows which of the two serves,
/// and it has the next number.
///
/// Threading: any thread but the engine's, because files are read and synced; one at a time.
public final class ModelVersions {
  /// At most 16 MB each.
  static final int MOST_KEPT = 3;

  private static final long MAGIC = 0x505245535645524eL; // "PRESVERN"
  private static final int VERSION = 1;
  private static final int HEAD_BYTES = Long.BYTES + 3 * Integer.BYTES;
  private static final String SERVING = "serving";
  private static final Pattern FILE = Pattern.compile("([1-9][0-9]{0,8})\\.version");

  private final Path folder;

  /// @param folder of the models
  public ModelVersions(Path folder) {
    this.folder = folder;
  }

  /// One version.
  ///
  /// @param runs that it was learnt from; of the one that serves 0, because it learns on
  /// @param bytes the size of its file; of the one that serves 0
  /// @param trouble empty, or why it cannot be used
  public record Version(
      int number, @Nullable Provenance provenance, int runs, long bytes, String trouble) {}

  @SuppressWarnings("ArrayRecordComponent") // bytes of a file, not compared
  private record File(int number, Provenance provenance, int runs, byte[] model) {}

  /// The versions that are kept, the newest first.
  public List<Version> kept(Program.Key program) throws IOException {
    List<Version> versions = new ArrayList<>();
    for (int number : numbers(program)) {
      Path file = file(program, number);
      try {
        byte[] bytes = Files.readAllBytes(file);
        File read = decode(bytes);
        versions.add(new Version(number, read.provenance(), read.runs(), bytes.length, ""));
      } catch (IOException e) {
        versions.add(new Version(number, null, 0, 0, e.getMessage() + ""));
      }
    }
    return versions;
  }

  /// The version that serves.
  public Version serving(Program.Key program) throws IOException {
    List<Integer> kept = numbers(program);
    int newest = kept.isEmpty() ? 0 : kept.getFirst();
    String trouble = "";
    try {
      File said = decode(Files.readAllBytes(folder(program).resolve(SERVING)));
      if (said.number() > newest) {
        return new Version(said.number(), said.provenance(), 0, 0, "");
      }
    } catch (NoSuchFileException e) {
      if (newest == 0) {
        return new Version(1, Provenance.of(Provenance.LEARNT, 0, ""), 0, 0, "");
      }
    } catch (IOException e) {
      trouble = e.getMessage() + "";
    }
    String line = "the process ended while it took the place of version " + newest;
    return new Version(newest + 1, Provenance.of(Provenance.UNKNOWN, 0, line), 0, 0, trouble);
  }

  /// Keeps the model that serves, because another one is about to take its place.
  ///
  /// @param model what it has learnt, as [ModelBundle] has it
  /// @return its number
  /// @throws IOException with one line if it cannot be kept; then nothing has changed
  public int keep(Program.Key program, byte[] model, int runs) throws IOException {
    Version serving = serving(program);
    Provenance provenance = serving.provenance();
    if (provenance == null) {
      throw new IllegalStateException("a model that serves comes from somewhere");
    }
    Path file = file(program, serving.number());
    try {
      AtomicFile.write(file, encode(new File(serving.number(), provenance, runs, model)));
    } catch (IOException e) {
      throw new IOException(
          "the model that serves cannot be kept as "
              + file
              + " ("
              + e
              + "), so it goes on to serve",
          e);
    }
    return serving.number();
  }

  /// Another model did not take the place of the one that was kept last.
  public void takeBack(Program.Key program, int number) throws IOException {
    Files.deleteIfExists(file(program, number));
  }

  /// Another model took the place of the one that was kept last, if any was.
  public void replaced(Program.Key program, Provenance provenance) throws IOException {
    List<Integer> kept = numbers(program);
    int number = Math.max(kept.isEmpty() ? 0 : kept.getFirst(), written(program)) + 1;
    AtomicFile.write(
        folder(program).resolve(SERVING), encode(new File(number, provenance, 0, new byte[0])));
    for (int old : kept.subList(Math.min(MOST_KEPT, kept.size()), kept.size())) {
      Files.deleteIfExists(file(program, old));
    }
  }

  /// The number that was written last for the model that serves, or 0.
  private int written(Program.Key program) {
    try {
      return decode(Files.readAllBytes(folder(program).resolve(SERVING))).number();
    } catch (IOException e) {
      return 0;
    }
  }

  /// An earlier model.
  ///
  /// @param number of the version, or null for the newest one
  /// @return its number and its bytes
  /// @throws ModelException with the reason if there is none that can be used
  public Earlier earlier(Program.Key program, @Nullable Integer number) throws IOException {
    List<Integer> kept = numbers(program);
    if (kept.isEmpty()) {
      throw new ModelException("no earlier model of " + program.name() + " is kept");
    }
    int wanted = number == null ? kept.getFirst() : number;
    if (!kept.contains(wanted)) {
      throw new ModelException(
          "version " + wanted + " of " + program.name() + " is not kept; kept: " + kept);
    }
    try {
      return new Earlier(
          wanted, ByteBuffer.wrap(decode(Files.readAllBytes(file(program, wanted))).model()));
    } catch (IOException e) {
      throw new ModelException(
          "version " + wanted + " of " + program.name() + " cannot be used: " + e.getMessage());
    }
  }

  /// One that served before.
  ///
  /// @param model as [ModelBundle] has it
  public record Earlier(int number, ByteBuffer model) {}

  /// The numbers of the versions that are kept, the newest first.
  private List<Integer> numbers(Program.Key program) throws IOException {
    Path versions = folder(program);
    if (!Files.isDirectory(versions)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(versions)) {
      return files
          .map(file -> FILE.matcher(String.valueOf(file.getFileName())))
          .filter(Matcher::matches)
          .map(found -> Integer.parseInt(found.group(1)))
          .sorted(Comparator.reverseOrder())
          .toList();
    }
  }

  private Path folder(Program.Key program) {
    return folder.resolve(program.tenant()).resolve(program.name() + ".versions");
  }

  private Path file(Program.Key program, int number) {
    return folder(program).resolve(number + ".version");
  }

  private static byte[] encode(File file) throws IOException {
    var body = new ByteArrayOutputStream();
    try (var out = new DataOutputStream(body)) {
      file.provenance().write(out);
      out.writeInt(file.number());
      out.writeInt(file.runs());
      out.writeInt(file.model().length);
      out.write(file.model());
    }
    byte[] bytes = body.toByteArray();
    return ByteBuffer.allocate(HEAD_BYTES + bytes.length)
        .putLong(MAGIC)
        .putInt(VERSION)
        .putInt(bytes.length)
        .putInt(ModelBundle.checksum(bytes))
        .put(bytes)
        .array();
  }

  private static File decode(byte[] file) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(file);
    if (in.remaining() < HEAD_BYTES || in.getLong() != MAGIC) {
      throw new ModelException("it is no version of a model");
    }
    int version = in.getInt();
    if (version != VERSION) {
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
    if (ModelBundle.checksum(bytes) != checksum) {
      throw new ModelException("its checksum is wrong: it was damaged");
    }
    try (var data = new DataInputStream(new ByteArrayInputStream(bytes))) {
      Provenance provenance = Provenance.read(data);
      int number = data.readInt();
      int runs = data.readInt();
      byte[] model = new byte[data.readInt()];
      data.readFully(model);
      return new File(number, provenance, runs, model);
    } catch (EOFException e) {
      throw new ModelException("it ends within what it announces");
    } catch (UTFDataFormatException | IllegalArgumentException | NegativeArraySizeException e) {
      throw new ModelException("it is malformed: " + e.getMessage());
    }
  }
}
