package dev.prestage.control.train;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The runs of a program as history has them, told again to forecasters that know nothing: what
/// they learn is what this host learnt while the runs were made.
///
/// History is read twice, in pieces: the first time to learn where each run ends, the second time
/// to learn from it. A run begins with its first access and is learnt after its last one. A run
/// that goes on is observed and not learnt as a whole, as it is while it goes on. Accesses of no
/// run are passed over, as they were.
///
/// What history does not have is not learnt: accesses that it dropped, runs that touched nothing,
/// what was staged where its touch cannot be seen, and what became of staging, on which the weights
/// of the experts rest.
///
/// One thread.
public final class HistoryRuns {
  /// Rows that are taken at once, some 15 MB: a question to the history must not take long, and
  /// learning does.
  private static final int PIECE = 100_000;

  private final Source history;
  private final Program.Key program;
  private final long fromNanos;
  private final long toNanos;
  private final Set<Long> going;
  private final Consumer<String> progress;
  private final ModelBundle.Numbers numbers = new ModelBundle.Numbers();
  private final Map<RunKey, Extent> extents = new HashMap<>();
  private final Map<String, Set<ResourceType>> typesByVm = new HashMap<>();
  private final Map<RunKey, Going> runs = new HashMap<>();
  private final Map<ResourceType, HybridForecaster> forecasters = new EnumMap<>(ResourceType.class);
  private final Map<Bound, Integer> bindings = new HashMap<>();
  private final List<Double> losses = new ArrayList<>();
  private long accesses;
  private long read;
  private @Nullable ResourceType only;
  private int learnt;

