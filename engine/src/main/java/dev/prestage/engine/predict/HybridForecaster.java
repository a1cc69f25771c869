package dev.prestage.engine.predict;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.Spaces;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/// The product's forecaster: a family of Markov models, and what starts touch. Each half proposes
/// by itself what is worth staging; where both speak for a unit, the more confident one is
/// believed.
public final class HybridForecaster implements Forecaster {
  /// How fast the estimate of the time between two touches follows: about the last 16.
  private static final double GAP_RATE = 1.0 / 16;

  /// The gap before any is known: what a demand read from a fast disk takes.
  private static final long FIRST_GAP_NANOS = 100_000;

  private static final String STARTS = "starts";
  private static final String REQUESTS = "requests";
  private static final String MARKOV = "markov";
  private static final String NEURAL = "neural";
  private static final int SECTIONS = 4;
  private static final int FIRST = 1;

  /// Since then the section of the Markov models has a place for the network's weight.
  private static final int SECOND = 2;

  private static final int MOST_SECTIONS = 256;

  /// As long as a run touches no more than this many times what is held, nothing of it has to
  /// leave.
  private static final int CAPACITY = 4;

  /// While a run is small enough that nothing has to leave, its start, the Markov models only add
  /// what is likely: more likely than not for a program that never ran here, which pays for each
  /// sequence that ends early (measured on `starts64k` and `starts4k`: below .5 first starts fetch
  /// more than readahead does).
  private static final double LEAST_KNOWN = .25;

  private static final double LEAST_UNKNOWN = .5;

  /// What they propose at a start is judged after so many other units have come: the end of the run
  /// would be too late to learn from in a first start. With 256 such starts fetch a sixth more,
  /// with 96 nothing changes.
  private static final int START_UNITS = 128;

  /// A longer request is taken for several.
  static final int MOST_UNITS = 4096;

  /// A wait longer than this is the user's or the origin's pause and not the program's pace.
  private static final long LONGEST_GAP_NANOS = 50_000_000;

  private final StartModel starts;
  private final MarkovModel markov;
  private final Reliability reliability = new Reliability();
  private final ExpertScores scores = new ExpertScores();

  /// A forecaster that knows nothing yet.
  public HybridForecaster() {
    this(new HostKnowledge());
  }

  /// A forecaster that knows nothing of its program yet.
  ///
  /// @param host what the programs of this host have in common
  public HybridForecaster(HostKnowledge host) {
    this.starts = new StartModel(host, reliability);
    this.markov = new MarkovModel(reliability);
  }

  /// How many complete runs were learnt.
  public int runs() {
    return starts.runs();
  }

  /// How many resources the launch profile knows.
  public int resources() {
    return starts.size();
  }

  /// The memory that holds what was learnt, in bytes, about.
  public long memoryBytes() {
    return markov.memoryBytes() + starts.memoryBytes();
  }

  /// What the last complete run touched, in order of first touch.
  public long[] lastRun() {
    return starts.lastRun();
  }

  /// How wrong the forecast of the last complete run's start was, as it was made when that run
  /// began: from 0, all of what it touched and nothing else, to 1. NaN if there was none.
  public double lastLoss() {
    return starts.lastLoss();
  }

  /// What complete runs touched, as far as the launch profile remembers them.
  public long[] touched() {
    LongStream.Builder units = LongStream.builder();
    starts.readUnits(units);
    return units.build().distinct().toArray();
  }

  /// What became of what the experts spoke for, since this forecaster was made or read.
  public ExpertScores scores() {
    return scores;
  }

  /// Whether its probabilities came true.
  public Reliability reliability() {
    return reliability;
  }

  @Override
  public void ended(Lease lease, long units, Outcome how) {
    scores.ended(lease.experts(), Long.bitCount(units), how);
    for (long left = units; left != 0; left &= left - 1) {
      long index = lease.first() + Long.numberOfTrailingZeros(left);
      markov.ended(Resource.of(lease.space(), index), how);
    }
  }

