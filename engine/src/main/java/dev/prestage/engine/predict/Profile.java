package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/// What runs touch, and in which order: for each unit which of the last sixteen runs touched it,
/// and its mean place among first touches.
///
/// Recording the working set of a start and staging it before the next is REAP (Ustiugov et al.,
/// "Benchmarking, Analysis, and Optimization of Serverless Function Snapshots", ASPLOS 2021). Here
/// the set is weighted by the share of runs, and forgets what sixteen runs did not touch. The order
/// comes from ranks, because ranks do not change when a run is slowed by the very waits that
/// staging removes.
final class Profile {
  /// What is beyond this many units is not remembered: 64 Ki units are 4 GiB of a disk.
  static final int MOST_UNITS = 64 * 1024;

  /// A program that started each second for 30 years.
  private static final int MOST_RUNS = 1 << 30;

  private static final int REMEMBERED_RUNS = 16;

  /// A unit's mean rank follows as if it had been touched this often at the most.
  private static final int RANK_MEMORY = 3;

  private long[] units = {};
  private short[] masks = {};

  /// How many runs could have touched the unit: those that ended before its rank could not.
  private byte[] chances = {};

  private byte[] hits = {};
  private float[] ranks = {};
  private int runs;
  private Ranking ranking = Ranking.EMPTY;

  /// The profile as it stood at one moment, in order of ranks; never changed.
  static final class Ranking {
    static final Ranking EMPTY = new Ranking(new long[0], new float[0], new byte[0], 0);

    private final long[] units;
    private final float[] ranks;
    private final byte[] shares;
    private final int runs;

    /// Places by hash of their units, and one more than the place; a power of two, half full at
    /// most.
    private final int[] slots;

    private Ranking(long[] units, float[] ranks, byte[] shares, int runs) {
      this.units = units;
      this.ranks = ranks;
      this.shares = shares;
      this.runs = runs;
      this.slots = new int[2 * Integer.highestOneBit(Math.max(1, 2 * units.length - 1))];
      for (int place = 0; place < units.length; place++) {
        slots[slot(units[place])] = place + 1;
      }
    }

    private int slot(long unit) {
      int slot = Hash.of(unit) & (slots.length - 1);
      while (slots[slot] != 0 && units[slots[slot] - 1] != unit) {
        slot = (slot + 1) & (slots.length - 1);
      }
      return slot;
    }

    /// Whether each unit stands in it once.
    private boolean isSet() {
      return IntStream.range(0, units.length).allMatch(place -> place(units[place]) == place);
    }

    int size() {
      return units.length;
    }

    /// How many runs were learnt.
    int runs() {
      return runs;
    }

    /// A unit's place in the order, or [UnitMap#NONE].
    int place(long unit) {
      return slots[slot(unit)] - 1;
    }

    long unit(int place) {
      return units[place];
    }

    /// Its mean place among the first touches of a run.
    float rank(int place) {
      return ranks[place];
    }

    /// The share of recent runs that touched it, as a class of [Shares].
    int share(int place) {
      return shares[place];
    }
  }

  Ranking ranking() {
    return ranking;
  }

  int runs() {
    return runs;
  }

  int size() {
    return units.length;
  }

  long memoryBytes() {
    return 17L * units.length + 4L * ranking.slots.length;
  }

  /// A run ended.
  ///
  /// @param touched what it touched, in order of first touch
  void learn(long[] touched, int size) {
    if (size == 0) {
      return;
    }
    runs = Math.min(runs + 1, MOST_RUNS);
    UnitMap known = new UnitMap(units.length + size);
    for (int i = 0; i < units.length; i++) {
      known.put(units[i], i);
    }
    int count = units.length;
    long[] all = Arrays.copyOf(units, count + size);
    byte[] allChances = Arrays.copyOf(chances, count + size);
    short[] allMasks = Arrays.copyOf(masks, count + size);
    byte[] allHits = Arrays.copyOf(hits, count + size);
    float[] allRanks = Arrays.copyOf(ranks, count + size);
    for (int i = 0; i < units.length; i++) {
      // A run that ended before it came so far was no chance for what lies behind its end.
      if (ranks[i] <= size) {
        another(i, allMasks, allChances);
      }
    }
    for (int rank = 0; rank < size; rank++) {
      int i = known.get(touched[rank]);
      if (i == UnitMap.NONE) {
        i = count++;
        all[i] = touched[rank];
        allRanks[i] = rank;
        allChances[i] = (byte) Math.min(runs, REMEMBERED_RUNS);
      } else if (ranks[i] > size) {
        another(i, allMasks, allChances);
      }
      allMasks[i] |= 1;
      allHits[i] = (byte) Math.min(allHits[i] + 1, RANK_MEMORY);
      allRanks[i] += (rank - allRanks[i]) / allHits[i];
    }
    int[] kept =
        IntStream.range(0, count)
            .filter(i -> allMasks[i] != 0)
            .boxed()
            .sorted((i, j) -> {
              int byRank = Float.compare(allRanks[i], allRanks[j]);
              return byRank != 0 ? byRank : Long.compare(all[i], all[j]);
            })
            .limit(MOST_UNITS)
            .mapToInt(Integer::intValue)
            .toArray();
    units = new long[kept.length];
    masks = new short[kept.length];
    chances = new byte[kept.length];
    hits = new byte[kept.length];
    ranks = new float[kept.length];
    for (int place = 0; place < kept.length; place++) {
      units[place] = all[kept[place]];
      masks[place] = allMasks[kept[place]];
      chances[place] = allChances[kept[place]];
      hits[place] = allHits[kept[place]];
      ranks[place] = allRanks[kept[place]];
    }
    rank();
  }

