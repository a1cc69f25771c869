package dev.prestage.engine.predict;

/// Requests that run on: how likely the units behind a sequence are, by its length, by how many
/// leads ahead they lie at its speed, and by whether they were ever touched.
final class SequenceExpert implements MarkovExpert {
  private static final int MOST_AHEAD = 128;
  private static final int RUNS = 8;
  private static final int LEADS = 9;
  private static final int DISTANCES = 6;

  private final CountTable table = new CountTable(RUNS * LEADS * DISTANCES * 2, PRIOR);

  @Override
  public CountTable table() {
    return table;
  }

  @Override
  public void collect(Situation now, Forecaster.Open open, Candidates into) {
    float lead = now.speed * now.lead;
    int window = 16 << Math.min(now.run, 4);
    int to = (int) Math.min(MOST_AHEAD, lead + Math.min(64, window));
    long behind = now.unit + now.log.units(now.position);
    for (int ahead = (int) Math.min(to, lead / 2); ahead < to && !into.isExhausted(); ahead++) {
      int row = into.row(behind + ahead, now.log, open);
      if (row >= 0) {
        into.ahead[row] = ahead;
      }
    }
  }

  @Override
  public int cell(Situation now, Candidates of, int row) {
    int ahead = of.ahead[row];
    int seen = of.ageClass[row] == 0 ? 0 : 1;
    if (ahead < 0) {
      return seen;
    }
    float leads = (ahead + 1) / now.unitsPerLead;
    return ((runClass(now.run) * LEADS + leadClass(leads)) * DISTANCES + distanceClass(ahead)) * 2
        + seen;
  }

  /// None, 0, 1, 2, 3-4, 5-8, 9-16, more.
  private static int runClass(int run) {
    return run < 3 ? run + 1 : Math.min(7, 34 - Integer.numberOfLeadingZeros(run - 1));
  }

  private static int leadClass(float leads) {
    if (leads < 1.5f) {
      return leads < .5f ? 1 : leads < 1 ? 2 : 3;
    }
    if (leads < 8) {
      return leads < 2.5f ? 4 : leads < 4 ? 5 : 6;
    }
    return leads < 20 ? 7 : 8;
  }

  private static int distanceClass(int ahead) {
    return ahead < 2 ? 0 : Math.min(5, 31 - Integer.numberOfLeadingZeros(ahead));
  }

  /// None, a sequence that begins, one of up to four more requests, a longer one.
  static int kind(Situation now, Candidates of, int row) {
    if (of.ahead[row] < 0) {
      return 0;
    }
    return now.run == 0 ? 1 : now.run <= 4 ? 2 : 3;
  }
}
