package dev.prestage.control.train;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.Provenance;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Trains networks from what history holds, one at a time, on request and regularly. A new network
/// takes the place of a serving one only if it foresees the newest tenth of the requests better,
/// which it was not trained on; then it is on trial among the other experts.
public final class Trainings implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Trainings.class.getName());

  /// At 20,000 requests a second and core some two minutes.
  private static final int EPOCHS = 6;

  private static final int MOST_REQUESTS = 400_000;

  /// History is read in parts, the newest first: each twice as long as the one before, so that no
  /// question takes long and no more is read than is needed.
  private static final Duration FIRST_PART = Duration.ofHours(1);

  /// So many new requests make it worth training again.
  private static final long WORTHWHILE_REQUESTS = 20_000;

  /// A host that is started every day looks for what is new soon after its start.
  private static final Duration FIRST_LOOK = Duration.ofMinutes(10);

  /// Bits a request by which a network must be better than the serving one: less is chance.
  private static final double LEAST_LEAD = 0.01;

  /// A run's last accesses are reported, written and committed within two seconds or so.
  private static final Duration SETTLING = Duration.ofSeconds(5);

  /// By so much a challenger's loss must be less: with two runs less is chance.
  private static final double LEAST_GAIN = .05;

  private static final Duration PATIENCE_AT_END = Duration.ofSeconds(5);

  private static final int NEWEST = 10;
  private static final double LEAST_PROBABILITY = 1e-4;
  private static final double LN2 = Math.log(2);

  private final Host host;
  private final Supplier<Optional<TrainerProcess>> trainer;
  private final Duration window;
  private final Clock clock;
  private final Duration settling;
  private final Map<Program.Key, Reply.Training> states = new ConcurrentHashMap<>();

  /// The engine thread's.
  private final Map<Program.Key, DriftWatch> drifts = new HashMap<>();

  private final AtomicLong drifted = new AtomicLong();
  private final AtomicLong won = new AtomicLong();
  private final AtomicLong lost = new AtomicLong();
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("training").daemon().factory());

  /// What trainings need of the control plane. Called on the training thread.
  public interface Host {
    /// Hands rows of history to a visitor, oldest first.
    void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) throws Refusal;

    /// This host's numbers of spaces.
    Map<Spaces.Name, Integer> numbers(Set<Spaces.Name> names) throws InterruptedException, Refusal;

    /// How many accesses guests have made so far.
    long accesses();

    /// The network that serves a program.
    Optional<Network> serving(Program program) throws InterruptedException, Refusal;

    /// Has a network serve a program, on trial.
    ///
    /// @param provenance what it was trained on and compared with
    void serve(Program program, Network network, Provenance provenance)
        throws InterruptedException, Refusal;

    /// The numbers of runs that have not ended.
    Set<Long> going() throws InterruptedException, Refusal;

    /// Puts what was learnt again in place of what serves a program.
    ///
    /// @param line why
    void replace(Program program, HistoryRuns.Learnt learnt, String line)
        throws InterruptedException, Refusal;

    /// A training has ended, whatever came of it.
    void trained(Program program) throws InterruptedException, Refusal;

    /// All programs that anything was learnt about, and how many requests each made since its last
    /// training.
    Map<Program, Long> newRequests() throws InterruptedException, Refusal;
  }

  /// @param trainer asked each time; empty while it is not installed
  /// @param window how far back history is read
  /// @param every how often programs with enough that is new are trained; zero: only on request
  public Trainings(
      Host host,
      Supplier<Optional<TrainerProcess>> trainer,
      Duration window,
      Duration every,
      Clock clock) {
    this(host, trainer, window, every, clock, SETTLING);
  }

  /// @param settling how long after a run's end history has all of it
  Trainings(
      Host host,
      Supplier<Optional<TrainerProcess>> trainer,
      Duration window,
      Duration every,
      Clock clock,
      Duration settling) {
    this.host = host;
    this.settling = settling;
    this.trainer = trainer;
    this.window = window;
    this.clock = clock;
    if (every.isPositive()) {
      long millis = every.toMillis();
      var _ =
          thread.scheduleWithFixedDelay(
              this::trainWhatIsNew,
              Math.min(millis, FIRST_LOOK.toMillis()),
              millis,
              TimeUnit.MILLISECONDS);
    }
  }

  /// How far the training of a program is, or null if none was asked for.
  public Reply.@Nullable Training state(Program program) {
    return states.get(program.key());
  }

  /// Trains a program's network, behind those that were asked for before.
  ///
  /// @throws Refusal if the trainer is not installed
  public Reply.Training request(Program program) throws Refusal {
    if (trainer.get().isEmpty()) {
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

  /// Learns again from history alone what is known about a program, behind what was asked for
  /// before. What serves is untouched until all of it is learnt. The caller waits for a question to
  /// history.
  ///
  /// @throws Refusal if there is no history of it, or its network is being trained
  public Reply.Training requestRebuild(Program program) throws Refusal {
    Reply.Training known = states.get(program.key());
    if (known != null && !known.hasEnded()) {
      if (known.state().equals(Reply.Training.REBUILDING)) {
        return known;
      }
      throw new Refusal(
          Refusal.Reason.CONFLICT,
          "program '" + program.name() + "' is being trained; try again when that has ended");
    }
    if (!runs(program, Set.of()).hasAny()) {
      throw new Refusal(
          Refusal.Reason.UNKNOWN, "history has no access of program '" + program.name() + "'");
    }
    Reply.Training queued =
        said(program, Reply.Training.REBUILDING, "behind the trainings before it");
    thread.execute(() -> rebuild(program));
    return queued;
  }

  /// A run of a program's disks ended and was learnt. Called on the engine thread.
  ///
  /// @param loss how wrong the forecast of its start was, or NaN if there was none
  public void ended(Program program, double loss) {
    DriftWatch.Event event =
        drifts.computeIfAbsent(program.key(), _ -> new DriftWatch()).ended(loss, clock.nanos());
    DriftWatch.Drift began = event.began();
    // In either case history has the run's last accesses a little later.
    if (began != null) {
      drifted.incrementAndGet();
      LOG.log(INFO, "{0} drifts: {1}", program.name(), began.line());
      var _ =
          thread.schedule(
              () -> {
                if (trainer.get().isPresent()) {
                  train(program);
                }
              },
              settling.toMillis(),
              TimeUnit.MILLISECONDS);
    }
    DriftWatch.Decision decision = event.decision();
    if (decision != null) {
      var _ =
          thread.schedule(
              () -> challenge(program, decision), settling.toMillis(), TimeUnit.MILLISECONDS);
    }
  }

  /// Compares what serves a program that drifted with what is learnt of its runs since then alone,
  /// in the runs of the trial: each of them was foreseen by either before either had learnt it.
  private void challenge(Program program, DriftWatch.Decision decision) {
    DriftWatch.Drift drift = decision.drift();
    try {
      said(program, Reply.Training.REBUILDING, drift.line());
      Optional<HistoryRuns.Learnt> learnt =
          runs(program, drift.sinceNanos() + 1, host.going())
              // Only disks are watched for a drift: what was learnt of others stays.
              .of(ResourceType.FILE_BLOCK)
              .learn();
      List<Double> losses = learnt.map(HistoryRuns.Learnt::losses).orElse(List.of());
      if (learnt.isEmpty() || losses.size() < DriftWatch.TRIAL) {
        said(program, Reply.Training.FAILED, "history has too few runs since it drifted");
        return;
      }
      List<Double> trial = losses.subList(losses.size() - DriftWatch.TRIAL, losses.size());
      decide(program, decision, learnt.get(), DriftWatch.mean(trial));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      said(program, Reply.Training.FAILED, "it was ended");
    } catch (Refusal | RuntimeException e) {
      said(program, Reply.Training.FAILED, String.valueOf(e.getMessage()));
    } finally {
      LOG.log(INFO, "drift of {0}: {1}", program.name(), states.get(program.key()));
    }
  }

  private void decide(
      Program program, DriftWatch.Decision decision, HistoryRuns.Learnt learnt, double loss)
      throws InterruptedException, Refusal {
    String line =
        String.format(
            Locale.ROOT,
            "%s; in the next %d runs %.2f when learnt since then alone, %.2f as it served",
            decision.drift().line(),
            DriftWatch.TRIAL,
            loss,
            decision.champion());
    if (loss > decision.champion() - LEAST_GAIN) {
      lost.incrementAndGet();
      said(program, Reply.Training.REJECTED, line);
    } else {
      host.replace(program, learnt, line);
      won.incrementAndGet();
      said(program, Reply.Training.REBUILT, line);
    }
  }

  /// How often programs drifted, and what came of it.
  public List<Reply.Counter> counters() {
    return List.of(
        new Reply.Counter("model_drifts", Map.of(), true, drifted.get()),
        new Reply.Counter("model_challengers", Map.of("outcome", "won"), true, won.get()),
        new Reply.Counter("model_challengers", Map.of("outcome", "lost"), true, lost.get()));
  }

  private HistoryRuns runs(Program program, Set<Long> going) {
    return runs(program, Long.MIN_VALUE, going);
  }

  private HistoryRuns runs(Program program, long since, Set<Long> going) {
    long now = clock.nanos();
    return new HistoryRuns(
        host::scan,
        program.key(),
        Math.max(since, now - window.toNanos()),
        now,
        going,
        line -> said(program, Reply.Training.REBUILDING, line));
  }

  private void rebuild(Program program) {
    try {
      said(program, Reply.Training.REBUILDING, "reading history");
      Optional<HistoryRuns.Learnt> learnt = runs(program, host.going()).learn();
      if (learnt.isEmpty()) {
        said(program, Reply.Training.FAILED, "history has no complete run of it");
      } else {
        host.replace(program, learnt.get(), learnt.get().line());
        said(program, Reply.Training.REBUILT, learnt.get().line());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      said(program, Reply.Training.FAILED, "it was ended");
    } catch (Refusal | RuntimeException e) {
      said(program, Reply.Training.FAILED, String.valueOf(e.getMessage()));
    }
    LOG.log(INFO, "rebuild of {0}: {1}", program.name(), states.get(program.key()));
  }

  private Reply.Training said(Program program, String state, String line) {
    Reply.Training said = new Reply.Training(program.tenant(), program.name(), state, line);
    states.put(program.key(), said);
    return said;
  }

  private void trainWhatIsNew() {
    if (trainer.get().isEmpty()) {
      return;
    }
    try {
      for (Map.Entry<Program, Long> entry : host.newRequests().entrySet()) {
        if (entry.getValue() >= WORTHWHILE_REQUESTS) {
          train(entry.getKey());
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
      Read read = read(program);
      Corpus corpus = read.corpus();
      said(program, Reply.Training.TRAINING, "on " + corpus.requests() + " requests");
      Network fresh =
          trainer
              .get()
              .orElseThrow()
              .train(
                  corpus,
                  EPOCHS,
                  line -> said(program, Reply.Training.TRAINING, line),
                  host::accesses);
      compare(program, read, fresh);
      host.trained(program);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      said(program, Reply.Training.FAILED, "it was ended");
    } catch (Refusal | IOException | RuntimeException e) {
      said(program, Reply.Training.FAILED, String.valueOf(e.getMessage()));
    }
    LOG.log(INFO, "training of {0}: {1}", program.name(), states.get(program.key()));
  }

  /// What was read of history, and the time that it is of.
  private record Read(Corpus corpus, long fromNanos, long toNanos) {}

  private Read read(Program program) throws Refusal, InterruptedException {
    List<HistoryCorpus.Part> parts = new ArrayList<>();
    long end = Long.MAX_VALUE;
    long now = clock.nanos();
    int left = MOST_REQUESTS;
    Duration back = FIRST_PART;
    while (left > 0 && end > now - window.toNanos()) {
      long begin = now - Math.min(back.toNanos(), window.toNanos());
      HistoryCorpus read = new HistoryCorpus(program.tenant(), left);
      host.scan(
          new AccessHistory.Selection(program.name(), null, ResourceType.FILE_BLOCK, begin, end),
          read);
      parts.addAll(0, read.parts());
      left -= read.size();
      end = begin;
      back = back.multipliedBy(2);
    }
    return new Read(numbered(parts), Math.min(end, now), now);
  }

  private Corpus numbered(List<HistoryCorpus.Part> parts) throws Refusal, InterruptedException {
    Map<Spaces.Name, Integer> numbers =
        host.numbers(parts.stream().map(HistoryCorpus.Part::space).collect(Collectors.toSet()));
    List<long[]> streams = new ArrayList<>();
    for (HistoryCorpus.Part part : parts) {
      int space = Objects.requireNonNull(numbers.get(part.space()));
      streams.add(part.units().map(unit -> Resource.of(space, unit)).toArray());
    }
    return new Corpus(streams);
  }

  private void compare(Program program, Read read, Network fresh)
      throws Refusal, InterruptedException {
    List<long[]> newest = newest(read.corpus());
    double challenger = bits(fresh, newest);
    Optional<Network> champion = host.serving(program);
    double serving = champion.map(one -> bits(one, newest)).orElse(Double.POSITIVE_INFINITY);
    String newer = bits(challenger) + " a request on the newest tenth";
    if (challenger > serving - LEAST_LEAD) {
      said(program, Reply.Training.REJECTED, newer + "; the serving network has " + bits(serving));
      return;
    }
    String line =
        newer
            + (champion.isEmpty() ? "; it is the first" : "; the one before had " + bits(serving));
    host.serve(
        program,
        fresh,
        new Provenance(
            Provenance.TRAINED,
            clock.nanos(),
            read.fromNanos(),
            read.toNanos(),
            (long) TrainerProcess.SEED,
            line));
    said(program, Reply.Training.SERVING, line);
  }

  private static String bits(double bits) {
    return String.format(Locale.ROOT, "%.2f bits", bits);
  }

  /// The newest tenth of all requests, which the trainer does not look at.
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
  private static double bits(Network network, List<long[]> streams) {
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
    try {
      if (!thread.awaitTermination(PATIENCE_AT_END.toMillis(), TimeUnit.MILLISECONDS)) {
        LOG.log(WARNING, "a training did not end within {0} s", PATIENCE_AT_END.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