  /// One more run could have touched the unit.
  private static void another(int unit, short[] masks, byte[] chances) {
    masks[unit] = (short) (masks[unit] << 1);
    chances[unit] = (byte) Math.min(chances[unit] + 1, REMEMBERED_RUNS);
  }

  /// The arrays lie in order of ranks.
  private void rank() {
    byte[] shares = new byte[units.length];
    for (int place = 0; place < shares.length; place++) {
      shares[place] = (byte) Shares.of(masks[place], chances[place]);
    }
    ranking = new Ranking(units, ranks, shares, runs);
  }

  void write(DataOutput out, ResourceCodec codec) throws IOException {
    out.writeInt(runs);
    out.writeInt(units.length);
    for (int place = 0; place < units.length; place++) {
      codec.write(units[place], out);
      out.writeShort(masks[place]);
      out.writeByte(chances[place]);
      out.writeByte(hits[place]);
      out.writeFloat(ranks[place]);
    }
  }

  static Profile read(DataInput in, ResourceCodec codec) throws IOException {
    Profile profile = new Profile();
    profile.runs = ResourceCodec.checkedSize(in.readInt(), MOST_RUNS);
    int announced = ResourceCodec.checkedSize(in.readInt(), MOST_UNITS);
    long[] units = new long[0];
    short[] masks = new short[0];
    byte[] chances = new byte[0];
    byte[] hits = new byte[0];
    float[] ranks = new float[0];
    for (int place = 0; place < announced; place++) {
      if (place == units.length) {
        // Not before there is so much: an announced size alone costs no memory.
        int capacity = Math.min(announced, Math.max(256, 2 * place));
        units = Arrays.copyOf(units, capacity);
        masks = Arrays.copyOf(masks, capacity);
        chances = Arrays.copyOf(chances, capacity);
        hits = Arrays.copyOf(hits, capacity);
        ranks = Arrays.copyOf(ranks, capacity);
      }
      units[place] = codec.read(in);
      masks[place] = in.readShort();
      chances[place] = (byte) ResourceCodec.checkedSize(in.readByte(), REMEMBERED_RUNS);
      hits[place] = (byte) ResourceCodec.checkedSize(in.readByte(), RANK_MEMORY);
      ranks[place] = in.readFloat();
      if (!(ranks[place] >= (place == 0 ? 0 : ranks[place - 1]) && ranks[place] <= MOST_UNITS)) {
        throw new ModelException("its order is none");
      }
    }
    profile.units = units;
    profile.masks = masks;
    profile.chances = chances;
    profile.hits = hits;
    profile.ranks = ranks;
    profile.rank();
    if (!profile.ranking.isSet()) {
      throw new ModelException("it has a unit twice");
    }
    return profile;
  }

  /// Reads a launch profile of the first version: hits and chances that faded by .85 with each run.
  /// The share of runs lives on as that share of the last eight.
  static Profile readFirst(DataInput in, ResourceCodec codec) throws IOException {
    Profile profile = new Profile();
    profile.runs = ResourceCodec.checkedSize(in.readInt(), MOST_RUNS);
    int announced = ResourceCodec.checkedSize(in.readInt(), 32 * MOST_UNITS);
    int judged = Math.min(profile.runs, 8);
    List<long[]> entries = new ArrayList<>();
    for (int i = 0; i < announced; i++) {
      long unit = codec.read(in);
      double hits = in.readDouble();
      double chances = in.readDouble();
      double rank = in.readDouble();
      if (!(hits >= 0 && hits <= chances + 1e-9 && chances <= 8 && rank >= 0)
          || rank > MOST_UNITS) {
        throw new ModelException("it says of a resource what cannot be");
      }
      long touched = Math.round(judged * hits / Math.max(chances, 1e-9));
      entries.add(new long[] {unit, (1L << Math.max(1, touched)) - 1, (long) rank});
    }
    entries.sort(Comparator.comparingLong(entry -> entry[2]));
    int size = Math.min(MOST_UNITS, entries.size());
    profile.units = new long[size];
    profile.masks = new short[size];
    profile.chances = new byte[size];
    profile.hits = new byte[size];
    profile.ranks = new float[size];
    for (int place = 0; place < size; place++) {
      profile.units[place] = entries.get(place)[0];
      profile.masks[place] = (short) entries.get(place)[1];
      profile.chances[place] = (byte) judged;
      profile.hits[place] = (byte) Math.min(Long.bitCount(entries.get(place)[1]), RANK_MEMORY);
      profile.ranks[place] = entries.get(place)[2];
    }
    profile.rank();
    if (!profile.ranking.isSet()) {
      throw new ModelException("it has a unit twice");
    }
    return profile;
  }
}
