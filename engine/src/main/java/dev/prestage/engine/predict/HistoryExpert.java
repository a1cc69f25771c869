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
    return (touchClass(of.touches[row]) * AGES + of.ageClass[row]) * WASTES + of.waste[row];
  }

  /// 0, 1, 2, 3-4, 5-8, 9-16, 17-32, more.
  private static int touchClass(int touches) {
    return touches < 3 ? touches : Math.min(7, 33 - Integer.numberOfLeadingZeros(touches - 1));
  }

  /// The logarithm of an age in requests: up to 64, up to 128 and so on. Class 0 is for units that
  /// were never touched.
  static int ageClass(int age) {
    int log2 = 31 - Integer.numberOfLeadingZeros(age | 1);
    return Math.clamp(log2 - 5, 1, AGES - 1);
  }
}
