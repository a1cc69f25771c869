package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Resource;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// What a start of a program touches: the profile of its earlier runs, and, around what it touches,
/// the neighbours that are likely touched too. A program that never ran here is led by what others'
/// first starts touched of the same space.
///
/// Each unit is proposed at most once by each evidence: a candidate that is said again and again,
/// because it never comes, would look like many wrong forecasts.
final class StartModel {
  /// Below this a neighbour is not worth its bytes: while nothing else is known of the program, and
  /// when its profile leads.
  private static final float LEAST_NEAR_UNKNOWN = .46f;

  private static final float LEAST_NEAR_KNOWN = .20f;

  /// The same for entries of its own profile and of others'.
  private static final float LEAST_OWN = .10f;

  private static final float LEAST_OTHERS = .30f;

  /// What a neighbour's probability is about: a touch within this time, or in this run.
  private static final long NEAR_NANOS = 30_000_000_000L;

  private static final float NOVELTY_RATE = 1f / 32;
  private static final double PACE_RATE = 1.0 / 16;
  private static final long FIRST_PACE_NANOS = 100_000;
  private static final long LONGEST_PACE_NANOS = 50_000_000;

  private final HostKnowledge host;
  private final Reliability reliability;
  private int program;
  private Profile profile = new Profile();
  private long[] lastRun = {};
  private double lastLoss = Double.NaN;

  /// @param reliability hears of each opinion whether it came true
  StartModel(HostKnowledge host, Reliability reliability) {
    this.host = host;
    this.reliability = reliability;
    this.program = host.enroll();
  }

  int runs() {
    return profile.runs();
  }

  int size() {
    return profile.size();
  }

  /// What the last run touched, in order of first touch.
  long[] lastRun() {
    return lastRun.clone();
  }

  /// The loss of the forecast of the last run's start, see [Guide#startLoss]; NaN if there was
  /// none.
  double lastLoss() {
    return lastLoss;
  }

  long memoryBytes() {
    return profile.memoryBytes() + 8L * lastRun.length;
  }

  Run start() {
    return new Run();
  }

  void readUnits(LongConsumer reader) {
    Profile.Ranking ranking = profile.ranking();
    for (int place = 0; place < ranking.size(); place++) {
      reader.accept(ranking.unit(place));
    }
    Arrays.stream(lastRun).forEach(reader);
  }

  /// Reads the launch profile as the first version of model files had it: shares and ranks of
  /// units, a pace, and the last run.
  void readFirst(DataInput in, ResourceCodec codec) throws IOException {
    profile = Profile.readFirst(in, codec);
    int paces = ResourceCodec.checkedSize(in.readInt(), Profile.MOST_UNITS);
    for (int i = 0; i < paces; i++) {
      in.readLong();
    }
    readLastRun(in, codec);
  }

  void write(DataOutput out, ResourceCodec codec) throws IOException {
    profile.write(out, codec);
    out.writeInt(lastRun.length);
    for (long unit : lastRun) {
      codec.write(unit, out);
    }
  }

  void read(DataInput in, ResourceCodec codec) throws IOException {
    profile = Profile.read(in, codec);
    readLastRun(in, codec);
  }

  private void readLastRun(DataInput in, ResourceCodec codec) throws IOException {
    int touched = ResourceCodec.checkedSize(in.readInt(), Profile.MOST_UNITS);
    List<Long> last = new ArrayList<>();
    for (int i = 0; i < touched; i++) {
      last.add(codec.read(in));
    }
    lastRun = last.stream().mapToLong(Long::longValue).toArray();
  }

  /// Tells the host what was learnt elsewhere or before: only of a model that was taken over as a
  /// whole.
  void introduce() {
    Profile.Ranking ranking = profile.ranking();
    long[] units = new long[ranking.size()];
    for (int place = 0; place < units.length; place++) {
      units[place] = ranking.unit(place);
      host.touched(units[place], program);
    }
    host.learnFirstStart(units, units.length);
  }

