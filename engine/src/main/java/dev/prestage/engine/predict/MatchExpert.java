package dev.prestage.engine.predict;

/// The Markov models of order two and three: what followed the last time that the same two or three
/// requests came one behind the other, and the time before; the longer the match, the surer.
final class MatchExpert implements MarkovExpert {
  /// As many requests behind the lead are looked at.
  private static final int WINDOW = 24;

  private static final int STATES = 6;
  private static final int VOTES = 3;

  private final CountTable table =
      new CountTable(STATES * Situation.LENGTHS * Situation.OFFSETS * VOTES, PRIOR);

  @Override
  public CountTable table() {
    return table;
  }

  @Override
  public void collect(Situation now, Forecaster.Open open, Candidates into) {
    collect(now, now.best, Candidates.BEST, open, into);
    collect(now, now.second, Candidates.SECOND, open, into);
  }

  private static void collect(
      Situation now, int from, int which, Forecaster.Open open, Candidates into) {
    int position = from == RequestLog.NONE ? from : now.log.after(from, now.lead + 1);
    for (int offset = 0; offset < WINDOW && position != RequestLog.NONE; offset++) {
      long first = now.log.first(position);
      int units = Math.min(now.log.units(position), Candidates.UNITS_OF_REQUEST);
      for (int i = 0; i < units && !into.isExhausted(); i++) {
        int row = into.row(first + i, now.log, open);
        if (row >= 0) {
          into.match[row] |= which;
          into.matchOffset[row] = Math.min(into.matchOffset[row], offset);
        }
      }
      position = now.log.after(position, 1);
    }
  }

  @Override
  public int cell(Situation now, Candidates of, int row) {
    int match = of.match[row];
    int offset = match == 0 ? 0 : Situation.offsetClass(of.matchOffset[row]);
    int votes = Math.min(2, Integer.bitCount(of.votes[row]));
    return ((state(now, match) * Situation.LENGTHS + now.lengthClass) * Situation.OFFSETS + offset)
            * VOTES
        + votes;
  }

  /// Nothing, the second, the best of order two or three, alone or with the second.
  private static int state(Situation now, int match) {
    if ((match & Candidates.BEST) == 0) {
      return match == 0 ? 0 : 1;
    }
    return 2 + (now.isBestOfThree ? 2 : 0) + (match == Candidates.BEST ? 0 : 1);
  }

  /// No match, one that does not speak for the candidate, one that does.
  static int kind(Situation now, Candidates of, int row) {
    if (now.best == RequestLog.NONE && now.second == RequestLog.NONE) {
      return 0;
    }
    return of.match[row] == 0 ? 1 : 2;
  }
}
