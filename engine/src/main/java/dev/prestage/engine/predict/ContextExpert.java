package dev.prestage.engine.predict;

/// The place at which a stream stands: how often evidence of a kind was right behind this very
/// request. Some places are always followed by the same, others are crossroads.
final class ContextExpert implements MarkovExpert {
  private static final int PLACES = 1 << 12;
  private static final int SOURCES = 8;

  private final CountTable table = new CountTable(PLACES * SOURCES, PRIOR);

  @Override
  public CountTable table() {
    return table;
  }

  @Override
  public int cell(Situation now, Candidates of, int row) {
    int place = Hash.of(now.unit) >>> 20;
    int source =
        (of.match[row] != 0 ? 1 : 0) + (of.votes[row] != 0 ? 2 : 0) + (of.ahead[row] >= 0 ? 4 : 0);
    return place * SOURCES + source;
  }
}
