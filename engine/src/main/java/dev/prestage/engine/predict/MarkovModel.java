package dev.prestage.engine.predict;

import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.predict.neural.Network;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.Stream;

/// What comes next, given the current request and recent history: a family of Markov models and
/// sequences whose opinions are mixed by what was right lately, for each candidate.
///
/// The probability is that of being worth fetching: that the unit is demanded after it can be here
/// and before it would have to leave. Units that are here already are never asked about, or the
/// probability would become that of being touched. Each opinion is recorded with its evidence until
/// the truth is known, whether it was acted on or not.
final class MarkovModel {
  private static final int[] BITS = {10, 10, 10, 9, 15, 8};

  /// What a probability is about, at the most: a demand within this time.
  private static final long HORIZON_NANOS = 30_000_000_000L;

  private static final int VOTE_KINDS = Situation.VOTERS + 1;
  private static final int MATCH_KINDS = 3;
  private static final int SEQUENCE_KINDS = 4;

  private final RequestLog log = new RequestLog();
  private final Records records = new Records();
  private final VoteExpert votes = new VoteExpert();
  private final MatchExpert matches = new MatchExpert();
  private final SequenceExpert sequences = new SequenceExpert();
  private final HistoryExpert history = new HistoryExpert();
  private final ContextExpert places = new ContextExpert();
  private final List<MarkovExpert> experts = List.of(votes, matches, sequences, history, places);
  private final NeuralExpert neural = new NeuralExpert();
  private final CountTable[] tables =
      Stream.concat(experts.stream().map(MarkovExpert::table), Stream.of(neural.table()))
          .toArray(CountTable[]::new);
  private final Mixer mixer =
      new Mixer(VOTE_KINDS * MATCH_KINDS * SEQUENCE_KINDS, HistoryExpert.AGES * Situation.LENGTHS);
  private final Calibrator calibrator = new Calibrator(3 * 2 * SEQUENCE_KINDS);
  private final NextRequest next = new NextRequest();
  private final Reliability reliability;
  private final Records.Expired inVain = this::inVain;

  private long clock;
  private long lastCame;

  // Reused by each call: the engine has one thread.
  private final Situation now = new Situation();
  private final Candidates candidates = new Candidates();
  private final float[] opinions = new float[Mixer.EXPERTS];
  private final float[] sorted = new float[Candidates.MOST];

  /// @param reliability hears of each opinion whether it came true
  MarkovModel(Reliability reliability) {
    this.reliability = reliability;
  }

  /// One stream of requests.
  final class Trail {
    private final RequestLog.Stream stream = log.open();
    private final NextRequest.Guess guess = new NextRequest.Guess();
    private final NeuralExpert.Reader reader = neural.new Reader();
    private boolean isFresh;

    /// Whether it made a request since it was last asked.
    boolean isFresh() {
      return isFresh;
    }

    /// A request is complete.
    void observe(long first, int units, long nanos) {
      for (int i = 0; i < units; i++) {
        demanded(first + i, nanos);
      }
      if (reader.isReading()) {
        reader.read(first, next.probability(guess, first), guess.kind());
      }
      next.learn(guess, first);
      log.append(stream, first, units);
      now.look(log, stream, 0);
      next.guess(now, guess);
      isFresh = true;
    }

    /// Adds candidates of at least a probability, the most likely ones, and remembers all opinions.
    ///
    /// @param gapNanos from one request of the stream to the next
    void propose(
        Forecaster.Open open,
        long nowNanos,
        long leadNanos,
        int heldUnits,
        long gapNanos,
        double least,
        int most,
        Forecast into) {
      isFresh = false;
      tick(open.came());
      records.expire(clock - heldUnits, nowNanos - HORIZON_NANOS, inVain);
      int ahead = requestsAhead(leadNanos, gapNanos);
      collect(stream, reader, open, ahead);
      float bound = bound(least, most);
      long readyNanos = nowNanos + leadNanos;
      int room = most;
      for (int row = 0; row < candidates.size(); row++) {
        float probability = candidates.probability[row];
        boolean issued = probability >= bound && room > 0;
        room -= issued ? 1 : 0;
        if (issued) {
          into.add(
              candidates.unit[row],
              probability,
              nowNanos + gapNanos * stepsTo(row, ahead),
              expertOf(row));
        }
        remember(stream.id(), row, issued, readyNanos);
      }
    }

    /// As [#propose], for people: all candidates, and nothing is remembered.
    void forecast(long nowNanos, long gapNanos, Forecast into) {
      collect(stream, reader, Forecaster.Open.ALL, 0);
      for (int row = 0; row < candidates.size(); row++) {
        into.add(
            candidates.unit[row],
            candidates.probability[row],
            nowNanos + gapNanos * stepsTo(row, 0),
            expertOf(row));
      }
    }

