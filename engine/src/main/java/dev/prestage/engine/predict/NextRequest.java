package dev.prestage.engine.predict;

/// A distribution over the very next request: what followed the match, the pair and the last
/// occurrences of the current request, the unit behind it, and those behind the requests just
/// before it, because streams interleave. Each is as likely as such evidence was right before.
final class NextRequest {
  private static final int MOST = 16;
  private static final int BEST = 1;
  private static final int SECOND = 2;
  private static final int FIRST_VOTE = 4;
  private static final int CARRIED = FIRST_VOTE << Situation.VOTERS;
  private static final int NAMED = CARRIED << 1;

  /// So many requests long what was likely and did not come may still come: something else was put
  /// in between.
  private static final int MOST_CARRIED = 8;

  /// As many requests back sequences may go on; 0 is the current one.
  private static final int RECENT = 7;

  private static final int SEQUENCES = RECENT + 1;

  /// Immediate repeats are one request: so many are passed over.
  private static final int MOST_REPEATS = 4;

  static final int LENGTHS = 4;
  private static final int CONTEXTS = 2 * LENGTHS * (Situation.VOTERS + 1);

  /// By who names a unit, behind which request it lies, how long the match is, how many occurrences
  /// had a vote, and whether the current request runs on.
  private final CountTable table = new CountTable(NAMED * SEQUENCES * CONTEXTS, NextRequest::prior);

  /// Before any case: a sequence goes on once in ten times, what followed before follows again in
  /// four of ten, and behind a match of three requests in seven.
  private static float prior(int cell) {
    int named = cell / CONTEXTS / SEQUENCES;
    int length = cell / (Situation.VOTERS + 1) % LENGTHS;
    if ((named & BEST) != 0 && length >= 2) {
      return .7f;
    }
    return named == 0 ? .1f : .4f;
  }

  /// What is guessed after one request of a stream.
  static final class Guess {
    private final long[] unit = new long[MOST];
    private final int[] named = new int[MOST];
    private final int[] sequence = new int[MOST];
    private int size;
    private int context;
    private long behind = -1;
    private long carried = -1;
    private int carriedFor;

    private int row(long candidate) {
      for (int i = 0; i < size; i++) {
        if (unit[i] == candidate) {
          return i;
        }
      }
      if (size == MOST) {
        return -1;
      }
      unit[size] = candidate;
      named[size] = 0;
      sequence[size] = 0;
      return size++;
    }

    private void name(long candidate, int bit) {
      int row = row(candidate);
      if (row >= 0) {
        named[row] |= bit;
      }
    }

    /// The kind of situation: the length of the match, and whether the request runs on.
    int kind() {
      return context / (Situation.VOTERS + 1);
    }

    private int cell(int i) {
      return (named[i] * SEQUENCES + sequence[i]) * CONTEXTS + context;
    }
  }

  /// Immediate repeats are one request, and change nothing.
  void guess(Situation now, Guess into) {
    if (now.unit == into.behind) {
      return;
    }
    into.size = 0;
    into.behind = now.unit;
    int runsOn = now.run > 0 ? 1 : 0;
    into.context =
        (runsOn * LENGTHS + lengthClass(now.length)) * (Situation.VOTERS + 1) + now.voterCount;
    nameBehind(now, now.best, BEST, into);
    nameBehind(now, now.second, SECOND, into);
    for (int voter = 0; voter < now.voterCount; voter++) {
      nameBehind(now, now.voters[voter], FIRST_VOTE << voter, into);
    }
    if (into.carried >= 0) {
      into.name(into.carried, CARRIED);
    }
    int position = now.position;
    for (int back = 0; back < RECENT && position != RequestLog.NONE; back++) {
      int row = into.row(now.log.first(position) + now.log.units(position));
      if (row >= 0 && into.sequence[row] == 0) {
        into.sequence[row] = back + 1;
      }
      position = now.log.before(position);
    }
  }

  private static int lengthClass(int length) {
    return length <= 2 ? (length + 1) / 2 : length <= 5 ? 2 : 3;
  }

  private static void nameBehind(Situation now, int position, int bit, Guess into) {
    int following = position == RequestLog.NONE ? position : now.log.after(position, 1);
    for (int i = 0; i < MOST_REPEATS && following != RequestLog.NONE; i++) {
      if (now.log.first(following) != now.unit) {
        break;
      }
      following = now.log.after(following, 1);
    }
    if (following != RequestLog.NONE) {
      into.name(now.log.first(following), bit);
    }
  }

  void learn(Guess guess, long came) {
    if (came == guess.behind) {
      return;
    }
    int likeliest = -1;
    for (int i = 0; i < guess.size; i++) {
      if (likeliest < 0 || table.share(guess.cell(i)) > table.share(guess.cell(likeliest))) {
        likeliest = i;
      }
    }
    if (likeliest >= 0 && guess.unit[likeliest] != guess.carried) {
      guess.carried = guess.unit[likeliest];
      guess.carriedFor = 0;
    }
    if (guess.carried == came || ++guess.carriedFor > MOST_CARRIED) {
      guess.carried = -1;
    }
    for (int i = 0; i < guess.size; i++) {
      table.learn(guess.cell(i), guess.unit[i] == came);
    }
  }

  /// How likely a unit is next, if it is any of those that are guessed.
  double probability(Guess guess, long unit) {
    for (int i = 0; i < guess.size; i++) {
      if (guess.unit[i] == unit) {
        return table.share(guess.cell(i)) / sum(guess);
      }
    }
    return 0;
  }

  private double sum(Guess guess) {
    double sum = 0;
    for (int i = 0; i < guess.size; i++) {
      sum += table.share(guess.cell(i));
    }
    return Math.max(sum, Float.MIN_NORMAL);
  }

  /// Adds the guess, mixed with that of the network: what is likely if it is any of these, so that
  /// the probabilities add up to 1 at the most. What is new to the program is beyond this forecast.
  void forecast(Guess guess, NeuralExpert.Reader reader, long dueNanos, Forecast into) {
    double sum = sum(guess);
    double trust = reader.trust(guess.kind());
    for (int i = 0; i < guess.size; i++) {
      double counted = table.share(guess.cell(i)) / sum;
      into.add(
          guess.unit[i],
          (1 - trust) * counted + trust * reader.next(guess.unit[i]),
          dueNanos,
          guess.named[i] == 0 ? Expert.SEQUENTIAL : Expert.MARKOV);
    }
    if (trust > 0) {
      reader.likeliest(unit -> into.add(unit, trust * reader.next(unit), dueNanos, Expert.NEURAL));
    }
  }

  long memoryBytes() {
    return table.memoryBytes();
  }

  CountTable table() {
    return table;
  }
}
