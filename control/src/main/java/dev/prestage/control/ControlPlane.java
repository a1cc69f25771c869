package dev.prestage.control;

import static java.lang.System.Logger.Level.ERROR;
import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.aggregate.Usage;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Refusal.Reason;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelStore;
import dev.prestage.control.model.ModelVersions;
import dev.prestage.control.model.Provenance;
import dev.prestage.control.registry.Registered;
import dev.prestage.control.registry.Registry;
import dev.prestage.control.train.HistoryRuns;
import dev.prestage.control.train.TrainerProcess;
import dev.prestage.control.train.Trainings;
import dev.prestage.engine.Engine;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.allocate.ControlStarts;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.DryRun;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.Frame.AccessRecord;
import dev.prestage.link.Link;
import dev.prestage.link.host.PutAside;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.SequencedMap;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// The control plane: one engine thread that accesses, reports and commands come to, in a bounded
/// queue.
///
/// Everything that decides is confined to that thread. Queries of history run on the caller's
/// thread. When accesses come faster than they can be learnt from, batches are shed and counted;
/// history keeps what it can of the rest.
public final class ControlPlane implements Commands, AutoCloseable {
  /// The data plane's level for each VM: 1 if its disk can be read.
  private static final String DISK_SERVED = "disk_served";

  /// The data plane's level for each VM: how many NBD clients read its disk.
  private static final String DISK_CONNECTIONS = "disk_connections";

  /// The data plane's level for each VM: whether its memory is served.
  private static final String MEMORY_CONNECTIONS = "memory_connections";

  /// While any of these is there for a VM, its copy has not ended.
  private static final Set<String> CONNECTIONS = Set.of(DISK_CONNECTIONS, MEMORY_CONNECTIONS);

  private static final System.Logger LOG = System.getLogger(ControlPlane.class.getName());

  /// A batch is up to a millisecond of accesses: four seconds of work may wait before some is shed.
  private static final int QUEUED_EVENTS = 4096;

  /// From so many waiting events on nothing is planned until the engine has caught up: a plan costs
  /// some fifty times what learning from an access does, and what is not learnt is lost.
  private static final int MANY_EVENTS = QUEUED_EVENTS / 4;

  /// What is taken at once between two plans: at most some milliseconds of work.
  private static final int EVENTS_PER_STEP = 64;

  private static final long TICK_MILLIS = 100;

  /// Opening an image takes an origin's round trip or a few; one that does not answer for this long
  /// is not there.
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  /// What the manuals' recipes give guests to connect again.
  private static final Duration RECONNECT = Duration.ofSeconds(60);

  private static final String STOPPING = "this control plane is stopping";

  private final Options options;
  private final Duration patience;
  private final Clock clock;
  private final Registry registry;
  private final ModelStore models;
  private final HistorySink history;
  private final Health health;
  private final Fills fills;
  private final Report report;
  private final long startedNanos;
  private final Engine engine;
  private final LinkClient link;
  private final ClosedDisks closedDisks;

  /// Holds no leases, and changes nothing, unless [Options#dryRun] is set.
  private final DryRun dryRun;

  private final CommandExecutor executor;
  private final ModelSwaps swaps;
  private final BlockingQueue<Step> events = new ArrayBlockingQueue<>(QUEUED_EVENTS);
  private final Thread thread = Thread.ofPlatform().name("engine").unstarted(this::run);
  private final AtomicLong receivedAccesses = new AtomicLong();
  private final AtomicLong shedAccesses = new AtomicLong();
  private final AtomicLong shedPlans = new AtomicLong();
  private final Map<Long, Consumer<Outcome>> unanswered = new HashMap<>();
  private final List<Step> awaitingReport = new ArrayList<>();
  private final CompletableFuture<Reply> stopped = new CompletableFuture<>();
  private final List<Supplier<List<Reply.Counter>>> otherCounters = new CopyOnWriteArrayList<>();
  private final Map<String, Supplier<String>> otherParts = new ConcurrentHashMap<>();
  private volatile List<Reply.OriginView> origins = List.of();
  private volatile SequencedMap<String, String> tierKinds = new LinkedHashMap<>();
  private volatile Supplier<List<Reply.WebhookView>> webhooks = List::of;
  private List<Frame.Counter> dataPlaneCounters = List.of();
  private long nextRequest = 1;
  private long dataPlaneInstance;

