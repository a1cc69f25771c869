package dev.prestage.engine.predict;

import dev.prestage.engine.access.Access;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.Set;

/// The launch profile of a program: for each resource the share of runs that touched it, and its
/// place in their order.
///
/// Recording the working set of a start and staging it before the next is REAP (Ustiugov et al.,
/// "Benchmarking, Analysis, and Optimization of Serverless Function Snapshots", ASPLOS 2021). Here
/// the set is weighted: a resource that one run in four touched is a forecast of a quarter, not a
/// certainty, and old runs fade.
///
/// The order comes from ranks, because ranks do not change when a run was slowed by the very waits
/// that staging removes. The times come from the fastest run seen, as far as it went: the nearest
/// thing to a run without waits.
final class RunSet {
  /// What is beyond this many resources of a run is not remembered: 64 Ki units are 4 GiB.
  private static final int MAX_RESOURCES = 64 * 1024;

  /// How much of a run's weight is left after the next one. An upgraded image is relearnt in two or
  /// three runs, and what one run in six touches still counts.
  private static final double FADE = 0.85;

  /// The estimate before any evidence, as a fraction of a run: one run that touched a resource
  /// makes it likely (.83), not certain.
  private static final double PRIOR_HITS = 0.25;

  private static final double PRIOR_RUNS = 0.5;

  /// Below this weight a resource is forgotten: some 18 runs without a touch.
  private static final double FORGOTTEN = 0.05;

  /// More than all runs that count can have touched.
  private static final int MAX_ENTRIES = 32 * MAX_RESOURCES;

  /// What hits and chances come to after many runs, and one for rounding.
  private static final double MAX_CHANCES = 1 / (1 - FADE) + 1;

  /// A year: no start takes longer.
  private static final long MAX_OFFSET_NANOS = 365L * 24 * 3600 * 1_000_000_000;

  private final Map<Long, Entry> entries = new HashMap<>();
  private int runs;

  /// Start to first touch by rank, of the fastest run; where it ended early, of those that went on.
  private long[] pace = {};

  private List<Entry> order = List.of();

  private List<Long> lastRun = List.of();

  /// One resource. Hits and chances fade alike; a run that ended before it came to the resource was
  /// no chance.
  private static final class Entry {
    final long resource;
    double hits;
    double chances;
    double rank;

    Entry(long resource) {
      this.resource = resource;
    }

    double presence() {
      return (hits + PRIOR_HITS) / (chances + PRIOR_RUNS);
    }
  }

  int runs() {
    return runs;
  }

  int size() {
    return entries.size();
  }

  /// What the last run touched, in order of first touch.
  List<Long> lastRun() {
    return lastRun;
  }

  Set<Long> resources() {
    Set<Long> all = new HashSet<>(entries.keySet());
    all.addAll(lastRun);
    return all;
  }

  Run start(long nowNanos) {
    return new Run(nowNanos);
  }

  private void learn(List<Long> touched, long[] offsets) {
    if (touched.isEmpty()) {
      return;
    }
    runs++;
    lastRun = List.copyOf(touched);
    Set<Long> hit = new HashSet<>(touched);
    for (Entry entry : order) {
      if (entry.rank <= touched.size() || hit.contains(entry.resource)) {
        entry.hits *= FADE;
        entry.chances = entry.chances * FADE + 1;
      }
    }
    double elder = chancesOfEarlierRuns();
    for (int rank = 0; rank < touched.size(); rank++) {
      Entry entry = entries.get(touched.get(rank));
      if (entry == null) {
        entry = new Entry(touched.get(rank));
        entry.chances = elder;
        entry.rank = rank;
        entries.put(entry.resource, entry);
      }
      entry.hits += 1;
      entry.rank += (rank - entry.rank) / Math.min(entry.hits, 3);
    }
    entries.values().removeIf(entry -> entry.hits < FORGOTTEN);
    order = new ArrayList<>(entries.values());
    order.sort(Comparator.comparingDouble(entry -> entry.rank));
    keepPace(offsets);
  }

  /// The chances that a resource had which is seen for the first time: all runs so far.
  private double chancesOfEarlierRuns() {
    return (1 - Math.pow(FADE, runs)) / (1 - FADE);
  }

