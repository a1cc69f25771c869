package dev.prestage.engine.predict;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.Spaces;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// The product's forecaster: several experts that each know one kind of pattern. For each resource
/// the most confident expert is believed.
public final class HybridForecaster implements Forecaster {
  /// How fast the estimate of the time between two touches follows: about the last 16.
  private static final double GAP_RATE = 1.0 / 16;

  /// The gap before any is known: what a demand read from a fast disk takes.
  private static final long FIRST_GAP_NANOS = 100_000;

  /// A wait longer than this is the user's or the origin's pause and not the program's pace.
  private static final long LONGEST_GAP_NANOS = 50_000_000;

  private final RunSet runSet;
  private final MarkovChain markov;
  private final SequentialRuns sequential;
  private final ExpertScores scores = new ExpertScores();

  /// A forecaster that knows nothing yet.
  public HybridForecaster() {
    this(new RunSet(), new MarkovChain(), new SequentialRuns());
  }

  private HybridForecaster(RunSet runSet, MarkovChain markov, SequentialRuns sequential) {
    this.runSet = runSet;
    this.markov = markov;
    this.sequential = sequential;
  }

  /// How many complete runs were learnt.
  public int runs() {
    return runSet.runs();
  }

  /// How many resources the launch profile knows.
  public int resources() {
    return runSet.size();
  }

  /// The memory that holds what was learnt, in bytes, about: a state of the Markov model is an
  /// entry of a linked map (64 bytes), its key (16) and an object with two arrays of four (112); a
  /// resource of the launch profile is an entry (48), two keys (32) and an object (48).
  public long memoryBytes() {
    return 192L * markov.size() + 128L * runSet.size();
  }

  /// What the last complete run touched, in order of first touch.
  public List<Long> lastRun() {
    return runSet.lastRun();
  }

  /// What became of what the experts spoke for, since this forecaster was made or read.
  public ExpertScores scores() {
    return scores;
  }

  @Override
  public void ended(Lease lease, long units, Outcome how) {
    scores.ended(lease.experts(), Long.bitCount(units), how);
  }

  @Override
  public Cursor start(int vm, long nowNanos) {
    return new HybridCursor(nowNanos);
  }

  /// Writes all that was learnt, in the layout that [#read] reads.
  void write(DataOutput out, Spaces spaces) throws IOException {
    Set<Integer> numbers = new TreeSet<>();
    markov.resources().forEach(resource -> numbers.add(Resource.space(resource)));
    runSet.resources().forEach(resource -> numbers.add(Resource.space(resource)));
    ResourceCodec codec = ResourceCodec.write(List.copyOf(numbers), spaces, out);
    runSet.write(out, codec);
    markov.write(out, codec);
    sequential.write(out);
  }

  static HybridForecaster read(DataInput in, Spaces spaces) throws IOException {
    ResourceCodec codec = ResourceCodec.read(spaces, in);
    return new HybridForecaster(
        RunSet.read(in, codec), MarkovChain.read(in, codec), SequentialRuns.read(in));
  }

  private final class HybridCursor implements Cursor {
    private final RunSet.Run run;
    private final boolean known = runSet.runs() > 0;
    private final Map<Integer, Lane> lanes = new HashMap<>();
    private @Nullable Lane lane;
    private long lastNanos;
    private double gapNanos = FIRST_GAP_NANOS;

    private HybridCursor(long startNanos) {
      this.run = runSet.start(startNanos);
      this.lastNanos = startNanos;
    }

    /// The stream of one binding: what follows what, and what runs on, is the business of one disk.
    private final class Lane {
      private final MarkovChain.Position position = markov.new Position();
      private final SequentialRuns.Run streak = sequential.start(known);
    }

    @Override
    public void observe(Access access) {
      Lane touched = lanes.computeIfAbsent(access.binding(), _ -> new Lane());
      lane = touched;
      touched.streak.observe(access.resource(), run.expects(touched.streak.next()));
      run.observe(access);
      touched.position.observe(access.resource());
      long gap = Math.clamp(access.timeNanos() - lastNanos, 0, LONGEST_GAP_NANOS);
      gapNanos += (gap - gapNanos) * GAP_RATE;
      lastNanos = Math.max(lastNanos, access.timeNanos());
    }

    @Override
    public void released(Access access) {
      run.released(access.resource());
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      long gap = Math.max(1, (long) gapNanos);
      run.forecast(nowNanos, horizonNanos, into);
      for (Lane each : lanes.values()) {
        each.position.forecast(nowNanos, gap, horizonNanos, into);
        each.streak.forecast(nowNanos, gap, horizonNanos, into);
      }
    }

    /// The Markov model knows what came next; where it is silent, the sequential run is believed.
    @Override
    public void next(long nowNanos, Forecast into) {
      if (lane == null) {
        return;
      }
      long due = nowNanos + Math.max(1, (long) gapNanos);
      int before = into.size();
      lane.position.next(due, into);
      if (into.size() == before) {
        lane.streak.next(due, into);
      }
    }

    @Override
    public void stop(long nowNanos) {
      run.stop();
    }
  }
}
