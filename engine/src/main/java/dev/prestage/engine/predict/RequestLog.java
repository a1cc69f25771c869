package dev.prestage.engine.predict;

/// The requests of a program's copies, as many of the latest as fit, and where to find them again:
/// by a unit, by the last two and by the last three requests.
///
/// A request is a run of units that were asked for at once. Copies append side by side, so the log
/// is a ring of blocks: each block belongs to one stream, and blocks of a stream are linked. A
/// position names a request; positions rise, and one that was overwritten is recognised by its age.
/// Everything is bounded, ages by being overwritten, and grows by doubling up to its bound: what a
/// program costs follows what it does.
final class RequestLog {
  /// No request.
  static final int NONE = 0;

  /// Requests in a block: what an idle stream may waste.
  private static final int BLOCK = 64;

  private static final int BLOCK_BITS = 6;

  /// Units whose slots lie side by side.
  private static final int GROUP = 16;

  private static final int LEAST_REQUESTS = 1 << 10;

  /// With two index slots for each, 13 MiB.
  private static final int MOST_REQUESTS = 1 << 18;

  /// Positions start anew before they overflow.
  private static final int MOST_BLOCKS = 1 << 24;

  /// A sequence that rested for so many requests of the program has ended.
  private static final int SEQUENCE_REQUESTS = 4096;

  private static final int MOST_RUN = 100;
  private static final int MOST_SPEED = 256;
  private static final int MOST_FIRST_SPEED = 64;

  /// Speeds are kept to 1 in 100 of a unit a request.
  private static final float SPEED_STEPS = 100;

  /// A slot's byte counts touches in its low six bits and waste in its high two.
  private static final int TOUCHES = 63;

  private static final int WASTE_UNIT = 64;
  private static final int MOST_WASTE = 3;

  private long[] first;
  private short[] count;
  private int[] earlier;
  private int[] earlierPair;
  private byte[] run;
  private short[] speed;
  private int[] number;
  private int[] following;
  private int[] preceding;
  private byte[] filled;
  private int[] owner;
  private int[] byUnit;
  private byte[] history;
  private int[] byFirst;
  private int[] byPair;
  private int[] byTriple;
  private int newest;
  private int requests;
  private int streams;

  /// How many blocks positions were shifted by when the log was rebuilt.
  private long shifted;

  /// One stream of requests: a binding of a running copy.
  static final class Stream {
    private final int id;
    private long last;
    private long beforeTriple;
    private long pair = -1;
    private long triple = -1;

    /// A number of its own in this log.
    int id() {
      return id;
    }

    private Stream(int id) {
      this.id = id;
    }
  }

  RequestLog() {
    allocate(LEAST_REQUESTS);
  }

  private void allocate(int size) {
    first = new long[size];
    count = new short[size];
    earlier = new int[size];
    earlierPair = new int[size];
    run = new byte[size];
    speed = new short[size];
    number = new int[size];
    following = new int[size / BLOCK];
    preceding = new int[size / BLOCK];
    filled = new byte[size / BLOCK];
    owner = new int[size / BLOCK];
    byUnit = new int[2 * size];
    history = new byte[2 * size];
    byFirst = new int[size];
    byPair = new int[size];
    byTriple = new int[size];
  }

  Stream open() {
    return new Stream(++streams);
  }

  /// Requests so far, those that were forgotten included.
  int requests() {
    return requests;
  }

  long memoryBytes() {
    return 25L * first.length + 13L * following.length + 5L * byUnit.length + 12L * byPair.length;
  }

