package dev.prestage.engine.predict;

/// A unit's own history: how often it was touched, how long ago, and how often it was staged in
/// vain.
final class HistoryExpert implements MarkovExpert {
  static final int AGES = 12;
  private static final int TOUCHES = 8;
  private static final int WASTES = 4;

  private final CountTable table = new CountTable(TOUCHES * AGES * WASTES, PRIOR);

  @Override
  public CountTable table() {
    return table;
  }

  @Override
  public int cell(Situation now, Candidates of, int row) {
    int touches = now.log.touches(of.unit[row], of.lastTouch[row]);
    int waste = now.log.waste(of.unit[row], of.lastTouch[row]);
    return (touchClass(touches) * AGES + ageClass(now, of, row)) * WASTES + waste;
  }

  /// 0, 1, 2, 3-4, 5-8, 9-16, 17-32, more.
  private static int touchClass(int touches) {
    return touches < 3 ? touches : Math.min(7, 33 - Integer.numberOfLeadingZeros(touches - 1));
  }

  /// Never, then the logarithm of its age in requests: up to 64, up to 128 and so on.
  static int ageClass(Situation now, Candidates of, int row) {
    if (of.lastTouch[row] == RequestLog.NONE) {
      return 0;
    }
    int log2 = 31 - Integer.numberOfLeadingZeros(now.log.age(of.lastTouch[row]) | 1);
    return Math.clamp(log2 - 5, 1, AGES - 1);
  }
}