  /// The addresses of disks that cannot be read, by the last report.
  private final Set<String> unserved = new HashSet<>();

  /// The addresses of disks whose images are others than those that were registered.
  private final Set<String> others = new HashSet<>();

  /// Where bindings are used whose addresses only the data plane knows, by their numbers.
  private final Map<Integer, String> addresses = new HashMap<>();

  private final Set<String> awaited = new HashSet<>();
  private long awaitedUntilNanos;
  private boolean confirmed;
  private volatile boolean closing;
  private volatile @Nullable Trainings trainings;

  /// What a control plane needs to know.
  ///
  /// @param state the folder for registrations and models
  /// @param linkSocket where the data plane listens
  /// @param nbdSocket the data plane's NBD socket, for the URIs that VM managers get
  /// @param nbdTcp the data plane's NBD address on TCP as `host:port`, or empty
  /// @param predicting whether to predict and stage, until somebody switches it
  /// @param dryRun whether what would be staged is only accounted for
  /// @param controls the share of starts that are left without staging, to measure what it is worth
  /// @param serving which forecaster speaks for a program, given what was learnt: the same one, or
  ///   a peer to compare with
  public record Options(
      Path state,
      Path linkSocket,
      Path nbdSocket,
      String nbdTcp,
      Thresholds thresholds,
      Limits limits,
      Duration endRunAfter,
      boolean predicting,
      boolean dryRun,
      double controls,
      Function<HybridForecaster, Forecaster> serving) {}

  /// Where answered accesses go, and come back from. Neither blocks nor fails the engine thread.
  public interface HistorySink {
    /// Takes one answered access, or drops and counts it.
    void offer(Access access, Binding binding);

    /// A VM is gone; what is kept for each VM in memory may go.
    void forget(Vm vm);

    /// The rows that match. The caller waits, the engine thread does not.
    List<AccessHistory.Row> find(AccessHistory.Query query) throws Refusal;

    /// Hands the rows that match to a visitor, oldest first. The caller waits until the visitor has
    /// seen them or has enough; the visitor is called on a thread of the history.
    void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) throws Refusal;

    /// What the hours within a time add up to, as far as they are counted, the oldest first. What
    /// lies between them is in the rows only.
    default Iterator<Usage> usage(long fromNanos, long toNanos) {
      return Collections.emptyIterator();
    }