  /// Adds a request, and remembers of it what its stream did before.
  ///
  /// @return its position
  int append(Stream stream, long unit, int units) {
    int position = place(stream);
    int slot = slot(position);
    int firstSlot = firstSlot(unit);
    int before = begunBy(byFirst[firstSlot], unit);
    if (before == NONE) {
      before = find(unit);
    }
    int pairSlot = pairSlot(unit, stream.pair);
    int tripleSlot = tripleSlot(unit, stream.pair, stream.triple);
    int pair = stream.pair < 0 ? NONE : begunBy(byPair[pairSlot], unit);
    int triple = stream.triple < 0 ? NONE : begunBy(byTriple[tripleSlot], unit);
    requests++;
    first[slot] = unit;
    count[slot] = (short) units;
    earlier[slot] = before;
    earlierPair[slot] = pair;
    number[slot] = requests;
    follow(stream, slot, find(unit - 1));
    filled[blockSlot(position >>> BLOCK_BITS)]++;
    for (int i = 0; i < units; i++) {
      touch(unit + i, position);
    }
    byFirst[firstSlot] = position;
    if (stream.pair >= 0) {
      byPair[pairSlot] = position;
    }
    if (stream.triple >= 0) {
      byTriple[tripleSlot] = position;
    }
    stream.last = absolute(position);
    stream.beforeTriple = triple == NONE ? NONE : absolute(triple);
    stream.triple = stream.pair;
    stream.pair = unit;
    return position;
  }

  /// A place for the stream's next request, in a new block if its last one is full or was
  /// overwritten.
  private int place(Stream stream) {
    int last = relative(stream.last);
    if (isAlive(last) && (last & (BLOCK - 1)) < BLOCK - 1) {
      return last + 1;
    }
    if (newest + 1 >= following.length && first.length < MOST_REQUESTS) {
      rebuild(2 * first.length);
    } else if (newest >= MOST_BLOCKS) {
      rebuild(first.length);
    }
    last = relative(stream.last);
    int block = ++newest;
    int slot = blockSlot(block);
    preceding[slot] = isAlive(last) ? last >>> BLOCK_BITS : NONE;
    following[slot] = NONE;
    filled[slot] = 0;
    owner[slot] = stream.id;
    if (preceding[slot] != NONE) {
      following[blockSlot(preceding[slot])] = block;
    }
    return block << BLOCK_BITS;
  }

  /// How far the request runs on from an earlier one of its stream, and how many units a request
  /// such a sequence advances.
  private void follow(Stream stream, int slot, int position) {
    int units = count[slot];
    if (position != NONE
        && owner[blockSlot(position >>> BLOCK_BITS)] == stream.id
        && requests - number[slot(position)] < SEQUENCE_REQUESTS) {
      int from = slot(position);
      float now = (float) Math.min(count[from], MOST_SPEED) / (requests - number[from]);
      run[slot] = (byte) Math.min(run[from] + 1, MOST_RUN);
      speed[slot] = fixed(run[slot] == 1 ? now : (speed[from] / SPEED_STEPS + now) / 2);
    } else {
      run[slot] = 0;
      speed[slot] = fixed(Math.min(units, MOST_FIRST_SPEED));
    }
  }

  /// A speed is never 0: it is divided by.
  private static short fixed(float speed) {
    return (short) Math.max(1, speed * SPEED_STEPS);
  }

  private void touch(long unit, int position) {
    int slot = unitSlot(unit);
    boolean known = holds(byUnit[slot], unit);
    int byteOf = known ? history[slot] & 0xFF : 0;
    if ((byteOf & TOUCHES) < TOUCHES) {
      byteOf++;
    }
    history[slot] = (byte) byteOf;
    byUnit[slot] = position;
  }

  /// A unit was staged in vain.
  void wasted(long unit) {
    int slot = unitSlot(unit);
    int byteOf = history[slot] & 0xFF;
    if (holds(byUnit[slot], unit) && byteOf / WASTE_UNIT < MOST_WASTE) {
      history[slot] = (byte) (byteOf + WASTE_UNIT);
    }
  }

  /// The last request that touched a unit, or [#NONE].
  int find(long unit) {
    int position = byUnit[unitSlot(unit)];
    return holds(position, unit) ? position : NONE;
  }

  /// How often the unit at hand was touched, as far as is known; 63 at the most.
  ///
  /// @param position where [#find] found it
  int touches(long unit, int position) {
    return position == NONE ? 0 : history[unitSlot(unit)] & TOUCHES;
  }

  /// How often it was staged in vain; 3 at the most.
  int waste(long unit, int position) {
    return position == NONE ? 0 : (history[unitSlot(unit)] & 0xFF) / WASTE_UNIT;
  }