  /// As far as both runs went, the faster one counts; behind that, the longer one, moved to where
  /// the faster one ends.
  private void keepPace(long[] offsets) {
    int common = Math.min(pace.length, offsets.length);
    long[] longer = offsets.length > pace.length ? offsets : pace;
    if (common == 0) {
      pace = longer;
      return;
    }
    long[] faster = offsets[common - 1] < pace[common - 1] ? offsets : pace;
    long shift = faster[common - 1] - longer[common - 1];
    long[] merged = new long[longer.length];
    for (int rank = 0; rank < merged.length; rank++) {
      merged[rank] = rank < common ? faster[rank] : longer[rank] + shift;
    }
    pace = merged;
  }

  private long offset(double rank) {
    return pace.length == 0 ? 0 : pace[Math.clamp((long) rank, 0, pace.length - 1)];
  }

  void write(DataOutput out, ResourceCodec codec) throws IOException {
    out.writeInt(runs);
    out.writeInt(entries.size());
    for (Entry entry : order) {
      codec.write(entry.resource, out);
      out.writeDouble(entry.hits);
      out.writeDouble(entry.chances);
      out.writeDouble(entry.rank);
    }
    out.writeInt(pace.length);
    for (long offset : pace) {
      out.writeLong(offset);
    }
    out.writeInt(lastRun.size());
    for (long resource : lastRun) {
      codec.write(resource, out);
    }
  }

  static RunSet read(DataInput in, ResourceCodec codec) throws IOException {
    RunSet set = new RunSet();
    set.runs = ResourceCodec.checkedSize(in.readInt(), Integer.MAX_VALUE);
    int size = ResourceCodec.checkedSize(in.readInt(), MAX_ENTRIES);
    List<Entry> order = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      Entry entry = new Entry(codec.read(in));
      entry.hits = checked(in.readDouble(), MAX_CHANCES);
      entry.chances = checked(in.readDouble(), MAX_CHANCES);
      entry.rank = checked(in.readDouble(), MAX_RESOURCES);
      if (entry.hits > entry.chances + 1e-9 || set.entries.put(entry.resource, entry) != null) {
        throw new ModelException("it says of a resource what cannot be");
      }
      order.add(entry);
    }
    order.sort(Comparator.comparingDouble(entry -> entry.rank));
    set.order = order;
    set.pace = new long[ResourceCodec.checkedSize(in.readInt(), MAX_RESOURCES)];
    for (int i = 0; i < set.pace.length; i++) {
      set.pace[i] = checkedOffset(in.readLong());
    }
    int touched = ResourceCodec.checkedSize(in.readInt(), MAX_RESOURCES);
    List<Long> lastRun = new ArrayList<>();
    for (int i = 0; i < touched; i++) {
      lastRun.add(codec.read(in));
    }
    set.lastRun = lastRun;
    return set;
  }

  private static long checkedOffset(long nanos) throws ModelException {
    if (nanos < -MAX_OFFSET_NANOS || nanos > MAX_OFFSET_NANOS) {
      throw new ModelException("it says that a touch came " + nanos + " ns after the start");
    }
    return nanos;
  }

  private static double checked(double value, double limit) throws ModelException {
    if (!(value >= 0 && value <= limit)) {
      throw new ModelException("it says " + value + " where 0 to " + limit + " can be");
    }
    return value;
  }

  /// One copy's progress through the set.
  final class Run {
    private final long startNanos;

    /// What is touched now, and so not expected.
    private final Set<Long> seen = new HashSet<>();

    /// What was ever touched, in order of first touch.
    private final SequencedSet<Long> touched = new LinkedHashSet<>();

    private final List<Long> offsets = new ArrayList<>();

    private Run(long startNanos) {
      this.startNanos = startNanos;
    }

    /// Whether earlier runs touched this resource.
    boolean expects(long resource) {
      return entries.containsKey(resource);
    }

    void observe(Access access) {
      seen.add(access.resource());
      if (touched.size() < MAX_RESOURCES && touched.add(access.resource())) {
        offsets.add(Math.clamp(access.timeNanos() - startNanos, 0, MAX_OFFSET_NANOS));
      }
    }

    void released(long resource) {
      seen.remove(resource);
    }

    void forecast(long nowNanos, long horizonNanos, Forecast into) {
      for (Entry entry : order) {
        long due = startNanos + offset(entry.rank);
        if (due > nowNanos + horizonNanos) {
          return;
        }
        if (!seen.contains(entry.resource)) {
          into.add(entry.resource, entry.presence(), due, Expert.RUN_SET);
        }
      }
    }

    void stop() {
      learn(List.copyOf(touched), offsets.stream().mapToLong(Long::longValue).toArray());
    }
  }
}
