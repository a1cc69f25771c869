package dev.prestage.control.train;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/// Trains networks from what history holds, one at a time, on request and regularly. A new network
/// takes the place of a serving one only if it foresees the newest tenth of the requests better,
/// which neither was trained on; then it is on trial among the other experts.
public final class Trainings implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Trainings.class.getName());

  /// At 20,000 requests a second and core some two minutes.
  private static final int EPOCHS = 6;

  private static final int MOST_REQUESTS = 400_000;

  /// So many new requests make it worth training again.
  private static final long WORTHWHILE_REQUESTS = 20_000;

  private static final int NEWEST = 10;
  private static final double LEAST_PROBABILITY = 1e-4;
  private static final double LN2 = Math.log(2);

  private final Host host;
  private final Optional<TrainerProcess> trainer;
  private final Duration window;
  private final Clock clock;
  private final Map<Program.Key, Reply.Training> states = new ConcurrentHashMap<>();
  private final Map<Program.Key, Long> trainedAt = new ConcurrentHashMap<>();
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("training").daemon().factory());

  /// What trainings need of the control plane. Called on the training thread.
  public interface Host {
    /// Hands rows of history to a visitor, oldest first.
    void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) throws Refusal;

    /// What the engine thread makes of the names of spaces.
    Corpus numbered(Numbering numbering) throws InterruptedException, Refusal;

    /// The network that serves a program.
    Optional<Network> serving(Program program) throws InterruptedException, Refusal;

    /// Has a network serve a program, on trial.
    void serve(Program program, Network network) throws InterruptedException, Refusal;

    /// All programs that anything was learnt about, and how many requests each made.
    Map<Program, Long> requests() throws InterruptedException, Refusal;
  }

  /// Makes a corpus, given the numbers of spaces.
  @FunctionalInterface
  public interface Numbering {
    Corpus with(ToIntFunction<Spaces.Name> numbers);
  }

  /// @param trainer empty if it is not installed
  /// @param window how far back history is read
  /// @param every how often programs with enough that is new are trained; zero: only on request
  public Trainings(
      Host host, Optional<TrainerProcess> trainer, Duration window, Duration every, Clock clock) {
    this.host = host;
    this.trainer = trainer;
    this.window = window;
    this.clock = clock;
    if (trainer.isPresent() && every.isPositive()) {
      var _ =
          thread.scheduleWithFixedDelay(
              this::trainWhatIsNew, every.toMillis(), every.toMillis(), TimeUnit.MILLISECONDS);
    }
  }

  /// Whether networks can be trained here.
  public boolean isInstalled() {
    return trainer.isPresent();
  }

  /// How far the training of a program is, or null if none was asked for.
  public Reply.@Nullable Training state(Program program) {
    return states.get(program.key());
  }

  /// Trains a program's network, behind those that were asked for before.
  ///
  /// @throws Refusal if the trainer is not installed
  public Reply.Training request(Program program) throws Refusal {
    if (trainer.isEmpty()) {
      throw new Refusal(
          Refusal.Reason.UNAVAILABLE, "the trainer is not installed; tools/trainer builds it");
    }
    Reply.Training known = states.get(program.key());
    if (known != null && !known.hasEnded()) {
      return known;
    }
    Reply.Training queued = said(program, Reply.Training.QUEUED, "behind the trainings before it");
    thread.execute(() -> train(program));
    return queued;
  }

  private Reply.Training said(Program program, String state, String line) {
    Reply.Training said = new Reply.Training(program.tenant(), program.name(), state, line);
    states.put(program.key(), said);
    return said;
  }

  private void trainWhatIsNew() {
    try {
      for (Map.Entry<Program, Long> entry : host.requests().entrySet()) {
        Program program = entry.getKey();
        long before = trainedAt.getOrDefault(program.key(), 0L);
        if (entry.getValue() - before >= WORTHWHILE_REQUESTS) {
          trainedAt.put(program.key(), entry.getValue());
          train(program);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (Refusal | RuntimeException e) {
      LOG.log(WARNING, "programs are not trained again now: {0}", e.getMessage());
    }
  }

  private void train(Program program) {
    try {
      said(program, Reply.Training.READING, "from history");
      Corpus corpus = corpus(program);
      said(program, Reply.Training.TRAINING, "on " + corpus.requests() + " requests");
      Network fresh =
          trainer
              .orElseThrow()
              .train(corpus, EPOCHS, line -> said(program, Reply.Training.TRAINING, line));
      compare(program, corpus, fresh);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      said(program, Reply.Training.FAILED, "it was ended");
    } catch (Refusal | IOException | RuntimeException e) {
      said(program, Reply.Training.FAILED, String.valueOf(e.getMessage()));
    }
    LOG.log(INFO, "training of {0}: {1}", program.name(), states.get(program.key()));
  }

  private Corpus corpus(Program program) throws Refusal, InterruptedException {
    HistoryCorpus read = new HistoryCorpus(program.tenant(), MOST_REQUESTS);
    long now = clock.nanos();
    host.scan(
        new AccessHistory.Selection(
            program.name(), null, ResourceType.FILE_BLOCK, now - window.toNanos(), Long.MAX_VALUE),
        read);
    return host.numbered(read::corpus);
  }

  private void compare(Program program, Corpus corpus, Network fresh)
      throws Refusal, InterruptedException {
    List<long[]> newest = newest(corpus);
    double challenger = bits(fresh, newest);
    Optional<Network> champion = host.serving(program);
    double serving = champion.map(one -> bits(one, newest)).orElse(Double.POSITIVE_INFINITY);
    String newer = bits(challenger) + " a request on the newest tenth";
    if (challenger >= serving) {
      said(program, Reply.Training.REJECTED, newer + "; the serving network has " + bits(serving));
      return;
    }
    host.serve(program, fresh);
    said(
        program,
        Reply.Training.SERVING,
        newer
            + (champion.isEmpty() ? "; it is the first" : "; the one before had " + bits(serving)));
  }

  private static String bits(double bits) {
    return String.format(Locale.ROOT, "%.2f bits", bits);
  }

  /// The newest tenth of all requests, which the trainer trains on neither.
  private static List<long[]> newest(Corpus corpus) {
    long left = corpus.requests() / NEWEST;
    List<long[]> newest = new ArrayList<>();
    for (long[] stream : corpus.streams().reversed()) {
      int taken = Math.clamp(left, 0, stream.length);
      left -= taken;
      newest.addFirst(Arrays.copyOfRange(stream, stream.length - taken, stream.length));
    }
    return newest;
  }

  /// Bits a request that a network takes for streams.
  static double bits(Network network, List<long[]> streams) {
    double bits = 0;
    long judged = 0;
    for (long[] stream : streams) {
      Network.Memory memory = network.new Memory();
      for (long resource : stream) {
        if (memory.before() >= 0) {
          bits -= Math.log(Math.max(LEAST_PROBABILITY, memory.next(resource))) / LN2;
          judged++;
        }
        memory.read(resource);
      }
    }
    return bits / Math.max(1, judged);
  }

  /// Ends a training that is under way.
  @Override
  public void close() {
    thread.shutdownNow();
  }
}