  private boolean holds(int position, long unit) {
    if (!isAlive(position)) {
      return false;
    }
    long distance = unit - first[slot(position)];
    return distance >= 0 && distance < count[slot(position)];
  }

  private int begunBy(int position, long unit) {
    return isAlive(position) && first[slot(position)] == unit ? position : NONE;
  }

  /// The last request of a stream, or [#NONE] if it was overwritten.
  int last(Stream stream) {
    int position = relative(stream.last);
    return isAlive(position) ? position : NONE;
  }

  /// The last request before the stream's last one that began alike and came behind the same two.
  int lastAfterThree(Stream stream) {
    int position = relative(stream.beforeTriple);
    return isAlive(position) ? position : NONE;
  }

  /// The last request, before this one, that touched its first unit.
  int earlier(int position) {
    return alive(earlier[slot(position)]);
  }

  /// The last request, before this one, that began alike and came behind the same one.
  int earlierPair(int position) {
    return alive(earlierPair[slot(position)]);
  }

  long first(int position) {
    return first[slot(position)];
  }

  int units(int position) {
    return count[slot(position)];
  }

  /// How many requests long the sequence is that it runs on; 0 if it begins one.
  int run(int position) {
    return run[slot(position)];
  }

  /// Units a request by which that sequence advances.
  float speed(int position) {
    return speed[slot(position)] / SPEED_STEPS;
  }

  /// How many requests ago it was, 0 for the last one.
  int age(int position) {
    return requests - number[slot(position)];
  }

  /// The request of the same stream so many further on, or [#NONE].
  int after(int position, int steps) {
    int at = position;
    int left = steps;
    while (true) {
      int offset = (at & (BLOCK - 1)) + left;
      int block = at >>> BLOCK_BITS;
      if (offset < BLOCK) {
        return offset < filled[blockSlot(block)] ? (block << BLOCK_BITS) + offset : NONE;
      }
      left = offset - BLOCK;
      int next = following[blockSlot(block)];
      if (next == NONE) {
        return NONE;
      }
      at = next << BLOCK_BITS;
    }
  }

  /// The request of the same stream just before, or [#NONE].
  int before(int position) {
    if ((position & (BLOCK - 1)) != 0) {
      return position - 1;
    }
    int block = preceding[blockSlot(position >>> BLOCK_BITS)];
    return block == NONE ? NONE : alive((block << BLOCK_BITS) + BLOCK - 1);
  }

  private int alive(int position) {
    return isAlive(position) ? position : NONE;
  }

  private boolean isAlive(int position) {
    int block = position >>> BLOCK_BITS;
    return block > Math.max(0, newest - following.length)
        && block <= newest
        && (position & (BLOCK - 1)) < filled[blockSlot(block)];
  }

  private int slot(int position) {
    return position & (first.length - 1);
  }

  private int blockSlot(int block) {
    return block & (following.length - 1);
  }

  private long absolute(int position) {
    return position + (shifted << BLOCK_BITS);
  }

  private int relative(long absolute) {
    long position = absolute - (shifted << BLOCK_BITS);
    return position < BLOCK ? NONE : (int) position;
  }

  /// The slot of a unit: of two in neighbouring groups the one that holds it, else the one with the
  /// older request.
  private int unitSlot(long unit) {
    int slot = unitHash(unit) & (byUnit.length - 1);
    if (holds(byUnit[slot], unit)) {
      return slot;
    }
    int other = slot ^ GROUP;
    return holds(byUnit[other], unit) || byUnit[other] < byUnit[slot] ? other : slot;
  }

  /// Neighbours have neighbouring slots, sixteen at a time.
  private static int unitHash(long unit) {
    return (Hash.of(unit >>> 4) << 4) | (int) (unit & 15);
  }

  /// The slot of requests that begin with a unit: of two neighbours the one that holds such a
  /// request, else the one with the older one.
  private int firstSlot(long unit) {
    int slot = Hash.of(unit) & (byFirst.length - 1);
    int other = slot ^ 1;
    if (begunBy(byFirst[slot], unit) != NONE) {
      return slot;
    }
    return begunBy(byFirst[other], unit) != NONE || byFirst[other] < byFirst[slot] ? other : slot;
  }