    /// The run ends.
    void stop() {
      records.endStream(stream.id(), inVain);
    }

    void next(long dueNanos, Forecast into) {
      next.forecast(guess, reader, dueNanos, into);
    }
  }

  private static final int MOST_REQUESTS_AHEAD = 64;

  /// Requests that pass until what is asked for now is here, the next one aside.
  private static int requestsAhead(long leadNanos, long gapNanos) {
    return Math.clamp((leadNanos + gapNanos / 2) / gapNanos - 1, 0, MOST_REQUESTS_AHEAD);
  }

  private void collect(
      RequestLog.Stream stream, NeuralExpert.Reader reader, Forecaster.Open open, int ahead) {
    candidates.clear();
    now.look(log, stream, ahead);
    if (now.position == RequestLog.NONE) {
      return;
    }
    votes.collect(now, open, candidates);
    matches.collect(now, open, candidates);
    sequences.collect(now, open, candidates);
    reader.collect(now, open, candidates);
    for (int row = 0; row < candidates.size(); row++) {
      judge(row, reader.cell(now, candidates.unit[row]));
    }
  }

  /// All experts' opinions on a candidate, mixed and calibrated; neighbours with the same evidence
  /// have the same opinion. Written out, because it is the hottest place there is: a loop over the
  /// experts would call each through the interface.
  private void judge(int row, int network) {
    int vote = votes.cell(now, candidates, row);
    int match = matches.cell(now, candidates, row);
    int sequence = sequences.cell(now, candidates, row);
    int past = history.cell(now, candidates, row);
    int place = places.cell(now, candidates, row);
    long features =
        (((((((((((long) vote << BITS[1]) | match) << BITS[2]) | sequence) << BITS[3]) | past)
                        << BITS[4])
                    | place)
                << BITS[5])
            | network);
    candidates.features[row] = features;
    if (row > 0 && candidates.features[row - 1] == features) {
      candidates.probability[row] = candidates.probability[row - 1];
      candidates.contexts[row] = candidates.contexts[row - 1];
      return;
    }
    opinions[0] = Logistic.stretch(votes.table().share(vote));
    opinions[1] = Logistic.stretch(matches.table().share(match));
    opinions[2] = Logistic.stretch(sequences.table().share(sequence));
    opinions[3] = Logistic.stretch(history.table().share(past));
    opinions[4] = Logistic.stretch(places.table().share(place));
    opinions[Mixer.NEURAL] =
        network == NeuralExpert.SILENT ? 0 : Logistic.stretch(neural.table().share(network));
    int voting = Integer.bitCount(candidates.votes[row]);
    int sequenceKind = SequenceExpert.kind(now, candidates, row);
    int first =
        (voting * MATCH_KINDS + MatchExpert.kind(now, candidates, row)) * SEQUENCE_KINDS
            + sequenceKind;
    int second = candidates.ageClass[row] * Situation.LENGTHS + now.lengthClass;
    float mixed = mixer.mix(opinions, first, second);
    int matched = candidates.match[row] == 0 ? 0 : 1;
    int context = (Math.min(2, voting) * 2 + matched) * SEQUENCE_KINDS + sequenceKind;
    int cell = Calibrator.cell(context, mixed);
    candidates.probability[row] = calibrator.probability(cell, mixed);
    candidates.contexts[row] = (((first << 7) | second) << 10) | cell;
  }

  /// The least probability that is proposed: the wanted one, or more if so many reach it.
  private float bound(double least, int most) {
    int above = 0;
    for (int row = 0; row < candidates.size(); row++) {
      if (candidates.probability[row] >= least) {
        sorted[above++] = candidates.probability[row];
      }
    }
    if (above == 0 || most <= 0) {
      return Float.POSITIVE_INFINITY;
    }
    if (above <= most) {
      return (float) least;
    }
    return leastOfMost(above, most);
  }

  /// The least of the greatest values, found by insertion: the JDK's sort would allocate.
  private float leastOfMost(int values, int most) {
    for (int i = 1; i < values; i++) {
      float value = sorted[i];
      int at = i;
      while (at > 0 && sorted[at - 1] < value) {
        sorted[at] = sorted[at - 1];
        at--;
      }
      sorted[at] = value;
    }
    return sorted[most - 1];
  }

