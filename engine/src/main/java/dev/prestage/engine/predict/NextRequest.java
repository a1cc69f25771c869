package dev.prestage.engine.predict;

/// A distribution over the very next request: what followed the match, the pair and the last
/// occurrences of the current request, and the unit behind it, each as likely as such evidence was
/// right before.
final class NextRequest {
  private static final int MOST = 8;
  private static final int LENGTHS = Situation.LENGTHS;

  /// Evidence: which of the votes name it, whether the best or the second match does, whether it
  /// runs on; and how long the match is.
  private final CountTable table = new CountTable((1 << 7) * 2 * LENGTHS, NextRequest::prior);

  /// Before any case: a sequence goes on once in ten times, what followed before follows again in
  /// four of ten, and behind a match of three requests in seven.
  private static float prior(int cell) {
    int evidence = cell / (2 * LENGTHS);
    int length = cell % LENGTHS;
    if ((evidence & 1) != 0 && length >= 2) {
      return .7f;
    }
    return evidence == 64 ? .1f : .4f;
  }

  /// What is guessed after one request of a stream.
  static final class Guess {
    private final long[] unit = new long[MOST];
    private final int[] evidence = new int[MOST];
    private int size;
    private int context;

    private void add(long candidate, int bit) {
      for (int i = 0; i < size; i++) {
        if (unit[i] == candidate) {
          evidence[i] |= bit;
          return;
        }
      }
      if (size < MOST) {
        unit[size] = candidate;
        evidence[size++] = bit;
      }
    }

    private int cell(int i) {
      return evidence[i] * 2 * LENGTHS + context;
    }
  }

  void guess(Situation now, Guess into) {
    into.size = 0;
    into.context = (now.log.run(now.position) > 0 ? LENGTHS : 0) + now.lengthClass();
    addBehind(now, now.best, 1, into);
    addBehind(now, now.second, 2, into);
    for (int voter = 0; voter < now.voterCount; voter++) {
      addBehind(now, now.voters[voter], 4 << voter, into);
    }
    into.add(now.unit + now.log.units(now.position), 64);
  }

  private static void addBehind(Situation now, int position, int bit, Guess into) {
    int following = position == RequestLog.NONE ? position : now.log.after(position, 1);
    if (following != RequestLog.NONE) {
      into.add(now.log.first(following), bit);
    }
  }

  void learn(Guess guess, long came) {
    for (int i = 0; i < guess.size; i++) {
      table.learn(guess.cell(i), guess.unit[i] == came);
    }
  }

  /// Adds the guess; its probabilities add up to at most 1.
  void forecast(Guess guess, long dueNanos, Forecast into) {
    double sum = 0;
    for (int i = 0; i < guess.size; i++) {
      sum += table.share(guess.cell(i));
    }
    for (int i = 0; i < guess.size; i++) {
      boolean runsOn = guess.evidence[i] == 64;
      into.add(
          guess.unit[i],
          table.share(guess.cell(i)) / Math.max(1, sum),
          dueNanos,
          runsOn ? Expert.SEQUENTIAL : Expert.MARKOV);
    }
  }

  long memoryBytes() {
    return table.memoryBytes();
  }

  CountTable table() {
    return table;
  }
}