  @Override
  public Cursor start(int vm, long nowNanos) {
    return new HybridCursor();
  }

  /// Writes all that was learnt: the names of spaces, then sections, each with its name, version
  /// and length.
  void write(DataOutput out, Spaces spaces) throws IOException {
    Set<Integer> numbers = new TreeSet<>();
    starts.readUnits(unit -> numbers.add(Resource.space(unit)));
    markov.readUnits(unit -> numbers.add(Resource.space(unit)));
    ResourceCodec codec = ResourceCodec.write(List.copyOf(numbers), spaces, out);
    out.writeInt(SECTIONS);
    ModelFile.section(out, STARTS, FIRST, section -> starts.write(section, codec));
    ModelFile.section(out, REQUESTS, FIRST, section -> markov.writeRequests(section, codec));
    ModelFile.section(out, MARKOV, SECOND, markov::writeCounts);
    ModelFile.section(out, NEURAL, FIRST, section -> markov.neural().write(section, codec));
  }

  /// Reads what [#write] wrote; sections that it does not know, or of later versions, are passed
  /// over.
  static HybridForecaster read(DataInput in, Spaces spaces, HostKnowledge host) throws IOException {
    HybridForecaster forecaster = new HybridForecaster(host);
    ResourceCodec codec = ResourceCodec.read(spaces, in);
    int sections = ResourceCodec.checkedSize(in.readInt(), MOST_SECTIONS);
    for (int i = 0; i < sections; i++) {
      ModelFile.Section section = ModelFile.section(in);
      forecaster.read(section, codec);
    }
    return forecaster;
  }

  private void read(ModelFile.Section section, ResourceCodec codec) throws IOException {
    int version = section.version();
    if (section.name().equals(MARKOV) && (version == FIRST || version == SECOND)) {
      section.read(bytes -> markov.readCounts(bytes, version == SECOND));
    } else if (version == FIRST) {
      switch (section.name()) {
        case STARTS -> section.read(bytes -> starts.read(bytes, codec));
        case REQUESTS -> section.read(bytes -> markov.readRequests(bytes, codec));
        case NEURAL -> section.read(bytes -> markov.neural().read(bytes, codec));
        default -> {
          // What another version knew beside.
        }
      }
    }
  }

  /// Takes a network that was trained for this program on trial.
  public void serve(Network network) {
    markov.serve(network);
  }

  /// The network that serves, one on trial included, or null.
  public @Nullable Network network() {
    return markov.neural().network();
  }

  /// How many requests were learnt from, as far as is known.
  public long requests() {
    return markov.requests();
  }

  /// How many of them came since the last training.
  public long newRequests() {
    return Math.max(0, markov.requests() - markov.neural().trainedAt());
  }

  /// A training has ended, whatever came of it.
  public void trained() {
    markov.neural().trained(markov.requests());
  }

  /// By how many bits a request the last network made forecasts of the next one better, or NaN
  /// before any was tried.
  public double networkGain() {
    return markov.neural().gain();
  }

  /// Tells the host's other programs of what was read. Once, for a model that is taken over.
  public void introduce() {
    starts.introduce();
  }

  /// As [#introduce], for a model that takes the place of another one of the same program.
  public void introduceInPlaceOf(HybridForecaster before) {
    starts.introduceInPlaceOf(before.starts);
  }

  /// Reads what the first version wrote. Of its three parts the launch profile lives on; what
  /// followed what is learnt anew.
  static HybridForecaster readFirst(DataInput in, Spaces spaces, HostKnowledge host)
      throws IOException {
    HybridForecaster forecaster = new HybridForecaster(host);
    forecaster.starts.readFirst(in, ResourceCodec.read(spaces, in));
    return forecaster;
  }

  private final class HybridCursor implements Cursor {
    private final StartModel.Run run = starts.start();
    private final List<Lane> lanes = new ArrayList<>();
    private @Nullable Lane lane;