  /// Tells the host the same of a model that takes the place of another one of the same program:
  /// its units are that program's still, and it began once.
  void introduceInPlaceOf(StartModel before) {
    program = before.program;
    if (before.runs() == 0) {
      introduce();
    } else {
      readUnits(unit -> host.touched(unit, program));
    }
  }

  /// One copy's run.
  final class Run {
    private final Profile.Ranking known = profile.ranking();
    private final @Nullable Guide own =
        known.runs() > 0 ? new Guide(known, false, host.shares()) : null;
    private final List<Part> parts = new ArrayList<>();

    /// What is touched now; what was given up is not.
    private final UnitSet touched = new UnitSet();

    private final UnitSet ever = new UnitSet();
    private final Near near = new Near();
    private final Guard guard = new Guard();
    private long[] order = new long[64];
    private int size;
    private int touches;
    private float novelty;
    private double pace = FIRST_PACE_NANOS;
    private long lastNanos;
    private boolean isTooLarge;

    /// One binding's part of the run.
    final class Part {
      private final @Nullable Guide others;
      private long last = -1;
      private int descending;

      private Part(int space) {
        Profile.Ranking first = host.firstStarts(space);
        this.others =
            own == null && first.size() > 0 ? new Guide(first, true, host.shares()) : null;
        parts.add(this);
      }

      /// A request is complete.
      ///
      /// @param waited whether the last one before it had to wait
      void observe(long first, int units, long nanos, boolean waited) {
        if (isTooLarge) {
          return;
        }
        near.resolve(nanos - NEAR_NANOS, ever);
        if (lastNanos != 0 && !waited) {
          long gap = Math.clamp(nanos - lastNanos, 0, LONGEST_PACE_NANOS);
          pace += (gap - pace) * PACE_RATE;
        }
        lastNanos = nanos;
        boolean isNew = false;
        for (int i = 0; i < units; i++) {
          isNew |= touch(first + i);
        }
        if (isNew) {
          lookAround(first, units, nanos);
          guard.judge(touches, ever);
        }
      }

      /// A unit stands where its touch cannot be seen: it counts as touched now.
      void presume(long unit) {
        if (!isTooLarge) {
          touch(unit);
        }
      }

      private boolean touch(long unit) {
        if (isTooLarge || !touched.add(unit)) {
          return false;
        }
        touches++;
        if (ever.add(unit)) {
          if (size == order.length) {
            order = Arrays.copyOf(order, 2 * size);
          }
          order[size++] = unit;
          isTooLarge = size >= Profile.MOST_UNITS;
        }
        host.touched(unit, program);
        Guide guide = guide();
        boolean isKnown = guide != null && guide.touched(unit, touches);
        novelty += ((isKnown ? 0 : 1) - novelty) * NOVELTY_RATE;
        descending = unit < last && last - unit <= 2 ? descending + 1 : 0;
        last = unit;
        return true;
      }

      private @Nullable Guide guide() {
        return own != null ? own : others;
      }

      /// Units of one request do not predict each other: all of them count as touched before any
      /// neighbour is looked at.
      private void lookAround(long first, int units, long nanos) {
        for (long unit = first; unit < first + units; unit++) {
          if (!touched.contains(unit + 1)) {
            lookAbove(unit, nanos);
          }
          if (Resource.index(unit) > 0 && !touched.contains(unit - 1)) {
            lookBelow(unit, nanos);
          }
        }
      }

      private void lookAbove(long unit, long nanos) {
        int above = 1;
        while (above <= Surroundings.ABOVE && !touched.contains(unit + above)) {
          above++;
        }
        int run = runEndingAt(unit);
        for (int distance = 1; distance < above; distance++) {
          int next =
              above <= Surroundings.ABOVE ? above - distance : distanceAbove(unit + distance);
          weigh(unit + distance, distance, next, run, unit, nanos);
        }
      }

      private int distanceAbove(long unit) {
        for (int distance = 1; distance < Surroundings.ABOVE; distance++) {
          if (touched.contains(unit + distance)) {
            return distance;
          }
        }
        return 0;
      }

