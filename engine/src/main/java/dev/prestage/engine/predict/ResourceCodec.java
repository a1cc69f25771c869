package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/// Resources in model files: the file has a table of the spaces' names, and a resource is a place
/// in that table and an index. Space numbers stay on their host.
final class ResourceCodec {
  /// More spaces than any program touches; a larger table is a damaged file.
  private static final int MAX_SPACES = 4096;

  private final List<Integer> numbers = new ArrayList<>();

  private ResourceCodec() {}

  /// A codec for the given resources' spaces, after writing their names.
  static ResourceCodec write(List<Integer> numbers, Spaces spaces, DataOutput out)
      throws IOException {
    ResourceCodec codec = new ResourceCodec();
    codec.numbers.addAll(numbers);
    out.writeInt(numbers.size());
    for (int number : numbers) {
      Spaces.Name name = spaces.name(number);
      out.writeUTF(name.tenant());
      out.writeUTF(name.type().text());
      out.writeUTF(name.name());
    }
    return codec;
  }

  /// A codec for a table of names that is read first.
  static ResourceCodec read(Spaces spaces, DataInput in) throws IOException {
    ResourceCodec codec = new ResourceCodec();
    int size = checkedSize(in.readInt(), MAX_SPACES);
    for (int i = 0; i < size; i++) {
      String tenant = in.readUTF();
      ResourceType type = ResourceType.of(in.readUTF());
      codec.numbers.add(spaces.number(new Spaces.Name(tenant, type, in.readUTF())));
    }
    return codec;
  }

  void write(long resource, DataOutput out) throws IOException {
    out.writeInt(place(Resource.space(resource)));
    out.writeLong(Resource.index(resource));
  }

  long read(DataInput in) throws IOException {
    return Resource.of(space(in.readInt()), in.readLong());
  }

  /// The place of a space in the file's table.
  int place(int space) {
    return numbers.indexOf(space);
  }

  /// The space at a place of that table.
  int space(int place) throws ModelException {
    if (place < 0 || place >= numbers.size()) {
      throw new ModelException("it speaks of space " + place + " of " + numbers.size());
    }
    return numbers.get(place);
  }

  static float checkedShare(float share) throws ModelException {
    if (!(share >= 0 && share <= 1)) {
      throw new ModelException("it says " + share + " where 0 to 1 can be");
    }
    return share;
  }

  static float checkedWeight(float weight) throws ModelException {
    if (!(Math.abs(weight) <= 1000)) {
      throw new ModelException("it says a weight of " + weight);
    }
    return weight;
  }

  static long checkedCount(long count) throws ModelException {
    if (count < 0) {
      throw new ModelException("it says a count of " + count);
    }
    return count;
  }

  static int checkedSize(int size, int limit) throws ModelException {
    if (size < 0 || size > limit) {
      throw new ModelException("it announces " + size + " entries where at most " + limit + " fit");
    }
    return size;
  }
}