    private Lane laneOf(int binding, long resource) {
      for (int i = 0; i < lanes.size(); i++) {
        if (lanes.get(i).binding == binding) {
          return lanes.get(i);
        }
      }
      Lane opened = new Lane(binding, markov.new Trail(), run.part(resource));
      lanes.add(opened);
      return opened;
    }

    @Override
    public void observe(Access access) {
      Lane touched = lane;
      if (touched == null || touched.binding != access.binding()) {
        touched = laneOf(access.binding(), access.resource());
        lane = touched;
      }
      touched.observe(access);
    }

    @Override
    public void presumed(int binding, long resource) {
      laneOf(binding, resource).start.presume(resource);
    }

    @Override
    public void again() {
      run.again();
    }

    @Override
    public void released(Access access) {
      laneOf(access.binding(), access.resource()).complete();
      run.released(access.resource());
    }

    @Override
    public void propose(
        Open open, Lead lead, long nowNanos, double least, int most, Forecast into) {
      for (int i = 0; i < lanes.size(); i++) {
        lanes.get(i).complete();
      }
      boolean isStart = run.isSmallerThan((long) CAPACITY * lead.heldUnits());
      int held = isStart ? Math.min(START_UNITS, lead.heldUnits()) : lead.heldUnits();
      double bound = isStart ? Math.max(least, run.isKnown() ? LEAST_KNOWN : LEAST_UNKNOWN) : least;
      if (isStart) {
        run.propose(open, nowNanos, least, most, into);
      }
      for (int i = 0; i < lanes.size(); i++) {
        lanes.get(i).propose(open, nowNanos, lead.nanos(), held, bound, most - into.size(), into);
      }
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      run.forecast(nowNanos, horizonNanos, into);
      for (Lane each : lanes) {
        each.complete();
        each.markov.forecast(nowNanos, each.gapNanos(), into);
      }
    }

    @Override
    public void next(long nowNanos, Forecast into) {
      if (lane != null) {
        lane.complete();
        lane.markov.next(nowNanos + lane.gapNanos(), into);
      }
    }

    @Override
    public void stop(long nowNanos) {
      for (Lane each : lanes) {
        each.complete();
        each.markov.stop();
      }
      run.stop();
    }
  }

  /// The stream of one binding: what follows what is the business of one disk. Touches of
  /// neighbours at the same time are one request.
  private static final class Lane {
    private final int binding;
    private final MarkovModel.Trail markov;
    private final StartModel.Run.Part start;
    private boolean waits;
    private boolean waitedBefore;
    private long first;
    private int units;
    private long requestNanos;
    private double gap = FIRST_GAP_NANOS;

    private Lane(int binding, MarkovModel.Trail markov, StartModel.Run.Part start) {
      this.binding = binding;
      this.markov = markov;
      this.start = start;
    }

    void observe(Access access) {
      long resource = access.resource();

      if (units > 0 && resource >= first && resource < first + units) {
        return;
      }
      if (resource == first + units
          && units > 0
          && units < MOST_UNITS
          && access.timeNanos() == requestNanos) {
        units++;
        waits |= access.waited();
        return;
      }
      complete();
      if (requestNanos != 0) {
        long waited = Math.clamp(access.timeNanos() - requestNanos, 0, LONGEST_GAP_NANOS);
        gap += (waited - gap) * GAP_RATE;
      }
      first = resource;
      units = 1;
      waits = access.waited();
      requestNanos = access.timeNanos();
    }

    long gapNanos() {
      return Math.max(1, (long) gap);
    }

    /// The request at hand is whole.
    void complete() {
      if (units > 0) {
        start.observe(first, units, requestNanos, waitedBefore);
        markov.observe(first, units, requestNanos);
        units = 0;
        waitedBefore = waits;
      }
    }

    void propose(
        Open open,
        long nowNanos,
        long leadNanos,
        int heldUnits,
        double least,
        int most,
        Forecast into) {
      if (markov.isFresh()) {
        markov.propose(open, nowNanos, leadNanos, heldUnits, gapNanos(), least, most, into);
      }
    }
  }
}