      private void lookBelow(long unit, long nanos) {
        long most = Math.min(Surroundings.BELOW, Resource.index(unit));
        for (int distance = 1; distance <= most && !touched.contains(unit - distance); distance++) {
          long at = unit - distance;
          int below = distanceBelow(at);
          int run = below == 0 ? 0 : runEndingAt(at - below);
          weigh(at, below, distance, run, unit, nanos);
        }
      }

      private int distanceBelow(long unit) {
        long most = Math.min(Surroundings.ABOVE, Resource.index(unit));
        for (int distance = 1; distance <= most; distance++) {
          if (touched.contains(unit - distance)) {
            return distance;
          }
        }
        return 0;
      }

      private int runEndingAt(long unit) {
        int run = 1;
        while (run < 8 && Resource.index(unit) >= run && touched.contains(unit - run)) {
          run++;
        }
        return run;
      }

      private void weigh(long unit, int below, int above, int run, long from, long nanos) {
        int length;
        if (below == 0) {
          length = descending >= 4 ? 4 : descending >= 2 ? 3 : descending + 1;
        } else {
          int around = touchedAround(unit);
          length = Math.max(Surroundings.lengthClass(run), around >= 16 ? 3 : around >= 8 ? 2 : 1);
        }
        int cell = Surroundings.cell(below, above, length, kind(unit, from));
        if (near.isNew(unit, cell)) {
          float likely = host.surroundings().probability(cell);
          near.remember(unit, cell, likely, nanos, ever);
          float least = own == null ? LEAST_NEAR_UNKNOWN : LEAST_NEAR_KNOWN;
          if (likely * guard.scale() >= least) {
            near.queue(unit, likely);
          }
        }
      }

      private int touchedAround(long unit) {
        long first = Math.max(0, unit - 16);
        long low = touched.word(first >>> 6) >>> first;
        int fromNext = (int) (first & 63);
        if (fromNext > 0) {
          low |= touched.word((first >>> 6) + 1) << (64 - fromNext);
        }
        return Long.bitCount(low & ((1L << 33) - 1));
      }

      private int kind(long unit, long from) {
        Guide mine = own;
        if (mine == null) {
          if (others == null) {
            return Surroundings.UNKNOWN_SPACE;
          }
          int whose = host.whose(unit);
          return whose == HostKnowledge.NOBODY
              ? Surroundings.OF_NO_PROGRAM
              : whose == HostKnowledge.SEVERAL
                  ? Surroundings.OF_SEVERAL_PROGRAMS
                  : Surroundings.OF_ONE_PROGRAM;
        }
        int place = known.place(unit);
        if (place == UnitMap.NONE) {
          int novel = novelty < .06f ? 0 : novelty < .3f ? 1 : 2;
          boolean fromKnown = known.place(from) != UnitMap.NONE;
          return Surroundings.OUTSIDE_PROFILE + 2 * novel + (fromKnown ? 0 : 1);
        }
        float likely = mine.probability(place);
        return likely < .3f
            ? Surroundings.RARE_IN_PROFILE
            : likely < .7f ? Surroundings.USUAL_IN_PROFILE : Surroundings.SURE_IN_PROFILE;
      }
    }

    Part part(long unit) {
      return new Part(Resource.space(unit));
    }

    /// Whether it touched at most so many units, and is remembered.
    boolean isSmallerThan(long units) {
      return size <= units && !isTooLarge;
    }

    /// Whether the program's own runs are known.
    boolean isKnown() {
      return own != null;
    }

    void propose(Forecaster.Open open, long nowNanos, double least, int most, Forecast into) {
      if (own != null) {
        follow(own, open, nowNanos, Math.max(LEAST_OWN, (float) least), most, into);
      }
      for (int i = 0; i < parts.size(); i++) {
        Guide others = parts.get(i).others;
        if (others != null) {
          follow(others, open, nowNanos, Math.max(LEAST_OTHERS, (float) least), most, into);
        }
      }
      near.propose(open, touched, nowNanos, least, most, touches, guard, into);
    }