  /// Where rows come from.
  @FunctionalInterface
  interface Source {
    void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) throws Refusal;
  }

  /// What was learnt.
  ///
  /// @param model as [ModelBundle] has it
  /// @param runs that were learnt as a whole
  /// @param fromNanos the time of the first access
  /// @param toNanos the time of the last one
  /// @param losses how wrong the forecast of each run's start was, made of the runs before, in the
  ///   order of their ends; of disks, and of runs with such a forecast
  public record Learnt(
      ByteBuffer model,
      int runs,
      long accesses,
      long fromNanos,
      long toNanos,
      List<Double> losses) {
    /// One line about it.
    public String line() {
      return "from " + accesses + " accesses of " + runs + " runs";
    }
  }

  private record RunKey(long run, String vm) {}

  private record Bound(String vm, ResourceType type, String space) {}

  /// What is known of a run before it is learnt.
  private static final class Extent {
    long firstNanos = Long.MAX_VALUE;
    long lastNanos;
    long accesses;
  }

  /// A run that was begun and is not at its end.
  private static final class Going {
    final Map<ResourceType, Forecaster.Cursor> cursors = new EnumMap<>(ResourceType.class);
    long left;

    Going(long left) {
      this.left = left;
    }
  }

  /// @param program whose runs
  /// @param fromNanos from this time on
  /// @param toNanos before this time
  /// @param going runs that have not ended
  /// @param progress hears a line now and then
  HistoryRuns(
      Source history,
      Program.Key program,
      long fromNanos,
      long toNanos,
      Set<Long> going,
      Consumer<String> progress) {
    this.history = history;
    this.program = program;
    this.fromNanos = fromNanos;
    this.toNanos = toNanos;
    this.going = going;
    this.progress = progress;
  }

  /// Whether history has any access of a run of the program.
  boolean hasAny() throws Refusal {
    boolean[] found = {false};
    history.scan(
        new AccessHistory.Selection(program.name(), null, null, fromNanos, toNanos),
        row -> {
          found[0] |= isLearnt(row);
          return !found[0];
        });
    return found[0];
  }

  /// Learns all runs.
  ///
  /// @return empty if history has none that is complete
  Optional<Learnt> learn() throws Refusal, InterruptedException {
    forEach(this::measure);
    progress.accept(accesses + " accesses of " + extents.size() + " runs");
    forEach(this::observe);
    if (learnt == 0) {
      return Optional.empty();
    }
    return Optional.of(
        new Learnt(
            ByteBuffer.wrap(encoded()),
            learnt,
            accesses,
            extents.values().stream().mapToLong(run -> run.firstNanos).min().orElse(0),
            extents.values().stream().mapToLong(run -> run.lastNanos).max().orElse(0),
            List.copyOf(losses)));
  }

  /// Has only what is learnt of one type be kept.
  HistoryRuns of(ResourceType type) {
    only = type;
    return this;
  }

  private byte[] encoded() {
    SortedMap<ResourceType, ModelFile> models = new TreeMap<>();
    forecasters.forEach((type, forecaster) -> {
      if (forecaster.runs() > 0 && (only == null || type == only)) {
        models.put(type, new ModelFile(program.tenant(), program.name(), forecaster));
      }
    });
    return new ModelBundle(models).encode(numbers);
  }

  private boolean isLearnt(AccessHistory.Row row) {
    return row.cause() == Cause.DEMAND
        && row.run() != Access.NO_RUN
        && row.tenant().equals(program.tenant());
  }

  /// Hands over all rows, in pieces that end between two times.
  private void forEach(Consumer<AccessHistory.Row> reader) throws Refusal, InterruptedException {
    long from = fromNanos;
    List<AccessHistory.Row> rows = new ArrayList<>();
    do {
      rows.clear();
      history.scan(
          new AccessHistory.Selection(program.name(), null, null, from, toNanos),
          row -> {
            if (!isLearnt(row)) {
              return true;
            }
            if (rows.size() >= PIECE && rows.getLast().timeNanos() != row.timeNanos()) {
              return false;
            }
            rows.add(row);
            return true;
          });
      rows.forEach(reader);
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      from = rows.isEmpty() ? toNanos : rows.getLast().timeNanos() + 1;
    } while (rows.size() >= PIECE);
  }

  private void measure(AccessHistory.Row row) {
    Extent extent = extents.computeIfAbsent(new RunKey(row.run(), row.vm()), _ -> new Extent());
    extent.firstNanos = Math.min(extent.firstNanos, row.timeNanos());
    extent.lastNanos = Math.max(extent.lastNanos, row.timeNanos());
    extent.accesses++;
    accesses++;
    typesByVm.computeIfAbsent(row.vm(), _ -> EnumSet.noneOf(ResourceType.class)).add(row.type());
  }

  private void observe(AccessHistory.Row row) {
    RunKey key = new RunKey(row.run(), row.vm());
    Extent extent = extents.get(key);
    if (extent == null) {
      return; // written since it was measured: its run goes on, or is learnt next time
    }
    Going run = runs.computeIfAbsent(key, _ -> begin(key, extent, row.timeNanos()));
    Access access = access(row);
    Forecaster.Cursor cursor = cursor(run, row.type(), access.timeNanos());
    if (row.access() == AccessType.RELEASE) {
      cursor.released(access);
    } else {
      cursor.observe(access);
    }
    if (--run.left == 0 && !going.contains(row.run())) {
      end(key, run, row.timeNanos());
    }
    if (++read % PIECE == 0) {
      progress.accept(read + " of " + accesses + " accesses, " + learnt + " runs");
    }
  }

  /// A run is one of each type that its VM is bound to, touched or not.
  private Going begin(RunKey key, Extent extent, long nanos) {
    Going run = new Going(extent.accesses);
    for (ResourceType type : typesByVm.getOrDefault(key.vm(), Set.of())) {
      cursor(run, type, nanos);
    }
    return run;
  }

  private Forecaster.Cursor cursor(Going run, ResourceType type, long nanos) {
    return run.cursors.computeIfAbsent(type, _ -> forecaster(type).start(0, nanos));
  }

  private HybridForecaster forecaster(ResourceType type) {
    return forecasters.computeIfAbsent(type, _ -> new HybridForecaster(new HostKnowledge()));
  }

  private void end(RunKey key, Going run, long nanos) {
    run.cursors.values().forEach(cursor -> cursor.stop(nanos));
    runs.remove(key);
    learnt++;
    HybridForecaster disks = forecasters.get(ResourceType.FILE_BLOCK);
    if (run.cursors.containsKey(ResourceType.FILE_BLOCK)
        && disks != null
        && !Double.isNaN(disks.lastLoss())) {
      losses.add(disks.lastLoss());
    }
  }

  private Access access(AccessHistory.Row row) {
    int binding =
        bindings.computeIfAbsent(
            new Bound(row.vm(), row.type(), row.space()), _ -> bindings.size() + 1);
    int space = numbers.number(new Spaces.Name(row.tenant(), row.type(), row.space()));
    return new Access(
        binding,
        row.run(),
        Resource.of(space, row.resource()),
        row.timeNanos(),
        row.access(),
        row.sizeBytes(),
        row.cause(),
        row.waited(),
        row.latencyNanos());
  }
}
