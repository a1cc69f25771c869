package dev.prestage.control.model;

import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.zip.CRC32C;

/// All that was learnt about a program, of each type of resources, as bytes that may travel.
///
/// What was learnt of disks only is a [ModelFile], which hosts of earlier releases read, too. Else
/// the bytes are magic, version and number of parts; each part is the text of its type, a length
/// and a [ModelFile], which has a checksum of its own; a text is its length in a byte and ASCII.
/// Big-endian.
///
/// @param models one at least, all of one program
public record ModelBundle(SortedMap<ResourceType, ModelFile> models) {
  private static final long MAGIC = 0x50524553414c4c54L; // "PRESALLT"
  private static final int VERSION = 1;
  private static final int HEAD_BYTES = Long.BYTES + 2 * Integer.BYTES;
  private static final int PART_HEAD_BYTES = 1 + Integer.BYTES;

  public ModelBundle {
    if (models.isEmpty()) {
      throw new IllegalArgumentException("a bundle has one model at least");
    }
    models = new TreeMap<>(models);
  }

  /// Whose program it is.
  public String tenant() {
    return first().tenant();
  }

  /// The program's name.
  public String program() {
    return first().program();
  }

  /// Of its models the most runs that one was learnt from.
  public int runs() {
    return models.values().stream().mapToInt(model -> model.forecaster().runs()).max().orElse(0);
  }

  /// The resources of all its models.
  public int resources() {
    return models.values().stream().mapToInt(model -> model.forecaster().resources()).sum();
  }

  private ModelFile first() {
    return models.firstEntry().getValue();
  }

  /// The bundle as bytes.
  public byte[] encode(Spaces spaces) {
    Map<ResourceType, byte[]> parts = new EnumMap<>(ResourceType.class);
    int length = HEAD_BYTES;
    for (Map.Entry<ResourceType, ModelFile> each : models.entrySet()) {
      byte[] bytes = each.getValue().encode(spaces);
      parts.put(each.getKey(), bytes);
      length += PART_HEAD_BYTES + each.getKey().text().length() + bytes.length;
    }
    byte[] blocks = parts.get(ResourceType.FILE_BLOCK);
    if (blocks != null && parts.size() == 1) {
      return blocks;
    }
    ByteBuffer all = ByteBuffer.allocate(length).putLong(MAGIC).putInt(VERSION);
    all.putInt(parts.size());
    parts.forEach((type, bytes) -> {
      byte[] text = type.text().getBytes(StandardCharsets.US_ASCII);
      all.put((byte) text.length).put(text).putInt(bytes.length).put(bytes);
    });
    return all.array();
  }

  /// The bundle that the bytes hold; the buffer's position stays where it is.
  ///
  /// @param common what programs of a tenant have in common of a type
  /// @throws ModelException with the reason if they hold none that can be used
  public static ModelBundle decode(
      ByteBuffer file, Spaces spaces, BiFunction<String, ResourceType, HostKnowledge> common)
      throws ModelException {
    SortedMap<ResourceType, ModelFile> models = new TreeMap<>();
    ByteBuffer in = file.slice();
    if (in.remaining() < HEAD_BYTES || in.getLong() != MAGIC) {
      models.put(
          ResourceType.FILE_BLOCK, part(file.slice(), ResourceType.FILE_BLOCK, spaces, common));
      return new ModelBundle(models);
    }
    int version = in.getInt();
    if (version != VERSION) {
      throw new ModelException(
          "it has format version "
              + version
              + " of several models, this Prestage reads "
              + VERSION);
    }
    try {
      int count = in.getInt();
      for (int i = 0; i < count; i++) {
        ResourceType type = type(in);
        int length = in.getInt();
        if (length < 0 || length > in.remaining()) {
          throw new ModelException("it is cut: " + in.remaining() + " of " + length + " bytes");
        }
        ModelFile model = part(in.slice(in.position(), length), type, spaces, common);
        in.position(in.position() + length);
        if (models.put(type, model) != null) {
          throw new ModelException("it has two models of type " + type.text());
        }
      }
    } catch (BufferUnderflowException e) {
      throw new ModelException("it ends within what it announces");
    }
    if (models.isEmpty() || in.hasRemaining()) {
      throw new ModelException(
          models.isEmpty() ? "it holds no model" : "it has " + in.remaining() + " bytes left over");
    }
    ModelBundle bundle = new ModelBundle(models);
    for (ModelFile model : bundle.models().values()) {
      if (!model.tenant().equals(bundle.tenant()) || !model.program().equals(bundle.program())) {
        throw new ModelException("its models are of several programs");
      }
    }
    return bundle;
  }

  /// Of bytes that are kept: CRC-32C.
  static int checksum(byte[] bytes) {
    var crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  /// Whose models bytes hold, all of which can be used; nothing is told to anybody.
  ///
  /// @throws ModelException with the reason if they hold none that can be used
  public static ModelBundle check(ByteBuffer bytes) throws ModelException {
    return decode(bytes, new Numbers(), (_, _) -> new HostKnowledge());
  }

  /// A numbering of spaces that belongs to no host.
  public static final class Numbers implements Spaces {
    private final Map<Name, Integer> numbers = new HashMap<>();
    private final List<Name> names = new ArrayList<>();

    @Override
    public int number(Name name) {
      return numbers.computeIfAbsent(
          name,
          each -> {
            names.add(each);
            return names.size() - 1;
          });
    }

    @Override
    public Name name(int number) {
      return names.get(number);
    }
  }

  private static ModelFile part(
      ByteBuffer bytes,
      ResourceType type,
      Spaces spaces,
      BiFunction<String, ResourceType, HostKnowledge> common)
      throws ModelException {
    return ModelFile.decode(
        bytes, new SpacesOf(type, spaces), tenant -> common.apply(tenant, type));
  }

  /// The host's numbering for the spaces of one type; a model of another type is malformed.
  private record SpacesOf(ResourceType type, Spaces spaces) implements Spaces {
    @Override
    public int number(Name name) {
      if (name.type() != type) {
        throw new IllegalArgumentException(
            "its model of type " + type.text() + " speaks of a " + name.type().text());
      }
      return spaces.number(name);
    }

    @Override
    public Name name(int number) {
      return spaces.name(number);
    }
  }

  private static ResourceType type(ByteBuffer in) throws ModelException {
    byte[] text = new byte[Byte.toUnsignedInt(in.get())];
    in.get(text);
    try {
      return ResourceType.of(new String(text, StandardCharsets.US_ASCII));
    } catch (IllegalArgumentException e) {
      throw new ModelException("it has a model of an " + e.getMessage());
    }
  }
}