    private void follow(
        Guide guide, Forecaster.Open open, long nowNanos, float least, int most, Forecast into) {
      for (int place = guide.peek(); place >= 0 && into.size() < most; place = guide.peek()) {
        long unit = guide.ranking.unit(place);
        float likely = guide.probability(place);
        boolean isOpen = !touched.contains(unit) && open.isOpen(unit);
        guide.consider(place, likely, touches);
        if (isOpen && likely * guard.scale() >= least && likely >= least) {
          into.add(unit, likely, nowNanos + untilDue(guide, place), Expert.RUN_SET);
          guard.said(unit, likely, touches);
        }
      }
    }

    private long untilDue(Guide guide, int place) {
      return (long) (Math.max(0, guide.ranking.rank(place) - guide.reached()) * pace);
    }

    /// All that is expected in the rest of the run, for people and for allocations ahead of a
    /// start.
    void forecast(long nowNanos, long horizonNanos, Forecast into) {
      if (own != null) {
        forecast(own, nowNanos, horizonNanos, into);
      }
      for (Part part : parts) {
        if (part.others != null) {
          forecast(part.others, nowNanos, horizonNanos, into);
        }
      }
    }

    private void forecast(Guide guide, long nowNanos, long horizonNanos, Forecast into) {
      for (int place = 0; place < guide.ranking.size(); place++) {
        long due = untilDue(guide, place);
        if (!touched.contains(guide.ranking.unit(place)) && due <= horizonNanos) {
          into.add(
              guide.ranking.unit(place), guide.probability(place), nowNanos + due, Expert.RUN_SET);
        }
      }
    }

    /// What was proposed may be lost: all of it is considered again.
    void again() {
      if (own != null) {
        own.again();
      }
      for (Part part : parts) {
        if (part.others != null) {
          part.others.again();
        }
      }
    }

    void released(long unit) {
      touched.remove(unit);
      if (own != null) {
        own.released(unit);
      }
    }

    /// The run ends, and is learnt.
    void stop() {
      near.resolve(Long.MAX_VALUE, ever);
      lastLoss = own == null || isTooLarge ? Double.NaN : own.startLoss(ever, size);
      if (own != null) {
        own.learn(reliability);
      }
      for (Part part : parts) {
        if (part.others != null) {
          part.others.learn(reliability);
        }
      }
      boolean isFirst = profile.runs() == 0;
      profile.learn(order, size);
      lastRun = Arrays.copyOf(order, size);
      if (isFirst) {
        host.learnFirstStart(order, size);
      }
    }
  }

  /// Neighbours that were weighed in a run: each with each evidence once, until the truth is known.
  private final class Near {
    private static final int LEAST = 256;
    private static final int MOST = 1 << 16;

    /// So many units are known to have been weighed with the same evidence before; one that gives
    /// way to another is weighed again.
    private static final int WEIGHED = 1 << 13;

    private static final int CELLS = 1 << 13;
    private static final int QUEUED = 1024;

    private final long[] weighed = new long[WEIGHED];
    private final long[] queued = new long[QUEUED];
    private final float[] queuedLikely = new float[QUEUED];
    private long[] unit = new long[LEAST];
    private int[] cell = new int[LEAST];
    private float[] likely = new float[LEAST];
    private long[] nanos = new long[LEAST];
    private long first;
    private long end;
    private int queueFirst;
    private int queueSize;

    boolean isNew(long of, int cellOf) {
      int slot = Hash.of(of) & (WEIGHED - 1);
      long evidence = of * CELLS + cellOf;
      if (weighed[slot] == evidence) {
        return false;
      }
      weighed[slot] = evidence;
      return true;
    }

    void remember(long of, int cellOf, float likelyOf, long at, UnitSet touched) {
      if (end - first == unit.length) {
        if (unit.length == MOST) {
          resolveFirst(touched);
        } else {
          grow();
        }
      }
      int slot = (int) (end++ & (unit.length - 1));
      unit[slot] = of;
      cell[slot] = cellOf;
      likely[slot] = likelyOf;
      nanos[slot] = at;
    }