  /// In how many requests a candidate is likely due.
  private long stepsTo(int row, int ahead) {
    int offset = Math.min(candidates.voteOffset[row], candidates.matchOffset[row]);
    if (offset < Integer.MAX_VALUE) {
      return ahead + 1L + offset;
    }
    return candidates.ahead[row] >= 0
        ? 1 + (long) (candidates.ahead[row] / now.speed)
        : Network.HORIZON / 2;
  }

  private Expert expertOf(int row) {
    if (candidates.match[row] != 0) {
      return Expert.MATCH;
    }
    if (candidates.votes[row] != 0) {
      return Expert.MARKOV;
    }
    return candidates.ahead[row] >= 0 ? Expert.SEQUENTIAL : Expert.NEURAL;
  }

  /// Units come to a host, and a forecaster may serve several of them, each with its own count.
  private void tick(long came) {
    clock += came >= lastCame ? came - lastCame : came;
    lastCame = came;
  }

  private void remember(int stream, int row, boolean issued, long readyNanos) {
    int before = records.find(candidates.unit[row]);
    if (before != Records.NONE) {
      if (!issued) {
        return;
      }
      records.drop(before);
    }
    records.add(
        candidates.unit[row],
        issued,
        readyNanos,
        clock,
        candidates.probability[row],
        candidates.features[row],
        candidates.contexts[row],
        stream,
        inVain);
  }

  /// A unit was demanded. What was refused would have been worth it, if there was time; what was
  /// acted on is judged when it ends.
  private void demanded(long unit, long nanos) {
    int record = records.find(unit);
    if (record != Records.NONE && !records.isIssued(record)) {
      learn(record, nanos >= records.readyNanos(record));
      records.drop(record);
    }
  }

  /// A unit that was staged ended.
  void ended(long unit, Outcome how) {
    int record = records.find(unit);
    if (how == Outcome.UNUSED) {
      log.wasted(unit);
    }
    if (record == Records.NONE || !records.isIssued(record)) {
      return;
    }
    if (how.isDemanded() || how == Outcome.UNUSED) {
      learn(record, how == Outcome.USEFUL);
    }
    records.drop(record);
  }

  private void inVain(int record) {
    learn(record, false);
  }

  private void learn(int record, boolean worthwhile) {
    long features = records.features(record);
    for (int e = tables.length - 1; e >= 0; e--) {
      int cell = (int) (features & ((1L << BITS[e]) - 1));
      features >>>= BITS[e];
      CountTable table = tables[e];
      if (e == Mixer.NEURAL && cell == NeuralExpert.SILENT) {
        opinions[e] = 0;
        continue;
      }
      opinions[e] = Logistic.stretch(table.share(cell));
      table.learn(cell, worthwhile);
    }
    int contexts = records.contexts(record);
    int first = contexts >>> 17;
    int second = (contexts >>> 10) & 127;
    mixer.learn(opinions, first, second, mixer.mix(opinions, first, second), worthwhile);
    calibrator.learn(contexts & 1023, worthwhile);
    reliability.judge(records.probability(record), worthwhile);
  }

  long requests() {
    return log.requests();
  }

  /// Has a network speak from now on.
  void serve(Network network) {
    neural.serve(network);
    mixer.silenceNeural();
  }

  /// The expert that serves a trained network.
  NeuralExpert neural() {
    return neural;
  }

  void readUnits(LongConsumer reader) {
    log.readAll((_, unit, _) -> reader.accept(unit));
    neural.readUnits(reader);
  }

  /// Writes the requests of the log, those of a stream as differences.
  void writeRequests(DataOutput out, ResourceCodec codec) throws IOException {
    new RequestCodec(codec).write(log, out);
  }

  void readRequests(DataInput in, ResourceCodec codec) throws IOException {
    new RequestCodec(codec).read(in, log);
  }

  /// Writes what the experts counted, and how they are mixed and calibrated.
  void writeCounts(DataOutput out) throws IOException {
    for (MarkovExpert expert : experts) {
      expert.table().write(out);
    }
    mixer.write(out);
    calibrator.write(out);
    next.table().write(out);
  }

  /// @param hasNeural whether the file knows of the neural expert
  void readCounts(DataInput in, boolean hasNeural) throws IOException {
    for (MarkovExpert expert : experts) {
      expert.table().read(in);
    }
    mixer.read(in, hasNeural);
    calibrator.read(in);
    next.table().read(in);
  }

  long memoryBytes() {
    long bytes = log.memoryBytes() + records.memoryBytes() + mixer.memoryBytes();
    for (MarkovExpert expert : experts) {
      bytes += expert.table().memoryBytes();
    }
    Network network = neural.network();
    return bytes
        + calibrator.memoryBytes()
        + next.memoryBytes()
        + (network == null ? 0 : network.memoryBytes());
  }
}