  private int pairSlot(long unit, long before) {
    return Hash.of(unit * 31 + before) & (byPair.length - 1);
  }

  private int tripleSlot(long unit, long before, long twoBefore) {
    return Hash.of((unit * 31 + before) * 31 + twoBefore) & (byTriple.length - 1);
  }

  /// Lays everything out anew, in arrays of the given size: all positions move by the blocks that
  /// were overwritten.
  private void rebuild(int size) {
    int oldest = Math.max(0, newest - following.length) + 1;
    int shift = oldest - 1;
    long[] firstOf = first;
    short[] countOf = count;
    int[] earlierOf = earlier;
    int[] pairOf = earlierPair;
    byte[] runOf = run;
    short[] speedOf = speed;
    int[] numberOf = number;
    int[] followingOf = following;
    int[] precedingOf = preceding;
    byte[] filledOf = filled;
    int[] ownerOf = owner;
    int[] unitOf = byUnit;
    byte[] historyOf = history;
    int blocks = newest - shift;
    allocate(size);
    for (int block = 1; block <= blocks; block++) {
      int from = (block + shift) & (followingOf.length - 1);
      int to = blockSlot(block);
      following[to] = Math.max(NONE, followingOf[from] - shift);
      preceding[to] = Math.max(NONE, precedingOf[from] - shift);
      filled[to] = filledOf[from];
      owner[to] = ownerOf[from];
      int at = to * BLOCK;
      int old = from * BLOCK;
      System.arraycopy(firstOf, old, first, at, BLOCK);
      System.arraycopy(countOf, old, count, at, BLOCK);
      System.arraycopy(runOf, old, run, at, BLOCK);
      System.arraycopy(speedOf, old, speed, at, BLOCK);
      System.arraycopy(numberOf, old, number, at, BLOCK);
      for (int i = 0; i < BLOCK; i++) {
        earlier[at + i] = moved(earlierOf[old + i], shift);
        earlierPair[at + i] = moved(pairOf[old + i], shift);
      }
    }
    newest = blocks;
    shifted += shift;
    for (int block = 1; block <= blocks; block++) {
      for (int i = 0; i < filled[blockSlot(block)]; i++) {
        index((block << BLOCK_BITS) + i, unitOf, historyOf, shift);
      }
    }
  }

  private static int moved(int position, int shift) {
    int moved = position - (shift << BLOCK_BITS);
    return moved < BLOCK ? NONE : moved;
  }

  private void index(int position, int[] unitOf, byte[] historyOf, int shift) {
    int slot = slot(position);
    for (int i = 0; i < count[slot]; i++) {
      long unit = first[slot] + i;
      int old = unitHash(unit) & (unitOf.length - 1);
      if (moved(unitOf[old], shift) != position) {
        old ^= GROUP;
      }
      if (moved(unitOf[old], shift) == position) {
        int now = unitSlot(unit);
        byUnit[now] = position;
        history[now] = historyOf[old];
      }
    }
    byFirst[firstSlot(first[slot])] = position;
    int before = before(position);
    if (before != NONE) {
      byPair[pairSlot(first[slot], first[slot(before)])] = position;
      int twoBefore = before(before);
      if (twoBefore != NONE) {
        byTriple[tripleSlot(first[slot], first[slot(before)], first[slot(twoBefore)])] = position;
      }
    }
  }

  /// Hears all requests that the log holds.
  interface Reader {
    /// A request; streams are told one block after the other.
    void request(int stream, long unit, int units);
  }

  /// Tells all requests, the oldest block first.
  void readAll(Reader reader) {
    int oldest = Math.max(0, newest - following.length) + 1;
    for (int block = oldest; block <= newest; block++) {
      int slot = blockSlot(block);
      for (int i = 0; i < filled[slot]; i++) {
        int at = slot * BLOCK + i;
        reader.request(owner[slot], first[at], count[at]);
      }
    }
  }
}