    private void grow() {
      int size = unit.length;
      int from = (int) (first & (size - 1));
      unit = unrolled(unit, from);
      nanos = unrolled(nanos, from);
      int[] cells = new int[2 * size];
      float[] likelies = new float[2 * size];
      for (int i = 0; i < size; i++) {
        cells[i] = cell[(from + i) & (size - 1)];
        likelies[i] = likely[(from + i) & (size - 1)];
      }
      cell = cells;
      likely = likelies;
      first = 0;
      end = size;
    }

    private static long[] unrolled(long[] ring, int from) {
      long[] all = new long[2 * ring.length];
      System.arraycopy(ring, from, all, 0, ring.length - from);
      System.arraycopy(ring, 0, all, ring.length - from, from);
      return all;
    }

    void resolve(long before, UnitSet touched) {
      while (first < end && nanos[(int) (first & (nanos.length - 1))] <= before) {
        resolveFirst(touched);
      }
    }

    private void resolveFirst(UnitSet touched) {
      int slot = (int) (first++ & (unit.length - 1));
      boolean came = touched.contains(unit[slot]);
      host.surroundings().learn(cell[slot], came);
      reliability.judge(likely[slot], came);
    }

    /// The oldest of a full queue gives way.
    void queue(long of, float likelyOf) {
      if (queueSize == QUEUED) {
        queueFirst++;
        queueSize--;
      }
      int slot = (queueFirst + queueSize++) & (QUEUED - 1);
      queued[slot] = of;
      queuedLikely[slot] = likelyOf;
    }

    void propose(
        Forecaster.Open open,
        UnitSet touched,
        long nowNanos,
        double least,
        int most,
        int touches,
        Guard guard,
        Forecast into) {
      while (queueSize > 0 && into.size() < most) {
        int slot = queueFirst++ & (QUEUED - 1);
        queueSize--;
        long of = queued[slot];
        if (queuedLikely[slot] >= least && !touched.contains(of) && open.isOpen(of)) {
          into.add(of, queuedLikely[slot], nowNanos, Expert.NEIGHBOURHOOD);
          guard.said(of, queuedLikely[slot], touches);
        }
      }
    }
  }

  /// Watches in a run whether what was said comes true, and makes the model bolder or shyer.
  private static final class Guard {
    private static final int AGE = 1024;
    private static final int RING = 1 << 13;
    private static final float PRIOR = 32;
    private static final float BOLDEST = 1.5f;
    private static final float SHYNESS = 3;

    private long[] unit = new long[256];
    private float[] likely = new float[256];
    private int[] touch = new int[256];
    private int first;
    private int size;
    private float expected = PRIOR;
    private float came = PRIOR;

    float scale() {
      float ratio = came / expected;
      return ratio > 1 ? Math.min(BOLDEST, ratio) : Math.min(1, SHYNESS * ratio);
    }

    void said(long of, float likelyOf, int at) {
      if (size == unit.length) {
        if (size == RING) {
          first++;
          size--;
        } else {
          grow();
        }
      }
      int slot = (first + size++) & (unit.length - 1);
      unit[slot] = of;
      likely[slot] = likelyOf;
      touch[slot] = at;
    }

    private void grow() {
      int capacity = 2 * unit.length;
      long[] units = new long[capacity];
      float[] likelies = new float[capacity];
      int[] at = new int[capacity];
      for (int i = 0; i < size; i++) {
        int from = (first + i) & (unit.length - 1);
        units[i] = unit[from];
        likelies[i] = likely[from];
        at[i] = touch[from];
      }
      unit = units;
      likely = likelies;
      touch = at;
      first = 0;
    }

    void judge(int touches, UnitSet touched) {
      while (size > 0 && touches - touch[first & (unit.length - 1)] >= AGE) {
        int slot = first++ & (unit.length - 1);
        size--;
        expected += likely[slot];
        came += touched.contains(unit[slot]) ? 1 : 0;
      }
    }
  }
}
