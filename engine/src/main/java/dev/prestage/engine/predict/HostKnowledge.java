package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Resource;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.LongStream;

/// What the programs of a host have in common, for one tenant's resources of one type: which of
/// them touched a unit, what their first starts touched of a space, and what was counted of
/// neighbours and of shares of runs. A new role of a known space is not a stranger.
public final class HostKnowledge {
  private static final long MAGIC = 0x505245434f554e54L; // "PRECOUNT"
  private static final int FIRST = 1;
  private static final int SECTIONS = 2;
  private static final int MOST_SECTIONS = 256;
  private static final String SURROUNDINGS = "surroundings";
  private static final String SHARES = "shares";

  /// So many units are known by who touched them: 24 MiB at the most. Then all begins anew, because
  /// a host that runs ever new disks would else remember all of them.
  private static final int MOST_MEMBERS = 1 << 20;

  /// So many spaces' first starts are known, those that were asked for last.
  private static final int MOST_SPACES = 256;

  static final int NOBODY = UnitMap.NONE;
  static final int SEVERAL = 0;

  private final Surroundings surroundings = new Surroundings();
  private final Shares shares = new Shares();
  private UnitMap members = new UnitMap();
  private final Map<Integer, Profile> firstStarts =
      new LinkedHashMap<>(16, .75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Profile> eldest) {
          return size() > MOST_SPACES;
        }
      };
  private int programs;

  /// A program that may touch units from now on; the number is never [#SEVERAL] or [#NOBODY].
  int enroll() {
    return ++programs;
  }

  Surroundings surroundings() {
    return surroundings;
  }

  Shares shares() {
    return shares;
  }

  /// What was counted, as bytes for this host's disk. Who touched what, and first starts, come back
  /// as models are loaded.
  public byte[] encode() {
    var body = new ByteArrayOutputStream();
    try (var out = new DataOutputStream(body)) {
      out.writeInt(SECTIONS);
      ModelFile.section(out, SURROUNDINGS, FIRST, surroundings::write);
      ModelFile.section(out, SHARES, FIRST, shares.counts()::write);
    } catch (IOException e) {
      throw new UncheckedIOException("an array cannot fail", e);
    }
    return new Envelope(FIRST, body.toByteArray()).seal(MAGIC);
  }

  /// One that has counted what [#encode] wrote, and knows of no program yet; sections that it does
  /// not know, or of later versions, are passed over.
  ///
  /// @throws ModelException with the reason if the bytes cannot be used
  public static HostKnowledge decode(ByteBuffer file) throws ModelException {
    return Envelope.open(file, MAGIC, "a host's counts", FIRST, FIRST)
        .read(in -> {
          HostKnowledge knowledge = new HostKnowledge();
          int sections = ResourceCodec.checkedSize(in.readInt(), MOST_SECTIONS);
          for (int i = 0; i < sections; i++) {
            knowledge.read(ModelFile.section(in));
          }
          return knowledge;
        });
  }

  private void read(ModelFile.Section section) throws IOException {
    if (section.version() == FIRST) {
      switch (section.name()) {
        case SURROUNDINGS -> section.read(surroundings::read);
        case SHARES -> section.read(shares.counts()::read);
        default -> {
          // What another version counted beside.
        }
      }
    }
  }

  /// Who touched a unit: a program's number, [#SEVERAL] or [#NOBODY].
  int whose(long unit) {
    return members.get(unit);
  }

  void touched(long unit, int program) {
    int before = members.get(unit);
    if (before == NOBODY) {
      if (members.size() >= MOST_MEMBERS) {
        members = new UnitMap();
      }
      members.put(unit, program);
    } else if (before != program && before != SEVERAL) {
      members.put(unit, SEVERAL);
    }
  }

  /// What first starts touched of a space; empty if none is known.
  Profile.Ranking firstStarts(int space) {
    Profile profile = firstStarts.get(space);
    return profile == null ? Profile.Ranking.EMPTY : profile.ranking();
  }

  /// A program's first start ended.
  void learnFirstStart(long[] touched, int size) {
    Map<Integer, LongStream.Builder> bySpace = new HashMap<>();
    for (int i = 0; i < size; i++) {
      bySpace
          .computeIfAbsent(Resource.space(touched[i]), _ -> LongStream.builder())
          .add(touched[i]);
    }
    bySpace.forEach((space, units) -> {
      long[] all = units.build().toArray();
      firstStarts.computeIfAbsent(space, _ -> new Profile()).learn(all, all.length);
    });
  }
}