    /// `ok`, or one line that says what is wrong and what to do.
    String state();
  }

  /// One step of the engine thread.
  interface Step {
    void run();
  }

  /// Starts the threads; returns at once, whether or not there is a data plane yet.
  ///
  /// @throws IOException with one clear line if registrations were written by a newer version
  public static ControlPlane start(
      Options options, Clock clock, HistorySink history, Notices notices) throws IOException {
    return start(options, clock, history, notices, PATIENCE);
  }

  static ControlPlane start(
      Options options, Clock clock, HistorySink history, Notices notices, Duration patience)
      throws IOException {
    ControlPlane plane = new ControlPlane(options, clock, history, notices, patience);
    plane.thread.start();
    plane.link.start();
    return plane;
  }

  private ControlPlane(
      Options options, Clock clock, HistorySink history, Notices notices, Duration patience)
      throws IOException {
    this.options = options;
    this.patience = patience;
    this.clock = clock;
    this.history = history;
    this.registry =
        new Registry(
            options.state().resolve("registrations.json"),
            Files.exists(options.state().resolve("attachments")),
            clock);
    this.health = new Health(clock, notices);
    this.fills = new Fills(registry, notices, health, clock);
    this.report = new Report(registry::binding);
    this.startedNanos = clock.nanos();
    if (!registry.trouble().isEmpty()) {
      health.trouble("registrations", registry.trouble());
    }
    Path modelFolder = options.state().resolve("models");
    this.models =
        new ModelStore(modelFolder, registry, options.serving(), health::trouble, this::learnt);
    this.link = new LinkClient(options.linkSocket(), new LinkEvents());
    this.dryRun = new DryRun(link, clock, registry::binding);
    this.closedDisks = new ClosedDisks(options.endRunAfter());
    // Microseconds since the epoch: higher than what any earlier control plane of this host came
    // to, at a million leases a second.
    long firstLease = clock.nanos() / 1000;
    this.engine =
        new Engine(
            options.thresholds(),
            options.limits(),
            clock,
            models,
            options.dryRun() ? dryRun : link,
            notice -> {
              report.told(notice);
              notices.publish(notice);
            },
            (lease, units, how, lead) -> {
              health.ended(lease, units, how, lead);
              report.ended(lease, units, how, lead);
            },
            firstLease);
    this.executor = new CommandExecutor(this, registry, engine, models, clock);
    this.swaps = new ModelSwaps(this, executor, models, new ModelVersions(modelFolder), clock);
    for (Registered registered : registry.vms()) {
      engine.added(registered.vm());
      registered.bindings().forEach(engine::resumed);
    }
    engine.predicting(registry.predicting().orElse(options.predicting()));
    // In a dry run every start is without staging, so there is nothing to compare with.
    double controls = options.dryRun() ? 0 : options.controls();
    engine.compareWith(new ControlStarts(controls, new Random()::nextDouble));
  }

  // ---- training

  /// Trains networks from now on, on request and regularly.
  ///
  /// @param trainer asked each time; empty while it is not installed
  /// @param window how far back history is read
  /// @param every how often; zero: only on request
  public void trainWith(
      Supplier<Optional<TrainerProcess>> trainer, Duration window, Duration every) {
    Trainings trains = new Trainings(new TrainingHost(), trainer, window, every, clock);
    otherCounters.add(trains::counters);
    trainings = trains;
  }

  Reply.Training train(Program program) throws Refusal {
    list(program);
    return trainings().request(program);
  }

  /// Learns again from history what is known about a program. Not on the engine thread, because
  /// history is asked.
  Reply.Training rebuild(Program program) throws Refusal {
    return trainings().requestRebuild(program);
  }

  private Trainings trainings() throws Refusal {
    Trainings trains = trainings;
    if (trains == null) {
      throw new Refusal(Reason.UNAVAILABLE, "this control plane does not train");
    }
    return trains;
  }

  private void learnt(Program program, double loss) {
    Trainings trains = trainings;
    if (trains != null && !closing) {
      trains.ended(program, loss);
    }
  }

  /// So that a program is listed with how far its training is.
  void list(Program program) {
    models.of(program, ResourceType.FILE_BLOCK);
  }

  Reply.@Nullable Training training(Program program) {
    Trainings trains = trainings;
    return trains == null ? null : trains.state(program);
  }

  /// What trainings ask on their own thread, and the engine thread answers.
  private final class TrainingHost implements Trainings.Host {
    @Override
    public long accesses() {
      return receivedAccesses.get();
    }

    @Override
    public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
        throws Refusal {
      history.scan(selection, visitor);
    }

    @Override
    public Map<Spaces.Name, Integer> numbers(Set<Spaces.Name> names)
        throws InterruptedException, Refusal {
      return onEngine(
          () -> names.stream().collect(Collectors.toMap(name -> name, registry::number)));
    }

    @Override
    public Optional<Network> serving(Program program) throws InterruptedException, Refusal {
      return onEngine(() -> Optional.ofNullable(models.network(program)));
    }

    @Override
    public void serve(Program program, Network network, Provenance provenance)
        throws InterruptedException, Refusal {
      swaps.swap(
          program.key(),
          provenance,
          () -> {
            models.serve(program, network);
            return program;
          });
    }

    @Override
    public Set<Long> going() throws InterruptedException, Refusal {
      return onEngine(engine::runs);
    }

    @Override
    public void replace(Program program, HistoryRuns.Learnt learnt, String line)
        throws InterruptedException, Refusal {
      Provenance provenance =
          new Provenance(
              Provenance.REBUILT, clock.nanos(), learnt.fromNanos(), learnt.toNanos(), null, line);
      swaps.swap(program.key(), provenance, () -> executor.take(learnt.model(), models::rebuilt));
    }

    @Override
    public void trained(Program program) throws InterruptedException, Refusal {
      onEngine(() -> {
        models.trained(program);
        return program;
      });
    }

    @Override
    public Map<Program, Long> newRequests() throws InterruptedException, Refusal {
      return onEngine(models::newRequests);
    }
  }

  /// What is asked on the engine thread.
  @FunctionalInterface
  interface Question<T> {
    T answer() throws Refusal;
  }

  /// Asks on the engine thread; the caller, who is on another one, waits for the answer.
  ///
  /// @throws Refusal the engine's, or one that says that it does not answer: then it was not asked,
  ///   and will not be
  <T> T onEngine(Question<T> question) throws InterruptedException, Refusal {
    CompletableFuture<T> answer = new CompletableFuture<>();
    AtomicBoolean decided = new AtomicBoolean();
    events.put(() -> {
      if (decided.compareAndSet(false, true)) {
        try {
          answer.complete(question.answer());
        } catch (Refusal | RuntimeException e) {
          answer.completeExceptionally(e);
        }
      }
    });
    try {
      try {
        return answer.get(patience.toMillis(), TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        if (decided.compareAndSet(false, true)) {
          throw new Refusal(Reason.UNAVAILABLE, "the engine does not answer: " + e);
        }
      } catch (InterruptedException e) {
        if (decided.compareAndSet(false, true)) {
          throw e;
        }
        Thread.currentThread().interrupt();
      }
      // It is being done in this moment.
      return answer.join();
    } catch (ExecutionException | CompletionException e) {
      if (e.getCause() instanceof Refusal refusal) {
        throw refusal;
      }
      throw new Refusal(Reason.UNAVAILABLE, String.valueOf(e.getCause()));
    }
  }

  // ---- the engine thread

  private void run() {
    List<Step> batch = new ArrayList<>(EVENTS_PER_STEP);
    long nextTick = 0;
    while (!closing) {
      try {
        Step first = events.poll(TICK_MILLIS, TimeUnit.MILLISECONDS);
        if (first != null) {
          batch.add(first);
          events.drainTo(batch, EVENTS_PER_STEP - 1);
        }
        batch.forEach(this::guarded);
        guarded(() -> dryRun.takeChanged().forEach(engine::reported));
        if (events.size() < MANY_EVENTS) {
          guarded(engine::planTouched);
        } else {
          // What was touched meanwhile is planned for when the engine has caught up.
          shedPlans.incrementAndGet();
        }
        long now = clock.nanos();
        if (now >= nextTick) {
          nextTick = now + TimeUnit.MILLISECONDS.toNanos(TICK_MILLIS);
          guarded(engine::tick);
        }
      } catch (InterruptedException e) {
        break;
      } finally {
        batch.clear();
      }
    }
    guarded(engine::stopAll);
    stopped.completeExceptionally(new Refusal(Reason.UNAVAILABLE, STOPPING));
  }

  /// A step that fails is a defect of ours: what it broke is said, what is left goes on. Guests are
  /// not concerned.
  private void guarded(Step step) {
    try {
      step.run();
    } catch (RuntimeException e) {
      LOG.log(ERROR, "a step of the engine failed", e);
      health.trouble("engine", "a step of the engine failed: " + e + "; see the log");
    }
  }

  private void accesses(List<AccessRecord> records) {
    for (AccessRecord record : records) {
      Binding binding = registry.binding(record.binding());
      if (binding != null && record.space() == binding.space().id()) {
        touches(record, binding);
      }
    }
  }

  /// A request that spans units is one access per unit. One that waits is learnt from when it
  /// comes, and kept in history when it is answered.
  private void touches(AccessRecord record, Binding binding) {
    boolean answered = record.latencyNanos() != Access.PENDING;
    boolean seenBefore = record.waited() && answered;
    Shape shape = binding.space().shape();
    long run = engine.runOf(binding.id(), record.type(), record.timeNanos());
    long end = Math.min(shape.amount(), record.offset() + record.amount());
    boolean missesSome = !seenBefore && record.waited() && misses(record, binding, end);
    for (long at = Math.max(0, record.offset()); at < end; ) {
      long index = at / shape.unitAmount();
      long next = Math.min(end, (index + 1) * shape.unitAmount());
      Access access =
          new Access(
              binding.id(),
              run,
              Resource.of(binding.space().id(), index),
              record.timeNanos(),
              record.type(),
              next - at,
              record.cause(),
              record.waited(),
              record.latencyNanos());
      if (!seenBefore) {
        boolean isDemand = record.type() != AccessType.RELEASE && record.cause() == Cause.DEMAND;
        boolean wouldBeHere = isDemand && dryRun.demanded(access);
        boolean wasMissing = !missesSome || !engine.isResident(binding.id(), access.resource());
        report.touched(access, access.waited() && wasMissing && !wouldBeHere);
        engine.accessed(access);
      }
      if (answered) {
        history.offer(access, binding);
        if (at <= record.offset()) {
          // Units of one request are waited for at the same time.
          report.answered(access);
          engine.answered(access);
        }
        dryRun.answered(access);
      }
      at = next;
    }
  }

  /// Whether a request spans units of which some are not here: it waits for these, and not for the
  /// others. If all are on their way already, it waits for all.
  private boolean misses(AccessRecord record, Binding binding, long end) {
    long unit = binding.space().shape().unitAmount();
    long first = Math.max(0, record.offset()) / unit;
    long last = (end - 1) / unit;
    for (long index = first; first < last && index <= last; index++) {
      if (!engine.isResident(binding.id(), Resource.of(binding.space().id(), index))) {
        return true;
      }
    }
    return false;
  }

  private void reconnected(Link connection) {
    link.use(connection);
    long instance = connection.peer().instance();
    // Leases of a dry run are in this process: they outlive any data plane.
    engine.reconnected(isDryRun() || instance == dataPlaneInstance);
    if (instance != dataPlaneInstance) {
      awaitGuests();
    }
    dataPlaneInstance = instance;
    others.clear();
    confirmed = false;
    for (Registered registered : registry.vms()) {
      for (Binding binding : registered.bindings()) {
        bind(binding, outcome -> boundAgain(binding, outcome));
      }
    }
    if (registry.isComplete()) {
      link.send(new Frame.BoundAll());
    }
  }

  /// What is bound must be what was registered; a data plane that lost what it knew cannot tell.
  private void boundAgain(Binding binding, Outcome outcome) {
    String kind = "vm:" + Registered.address(binding);
    Shape shape = outcome.shape();
    if (outcome.refusal() != null) {
      health.trouble(kind, outcome.refusal().getMessage() + "");
    } else if (shape != null && !shape.equals(binding.space().shape())) {
      health.trouble(
          kind,
          "'"
              + binding.space().name()
              + "' has "
              + shape.amount()
              + " bytes and was registered with "
              + binding.space().shape().amount()
              + ", so it is another one than this VM began to read: put the earlier one back, or"
              + " remove and add the VM");
      unbind(binding, _ -> {});
      others.add(Registered.address(binding));
    }
  }

  /// A data plane has taken the place of another one: guests whose connections ended with that come
  /// back within their reconnect delays. Whose those were is known from its last report, or, where
  /// this control plane is new too, not at all.
  private void awaitGuests() {
    awaited.clear();
    for (Registered registered : registry.vms()) {
      boolean hasDisk =
          registered.bindings().stream()
              .anyMatch(binding -> binding.space().type() == ResourceType.FILE_BLOCK);
      if (hasDisk && (dataPlaneInstance == 0 || connections(registered.vm()) > 0)) {
        awaited.add(registered.vm().name());
      }
    }
    awaitedUntilNanos = clock.nanos() + RECONNECT.toNanos();
  }

  /// How long a guest of a VM may take yet to come back to its disks, whose server was restarted;
  /// zero if none is expected to.
  Duration mayReconnectFor(Vm vm) {
    long left = awaited.contains(vm.name()) ? awaitedUntilNanos - clock.nanos() : 0;
    return left <= 0 ? Duration.ZERO : Duration.ofNanos(left);
  }

  private void disconnected() {
    link.use(null);
    engine.disconnected();
    List<Consumer<Outcome>> lost = List.copyOf(unanswered.values());
    unanswered.clear();
    lost.forEach(then -> then.accept(unreachable("the data plane went away; try again")));
    runAwaitingReport();
  }

  private void status(List<Frame.Counter> counters) {
    dataPlaneCounters = counters;
    fills.heard(counters);
    unserved.clear();
    for (Frame.Counter counter : counters) {
      if (counter.name().equals(DISK_CONNECTIONS) && counter.value() > 0) {
        awaited.remove(vmOf(counter.label()));
      }
    }
    boolean allServed = true;
    for (Frame.Counter counter : counters) {
      if (counter.name().equals(DISK_SERVED)) {
        boolean served = counter.value() != 0;
        allServed &= served;
        if (served) {
          health.over("vm:" + counter.label());
        } else {
          unserved.add(counter.label());
        }
      }
    }
    if (allServed) {
      health.over("attach");
    }
    endRunsOf(
        closedDisks.heard(
            counters.stream()
                .filter(counter -> CONNECTIONS.contains(counter.name()))
                .collect(
                    Collectors.groupingBy(
                        counter -> vmOf(counter.label()),
                        Collectors.summingLong(Frame.Counter::value))),
            clock.nanos()));
    if (!confirmed) {
      confirmed = true;
      dryRun.forEachLive(engine::held);
      engine.confirmed();
    }
    runAwaitingReport();
  }

  private void runAwaitingReport() {
    List<Step> steps = List.copyOf(awaitingReport);
    awaitingReport.clear();
    steps.forEach(this::guarded);
  }

  /// Runs a step when the data plane has reported once more, within a second or so; when there is
  /// no data plane to wait for, at once or as soon as its link is lost.
  void afterNextReport(Step step) {
    if (isLinked()) {
      awaitingReport.add(step);
    } else {
      step.run();
    }
  }

  /// The VM of an address, as [Registered#address] makes it.
  private static String vmOf(String address) {
    int slash = address.indexOf('/');
    return slash < 0 ? address : address.substring(0, slash);
  }

  /// How many NBD connections a VM's disks had in the last report, which comes every second; 0 if
  /// there never was one.
  long connections(Vm vm) {
    return dataPlaneCounters.stream()
        .filter(counter -> counter.name().equals(DISK_CONNECTIONS))
        .filter(counter -> vmOf(counter.label()).equals(vm.name()))
        .mapToLong(Frame.Counter::value)
        .sum();
  }

  /// Whether a VM's memory was served at the last report.
  boolean hasMemory(Vm vm) {
    return dataPlaneCounters.stream()
        .anyMatch(counter ->
            counter.name().equals(MEMORY_CONNECTIONS)
                && counter.value() > 0
                && vmOf(counter.label()).equals(vm.name()));
  }

  private void endRunsOf(List<String> names) {
    for (String name : names) {
      Registered registered = registry.vm(name);
      if (registered != null && engine.isRunning(registered.vm().id())) {
        LOG.log(
            INFO,
            "the disks and memory of VM {0} have been closed for a while: its run ends",
            name);
        engine.stopped(registered.vm().id());
      }
    }
  }

  /// A VM's copy starts now.
  void started(Vm vm) {
    closedDisks.started(vm.name());
    engine.started(vm.id());
  }

  /// Whether the data plane says of one of a VM's disks that it cannot be read; it says so every
  /// second.
  boolean isUnserved(Registered registered) {
    return registered.bindings().stream().anyMatch(this::isUnserved);
  }

  /// Whether the data plane says of a disk that it cannot be read.
  boolean isUnserved(Binding binding) {
    String address = Registered.address(binding);
    return unserved.contains(address) || others.contains(address);
  }

  /// What became of a question to the data plane.
  ///
  /// @param amount the size of what was bound; what was given back by a purge
  /// @param shape the shape of what was bound
  /// @param address where what was bound is used, if the data plane says so, or empty
  record Outcome(long amount, @Nullable Shape shape, String address, @Nullable Refusal refusal) {}

  private static Outcome unreachable(String why) {
    return new Outcome(0, null, "", new Refusal(Reason.UNAVAILABLE, why));
  }

  /// Asks the data plane to serve a binding. The answer comes on the engine thread, as this call
  /// must.
  void bind(Binding binding, Consumer<Outcome> then) {
    long request = nextRequest++;
    Space space = binding.space();
    ask(
        request,
        new Frame.Bind(
            request,
            binding.id(),
            Registered.address(binding),
            space.id(),
            space.type(),
            space.tenant(),
            space.name()),
        outcome -> {
          if (outcome.refusal() == null) {
            // What the data plane said of its disk before is no longer so.
            unserved.remove(Registered.address(binding));
            addresses.put(binding.id(), outcome.address());
          }
          then.accept(outcome);
        });
  }

  /// Where the guest uses a binding, as the data plane said last; empty if that follows from the
  /// binding's name or is not known yet.
  String address(Binding binding) {
    return addresses.getOrDefault(binding.id(), "");
  }

  /// Whether what would be staged is only accounted for.
  boolean isDryRun() {
    return options.dryRun();
  }

  /// Whether the data plane would hear a question now.
  boolean isLinked() {
    return link.state().equals("ok");
  }

  /// Asks the data plane to stop serving a binding. The answer comes on the engine thread, as this
  /// call must.
  void unbind(Binding binding, Consumer<Outcome> then) {
    long request = nextRequest++;
    ask(request, new Frame.Unbind(request, binding.id()), then);
  }

  /// Asks the data plane to remove what it holds of an image. The answer, with the bytes that were
  /// given back, comes on the engine thread, as this call must.
  void purge(String tenant, String image, Consumer<Outcome> then) {
    long request = nextRequest++;
    ask(request, new Frame.Purge(request, tenant, image), then);
  }

  private void ask(long request, Frame frame, Consumer<Outcome> then) {
    if (link.send(frame)) {
      unanswered.put(request, then);
    } else {
      then.accept(unreachable(link.state()));
    }
  }

  private void answered(Frame.Answer answer) {
    Consumer<Outcome> then = unanswered.remove(answer.requestId());
    if (then != null) {
      Refusal refusal =
          answer.error().isEmpty() ? null : new Refusal(Reason.INVALID, answer.error());
      then.accept(new Outcome(answer.amount(), answer.shape(), answer.address(), refusal));
    }
  }

  /// What the link's thread hands over. Accesses may be shed when the engine does not keep up;
  /// nothing else may.
  private final class LinkEvents implements LinkClient.Listener {
    @Override
    public void connected(Link connection) {
      post(() -> reconnected(connection));
    }

    @Override
    public void disconnected() {
      post(ControlPlane.this::disconnected);
    }

    @Override
    public void received(Frame frame) throws InterruptedException {
      switch (frame) {
        case Frame.Accesses(List<AccessRecord> records) -> {
          receivedAccesses.addAndGet(records.size());
          if (!events.offer(() -> accesses(records))) {
            shedAccesses.addAndGet(records.size());
          }
        }
        case Frame.Leases leases -> events.put(() -> leases.states().forEach(engine::reported));
        case Frame.HeldLease held -> events.put(() -> engine.held(held.lease(), held.state()));
        case Frame.Resident resident ->
            events.put(() -> {
              dryRun.addReady(resident.space(), resident.units());
              engine.resident(resident.space(), resident.units());
            });
        case Frame.Evicted evicted ->
            events.put(() -> engine.evicted(evicted.space(), evicted.first(), evicted.units()));
        case Frame.Status status -> events.put(() -> status(status.counters()));
        case Frame.Trouble trouble -> health.trouble(trouble.kind(), trouble.text());
        case Frame.Answer answer -> events.put(() -> answered(answer));
        case Frame.Hello _,
            Frame.Bind _,
            Frame.Unbind _,
            Frame.Purge _,
            Frame.BoundAll _,
            Frame.Stage _,
            Frame.Cancel _,
            Frame.Reclaim _ ->
            LOG.log(WARNING, "the data plane said what only a control plane may say: {0}", frame);
      }
    }

    private void post(Step step) {
      try {
        events.put(step);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  // ---- commands

  @Override
  public Reply execute(Command command) throws Refusal {
    if (command instanceof Command.HistoryQuestion question) {
      return HistoryAnswers.to(question, history);
    }
    CompletableFuture<Reply> reply = new CompletableFuture<>();
    try {
      if (closing) {
        throw new Refusal(Reason.UNAVAILABLE, STOPPING);
      }
      long millis = patience.toMillis();
      if (!events.offer(() -> executor.execute(command, reply), millis, TimeUnit.MILLISECONDS)) {
        throw new Refusal(Reason.UNAVAILABLE, "the engine is busy; try again");
      }
      CompletableFuture.anyOf(reply, stopped).get(millis, TimeUnit.MILLISECONDS);
      Reply answer = reply.join();
      if (answer instanceof Reply.VmView vm && command instanceof Command.RegisterVm) {
        swaps.registered(new Program.Key(vm.tenant(), vm.program()));
      }
      return answer;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(Reason.UNAVAILABLE, STOPPING);
    } catch (TimeoutException e) {
      throw new Refusal(
          Reason.UNAVAILABLE,
          "no answer within " + patience.toSeconds() + " s; see /health for which part is stuck");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Refusal refusal) {
        throw refusal;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      // Nobody waits any more: what would come too late is not begun, or undone.
      reply.cancel(false);
    }
  }

  /// What the executor needs of this plane, read on the engine thread.
  Options options() {
    return options;
  }

  List<Frame.Counter> dataPlaneCounters() {
    return dataPlaneCounters;
  }

  /// A VM was removed: what is kept or said of it goes.
  void forget(Registered registered) {
    history.forget(registered.vm());
    awaited.remove(registered.vm().name());
    for (Binding binding : registered.bindings()) {
      others.remove(Registered.address(binding));
      fills.forget(Registered.address(binding));
      addresses.remove(binding.id());
      health.over("vm:" + Registered.address(binding));
    }
  }

  long shedAccesses() {
    return shedAccesses.get();
  }

  long shedPlans() {
    return shedPlans.get();
  }

  /// Numbers of parts around this plane join its own.
  public void alsoCount(Supplier<List<Reply.Counter>> source) {
    otherCounters.add(source);
  }

  /// The state of a part around this plane joins those in health: `ok`, or one line.
  public void alsoReport(String part, Supplier<String> state) {
    otherParts.put(part, state);
  }

  /// What is answered to whoever asks for the addresses that get notices.
  public void showWebhooks(Supplier<List<Reply.WebhookView>> views) {
    webhooks = views;
  }

  List<Reply.WebhookView> webhooks() {
    return webhooks.get();
  }

  /// What is answered to whoever asks where images lie.
  public void nameOrigins(List<Reply.OriginView> named) {
    origins = List.copyOf(named);
  }

  /// Where models of programs lie beside the images of origins.
  public void fetchModelsFrom(List<Path> folders) {
    swaps.fetchFrom(folders);
  }

  /// The kind of each tier, the fastest first.
  public void nameTiers(SequencedMap<String, String> kinds) {
    tierKinds = new LinkedHashMap<>(kinds);
  }

  SequencedMap<String, String> tierKinds() {
    return tierKinds;
  }

  List<Reply.OriginView> origins() {
    return origins;
  }

  List<Reply.Counter> otherCounters() {
    return otherCounters.stream().flatMap(source -> source.get().stream()).toList();
  }

  ModelSwaps swaps() {
    return swaps;
  }

  Fills fills() {
    return fills;
  }

  Health health() {
    return health;
  }

  Report report() {
    return report;
  }

  long startedNanos() {
    return startedNanos;
  }

  Map<String, String> parts() {
    Map<String, String> parts = new HashMap<>(PutAside.in(options.state()));
    parts.putAll(health.troubles());
    parts.put("data-plane", link.state());
    parts.put("history", history.state());
    otherParts.forEach((part, state) -> parts.put(part, state.get()));
    return parts;
  }

  /// Ends runs, keeps what was learnt, and closes the link. Guests notice nothing.
  @Override
  public void close() {
    closing = true;
    Trainings trains = trainings;
    if (trains != null) {
      trains.close();
    }
    link.close();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    models.close();
  }
}
