package dev.prestage.engine.predict;

import java.util.Arrays;

/// A run's way along a profile: how far it is by the places of what it touched, what it touched of
/// it and when, and which entries were considered for staging.
final class Guide {
  /// How far the run is: the median place of so many touches, so that one that comes out of turn
  /// moves nothing.
  private static final int RECENT = 9;

  /// So far behind the run an entry may still come: in ranks, and as a share.
  private static final float SLACK = 16;

  private static final float SLACK_SHARE = .05f;

  /// Others' profiles are followed in a window that grows with each touch they foretold.
  private static final int LEAST_WINDOW = 16;

  private static final int MOST_WINDOW = 64;
  private static final int WINDOW_STEP = 4;

  private static final int SNAPSHOT_TOUCHES = 64;
  private static final int MOST_SNAPSHOTS = 256;

  final Profile.Ranking ranking;
  final boolean others;
  private final Shares shares;
  private final float[] recent = new float[RECENT];
  private final float[] ordered = new float[RECENT];
  private final int[] touchedAt;
  private final int[] consideredAt;
  private final float[] considered;
  private int[] snapshots = {0, -1};
  private int touches;
  private float reached = -1;
  private int passed;
  private int next;
  private int window = LEAST_WINDOW;

  /// @param others whether the profile is that of other programs
  Guide(Profile.Ranking ranking, boolean others, Shares shares) {
    this.ranking = ranking;
    this.others = others;
    this.shares = shares;
    this.touchedAt = new int[ranking.size()];
    this.consideredAt = new int[ranking.size()];
    this.considered = new float[ranking.size()];
  }

  /// The run touched a unit for the first time.
  ///
  /// @param touch which one of its first touches it is, from 1
  /// @return whether the profile knows the unit
  boolean touched(long unit, int touch) {
    int place = ranking.place(unit);
    boolean known = place != UnitMap.NONE;
    if (known) {
      touchedAt[place] = touchedAt[place] == 0 ? touch : touchedAt[place];
      advance(ranking.rank(place));
    }
    window =
        known
            ? Math.min(MOST_WINDOW, window + WINDOW_STEP)
            : Math.max(LEAST_WINDOW, window - WINDOW_STEP);
    if (touch % SNAPSHOT_TOUCHES == 0 && snapshots.length < 2 * MOST_SNAPSHOTS) {
      snapshots = Arrays.copyOf(snapshots, snapshots.length + 2);
      snapshots[snapshots.length - 2] = touch;
      snapshots[snapshots.length - 1] = stage();
    }
    return known;
  }

  private void advance(float rank) {
    recent[touches++ % RECENT] = rank;
    int count = Math.min(touches, RECENT);
    System.arraycopy(recent, 0, ordered, 0, count);
    Arrays.sort(ordered, 0, count);
    reached = Math.max(reached, ordered[count / 2]);
    float bound = bound();
    while (passed < ranking.size() && ranking.rank(passed) < bound) {
      passed++;
    }
  }

  private float bound() {
    return reached - SLACK - SLACK_SHARE * reached;
  }

  /// The rank that the run has reached.
  float reached() {
    return Math.max(0, reached);
  }

  private int stage() {
    return touches == 0 ? -1 : passed;
  }

  /// How likely the entry at a place is touched in the rest of the run.
  float probability(int place) {
    float likely = shares.probability(cell(stage(), place));
    return others && ranking.rank(place) < bound() ? .3f * likely : likely;
  }

  private int cell(int stage, int place) {
    return Shares.cell(stage, ranking.size(), others, ranking.runs(), ranking.share(place));
  }

  /// The next place to be considered, or -1 if there is none now.
  int peek() {
    if (others) {
      next = Math.max(next, passed);
    }
    boolean inside = next < ranking.size() && (!others || next < passed + window);
    return inside ? next : -1;
  }

  /// The place was considered.
  void consider(int place, float probability, int touch) {
    next = place + 1;
    if (considered[place] == 0) {
      considered[place] = probability;
      consideredAt[place] = touch;
    }
  }

  /// A unit was given up and may be wanted again.
  void released(long unit) {
    int place = ranking.place(unit);
    if (place != UnitMap.NONE) {
      next = Math.min(next, place);
    }
  }

  /// The way begins anew; what is here or was touched is passed over.
  void again() {
    next = 0;
  }

  /// How far what was said at the start was from what the run touched: 0 if it was all of it and
  /// nothing else, 1 if it was nothing of it (one minus the Jaccard index, with probabilities as
  /// weights). Before [#learn], which changes what would be said.
  ///
  /// @param touched what the run touched
  /// @param size how much that is
  double startLoss(UnitSet touched, int size) {
    double right = 0;
    double wrong = 0;
    for (int place = 0; place < ranking.size(); place++) {
      double likely = shares.probability(cell(-1, place));
      if (touched.contains(ranking.unit(place))) {
        right += likely;
      } else {
        wrong += likely;
      }
    }
    return size + wrong == 0 ? 0 : 1 - right / (size + wrong);
  }

  /// The run ended: what was said of the rest of it is compared with what came.
  void learn(Reliability reliability) {
    for (int snapshot = 0; snapshot < snapshots.length; snapshot += 2) {
      int stage = snapshots[snapshot + 1];
      for (int place = Math.max(0, stage); place < touchedAt.length; place++) {
        if (touchedAt[place] == 0 || touchedAt[place] > snapshots[snapshot]) {
          shares.learn(cell(stage, place), touchedAt[place] != 0);
        }
      }
    }
    for (int place = 0; place < considered.length; place++) {
      if (considered[place] != 0
          && (touchedAt[place] == 0 || touchedAt[place] > consideredAt[place])) {
        reliability.judge(considered[place], touchedAt[place] != 0);
      }
    }
  }
}
