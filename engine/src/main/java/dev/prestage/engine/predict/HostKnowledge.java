package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Resource;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.LongStream;

/// What the programs of a host have in common, for one tenant's resources of one type: which of
/// them touched a unit, what their first starts touched of a space, and what was counted of
/// neighbours and of shares of runs. A new role of a known space is not a stranger.
public final class HostKnowledge {
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
