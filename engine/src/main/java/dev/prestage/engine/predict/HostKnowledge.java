package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Resource;
import java.util.HashMap;
import java.util.Map;

/// What the programs of a host have in common, for one tenant's resources of one type: which of
/// them touched a unit, what their first starts touched of a space, and what was counted of
/// neighbours and of shares of runs. A new role of a known space is not a stranger.
public final class HostKnowledge {
  static final int NOBODY = UnitMap.NONE;
  static final int SEVERAL = 0;

  private final Surroundings surroundings = new Surroundings();
  private final Shares shares = new Shares();
  private final UnitMap members = new UnitMap();
  private final Map<Integer, Profile> firstStarts = new HashMap<>();
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
    Map<Integer, long[]> bySpace = new HashMap<>();
    Map<Integer, Integer> sizes = new HashMap<>();
    for (int i = 0; i < size; i++) {
      int space = Resource.space(touched[i]);
      int at = sizes.merge(space, 1, Integer::sum) - 1;
      bySpace.computeIfAbsent(space, _ -> new long[size])[at] = touched[i];
    }
    bySpace.forEach((space, units) ->
        firstStarts
            .computeIfAbsent(space, _ -> new Profile())
            .learn(units, sizes.getOrDefault(space, 0)));
  }
}
