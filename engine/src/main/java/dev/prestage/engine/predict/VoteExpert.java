package dev.prestage.engine.predict;

/// The first-order Markov model: what followed the current resource the last four times that it was
/// touched, each time with a vote.
final class VoteExpert implements MarkovExpert {
  /// As many requests behind the lead are looked at for each voter.
  private static final int WINDOW = 8;

  private static final int VOTES = 1 << Situation.VOTERS;

  private final CountTable table =
      new CountTable((Situation.VOTERS + 1) * VOTES * Situation.OFFSETS, PRIOR);

  @Override
  public CountTable table() {
    return table;
  }

  @Override
  public void collect(Situation now, Forecaster.Open open, Candidates into) {
    for (int voter = 0; voter < now.voterCount; voter++) {
      int position = now.log.after(now.voters[voter], now.lead + 1);
      for (int offset = 0; offset < WINDOW && position != RequestLog.NONE; offset++) {
        long first = now.log.first(position);
        int units = Math.min(now.log.units(position), Candidates.UNITS_OF_REQUEST);
        for (int i = 0; i < units && !into.isExhausted(); i++) {
          int row = into.row(first + i, now.log, open);
          if (row >= 0) {
            into.votes[row] |= 1 << voter;
            into.voteOffset[row] = Math.min(into.voteOffset[row], offset);
          }
        }
        position = now.log.after(position, 1);
      }
    }
  }

  @Override
  public int cell(Situation now, Candidates of, int row) {
    int votes = of.votes[row];
    int offset = votes == 0 ? 0 : Situation.offsetClass(of.voteOffset[row]);
    return (now.voterCount * VOTES + votes) * Situation.OFFSETS + offset;
  }
}
