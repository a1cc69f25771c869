package dev.prestage.dataplane.block;

import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A host-local place that holds extents of any number of images, up to a capacity.
///
/// When it is full extents make room as [Eviction] says. Those that are staged and still waiting
/// for their demand never do; those of an image all of which is on this host do when no others can,
/// and after these those of an image that is to go last.
///
/// When the device itself fails or is full, nothing is kept for a while and everything goes on
/// being served from the origin.
///
/// Threads: any; calls may block on the device, so the hit path makes none of them.
public final class Tier implements AutoCloseable {
  private static final Logger LOG = System.getLogger(Tier.class.getName());
  private static final long FIRST_PAUSE_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LONGEST_PAUSE_NANOS = Duration.ofMinutes(1).toNanos();
  // A file name may have 255 bytes; the longest ending has 5, a version's mark a few more.
  private static final int LONGEST_NAME = 240;
  private static final String VERSION_MARK = "~";

  // Of 64 extents the coldest is among the coldest 5 % of the tier in 96 of 100 cases, for some
  // microseconds.
  private static final int SAMPLE = 64;

  private final String name;
  private final long capacityBytes;

  /// Names of images, of any tenant, as file names.
  private final Set<String> evictedLast;

  private final Storage storage;
  private final Clock clock;
  private final Trouble trouble;
  private final AtomicLong usedBytes = new AtomicLong();
  private final AtomicLong corruptExtents = new AtomicLong();
  private final LongAdder served = new LongAdder();
  private final LongAdder promotedBytes = new LongAdder();
  private final LongAdder demotedBytes = new LongAdder();
  private final Map<Passage, LongAdder> passed = new EnumMap<>(Passage.class);
  private final ReentrantLock files = new ReentrantLock();
  private final Map<String, Held> held = new HashMap<>();
  private final List<Held> ring = new ArrayList<>();
  private final Eviction eviction;
  private @Nullable Moves moves;
  private int coldFile;
  private int coldExtent;
  private long pauseNanos;
  private volatile long pausedUntilNanos = Long.MIN_VALUE;

  /// A file and whoever must hear when one of its extents leaves.
  private static final class Held {
    final TierFile file;
    volatile Drops drops = _ -> {};

    /// Whether VMs read it.
    boolean used;

    /// How many want nothing to move into it or out of it.
    int still;

    Held(TierFile file) {
      this.file = file;
    }
  }

  /// Hears that an extent left to make room.
  @FunctionalInterface
  interface Drops {
    void dropped(int extent);
  }

  /// Opens a tier and everything in it; no image goes last.
  ///
  /// @throws IOException if its storage cannot be used
  public Tier(String name, long capacityBytes, Storage storage, Clock clock, Trouble trouble)
      throws IOException {
    this(name, capacityBytes, Set.of(), storage, clock, trouble);
  }

  /// Opens a tier and everything in it.
  ///
  /// @param evictedLast names of images whose extents make room after all others, whoever's they
  ///   are
  /// @throws IOException if its storage cannot be used, or a name can be no image's
  public Tier(
      String name,
      long capacityBytes,
      Set<String> evictedLast,
      Storage storage,
      Clock clock,
      Trouble trouble)
      throws IOException {
    this.name = name;
    this.capacityBytes = capacityBytes;
    this.eviction = new Eviction(capacityBytes);
    this.evictedLast = new HashSet<>();
    for (String image : evictedLast) {
      this.evictedLast.add(fileName(image));
    }
    this.storage = storage;
    this.clock = clock;
    this.trouble = trouble;
    for (Passage passage : Passage.values()) {
      passed.put(passage, new LongAdder());
    }
    List<String> paths;
    try {
      paths = storage.list();
    } catch (IOException e) {
      throw IoProblem.in("tier '" + name + "' cannot use " + storage.describe(""), e);
    }
    for (String path : paths) {
      if (path.endsWith(TierFile.DATA) && !paths.contains(mapOf(path))) {
        storage.delete(path);
      }
      if (path.endsWith(TierFile.MAP)) {
        openExisting(path.substring(0, path.length() - TierFile.MAP.length()));
      }
    }
    shrink();
  }

  private static String mapOf(String data) {
    return data.substring(0, data.length() - TierFile.DATA.length()) + TierFile.MAP;
  }

  private void openExisting(String path) {
    try {
      TierFile file = TierFile.openExisting(storage, path);
      if (file != null) {
        hold(file);
      }
    } catch (IOException e) {
      trouble.report("tier-file", IoProblem.explain(e));
    }
  }

  private Held hold(TierFile file) {
    var entry = new Held(file);
    String path = pathOf(file);
    file.isEvictedLast = evictedLast.contains(path.substring(path.indexOf('/') + 1));
    if (moves != null) {
      file.touches = new Touches(file.extents(), moves);
    }
    held.put(file.name(), entry);
    ring.add(entry);
    eviction.add(file);
    long found = file.residentBytes();
    usedBytes.addAndGet(found);
    count(Passage.FOUND, found);
    return entry;
  }

  /// What a tier has of an image.
  ///
  /// @param doubtful whether its bytes must be compared with the image's before they are served:
  ///   then the file has the earlier identity, and [TierFile#adopt] or [#renew] ends the doubt
  record Found(TierFile file, boolean doubtful) {}

  /// Opens what this tier has of an image, for VMs to read until [#letGo]. What it has of other
  /// versions is given up, except where VMs read it: then each version has a file of its own.
  Found open(String tenant, String image, Image.Identity identity) throws IOException {
    String path = fileName(tenant) + "/" + fileName(image);
    files.lock();
    try {
      Held same = null;
      for (Held entry : versions(path)) {
        // One that VMs read is theirs: of an image that was refused it goes with the last of them.
        if (entry.used) {
          continue;
        }
        Image.Likeness likeness = identity.to(entry.file.identity());
        if (likeness == Image.Likeness.SAME
            || (likeness == Image.Likeness.TOUCHED && same == null)) {
          if (same != null) {
            remove(same);
          }
          same = entry;
        } else {
          remove(entry);
        }
      }
      if (same == null) {
        same = hold(TierFile.open(storage, freePath(path), identity));
      }
      same.used = true;
      same.drops = _ -> {};
      return new Found(same.file, identity.to(same.file.identity()) != Image.Likeness.SAME);
    } finally {
      files.unlock();
    }
  }

  /// Gives up what a file holds, because its bytes turned out to be another version's, and begins
  /// anew in its place.
  TierFile renew(TierFile file, Image.Identity identity) throws IOException {
    files.lock();
    try {
      Held entry = held.get(file.name());
      if (entry != null) {
        remove(entry);
      }
      Held fresh = hold(TierFile.open(storage, file.name(), identity));
      fresh.used = true;
      return fresh.file;
    } finally {
      files.unlock();
    }
  }

  /// No VM reads the file any more. What it holds stays for the next one.
  void letGo(TierFile file) {
    files.lock();
    try {
      Held entry = held.get(file.name());
      if (entry != null && entry.file == file) {
        entry.used = false;
      }
    } finally {
      files.unlock();
    }
  }

  /// What a file holds is not to be trusted: it goes, and nobody reads it any more.
  void discard(TierFile file) {
    files.lock();
    try {
      Held entry = held.get(file.name());
      if (entry != null && entry.file == file) {
        remove(entry);
      }
    } catch (IOException e) {
      trouble.report("tier-file", IoProblem.explain(e));
    } finally {
      files.unlock();
    }
  }

  /// Removes all extents of an image, in every version; those that are staged and not demanded yet
  /// stay for their leases.
  ///
  /// @return how many bytes were given back
  public long purge(String tenant, String image) throws IOException {
    record Dropped(Held from, int extent, boolean told) {}
    List<Dropped> dropped = new ArrayList<>();
    files.lock();
    try {
      for (Held entry : versions(fileName(tenant) + "/" + fileName(image))) {
        TierFile file = entry.file;
        boolean first = true;
        for (int at = file.resident.nextSetExcept(file.pinned, 0);
            at >= 0;
            at = file.resident.nextSetExcept(file.pinned, at + 1)) {
          if (drop(file, at)) {
            dropped.add(new Dropped(entry, at, first));
            if (first) {
              // The rest takes a while, in which the image must not be taken for complete.
              entry.drops.dropped(at);
            }
            first = false;
          }
        }
      }
    } finally {
      files.unlock();
    }
    dropped.stream().filter(one -> !one.told).forEach(one -> one.from.drops.dropped(one.extent));
    return dropped.stream().mapToLong(one -> one.from.file.bytesOf(one.extent)).sum();
  }

  /// The files of all versions of an image. Names that are encoded hold no `~`.
  private List<Held> versions(String path) {
    return held.values().stream()
        .filter(entry ->
            entry.file.name().equals(path) || entry.file.name().startsWith(path + VERSION_MARK))
        .toList();
  }

  private String freePath(String path) {
    String free = path;
    for (int version = 1; held.containsKey(free); version++) {
      free = path + VERSION_MARK + version;
    }
    return free;
  }

  private void remove(Held entry) throws IOException {
    held.remove(entry.file.name());
    ring.remove(entry);
    eviction.remove(entry.file);
    long gone = entry.file.residentBytes();
    usedBytes.addAndGet(-gone);
    count(Passage.REMOVED, gone);
    entry.file.close();
    TierFile.delete(storage, entry.file.name());
  }

  /// From now on, tells when an extent of a file leaves to make room.
  void onDrop(TierFile file, Drops drops) {
    files.lock();
    try {
      Held entry = held.get(file.name());
      if (entry != null) {
        entry.drops = drops;
      }
    } finally {
      files.unlock();
    }
  }

  /// A text as a file name: letters, digits and `-_.` stay, the rest is `%` and hexadecimal digits.
  private static String fileName(String text) throws IOException {
    var name = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      boolean plain =
          (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || c == '-'
              || c == '_'
              || (c == '.' && !name.isEmpty());
      if (plain) {
        name.append(c);
      } else {
        name.append(String.format(Locale.ROOT, "%%%02x", (int) c));
      }
    }
    if (name.isEmpty() || name.length() > LONGEST_NAME) {
      throw new IOException("'" + text + "' is empty or too long to be a file name");
    }
    return name.toString();
  }

  /// Takes room for an extent, evicting others if need be. False if there is none to be had.
  boolean reserve(int bytes) {
    admit();
    while (true) {
      long used = usedBytes.get();
      if (used + bytes <= capacityBytes) {
        if (usedBytes.compareAndSet(used, used + bytes)) {
          return true;
        }
      } else if (!evictOne()) {
        return false;
      }
    }
  }

  /// Has the eviction know of what has landed, before more does.
  private void admit() {
    if (eviction.hasArrivals() && files.tryLock()) {
      try {
        eviction.admit(usedBytes.get());
      } finally {
        files.unlock();
      }
    }
  }

  /// Takes room for an extent if that leaves at most so many bytes used; nothing is evicted.
  boolean reserveWithin(int bytes, long limitBytes) {
    admit();
    while (true) {
      long used = usedBytes.get();
      if (used + bytes > Math.min(limitBytes, capacityBytes)) {
        return false;
      }
      if (usedBytes.compareAndSet(used, used + bytes)) {
        return true;
      }
    }
  }

  /// Gives room back that was reserved and not filled.
  void release(int bytes) {
    usedBytes.addAndGet(-bytes);
  }

  /// Removes an extent, if it is here, and gives its room back.
  boolean drop(TierFile file, int extent) {
    boolean dropped = file.drop(extent);
    if (dropped) {
      removed(file, extent);
    }
    return dropped;
  }

  /// Removes an extent if it is corrupt, counts that and tells.
  boolean dropIfCorrupt(TierFile file, int extent, VerifiedReader reader) {
    boolean dropped = file.dropIfCorrupt(extent, reader);
    if (dropped) {
      removed(file, extent);
      corruptExtents.incrementAndGet();
      trouble.report(
          "tier-corrupt",
          "extent "
              + extent
              + " of "
              + storage.describe(file.name())
              + " in tier '"
              + name
              + "' does not match its checksums; it is fetched again. After a crash this is"
              + " expected; otherwise check the disk");
    }
    return dropped;
  }

  /// Gives the room of an extent back whose bit was just cleared.
  void removed(TierFile file, int extent) {
    release(file.bytesOf(extent));
    count(Passage.REMOVED, file.bytesOf(extent));
  }

  /// An extent that room was taken for came from an origin, and was not here before.
  void landed(TierFile file, int extent, Passage how) {
    count(how, file.bytesOf(extent));
    // The caller holds the stager's lock, for which a move waits while it holds this tier's: taking
    // this tier's here could be a deadlock.
    eviction.landed(file, extent);
  }

  private void count(Passage passage, long bytes) {
    Objects.requireNonNull(passed.get(passage)).add(bytes);
  }

  private void shrink() {
    while (usedBytes.get() > capacityBytes && evictOne()) {
      // each round gives one extent back
    }
  }

  private boolean evictOne() {
    Eviction.Place victim;
    Held entry;
    files.lock();
    try {
      victim = eviction.evict(usedBytes.get());
      if (victim == null) {
        return false;
      }
      entry = Objects.requireNonNull(held.get(victim.file().name()));
    } finally {
      files.unlock();
    }
    release(victim.file().bytesOf(victim.extent()));
    evicted(entry, victim.extent());
    return true;
  }

  private void evicted(Held entry, int extent) {
    count(Passage.EVICTED, entry.file.bytesOf(extent));
    Touches touches = entry.file.touches;
    if (touches != null) {
      touches.forget(extent);
    }
    entry.drops.dropped(extent);
  }

  // ---- moves between tiers

  /// There are other tiers: from now on it is counted how often extents are touched.
  void countTouches(Moves when) {
    files.lock();
    try {
      moves = when;
      for (Held entry : ring) {
        entry.file.touches = new Touches(entry.file.extents(), when);
      }
    } finally {
      files.unlock();
    }
  }

  /// An extent that may move.
  ///
  /// @param frequency how often it was touched of late
  record Candidate(TierFile file, int extent, int frequency) {}

  /// The least often touched of the next extents that may move, of equals the one that was touched
  /// the longest ago; null if none may.
  @Nullable Candidate coldest(long nowNanos) {
    @Nullable Candidate best = null;
    int bestAge = 0;
    files.lock();
    try {
      int looked = 0;
      for (int rounds = 0; rounds <= ring.size() && looked < SAMPLE && !ring.isEmpty(); ) {
        Held entry = ring.get(coldFile % ring.size());
        TierFile file = entry.file;
        int extent = entry.still > 0 ? -1 : file.resident.nextSetExcept(file.pinned, coldExtent);
        if (extent < 0) {
          coldFile = (coldFile + 1) % ring.size();
          coldExtent = 0;
          rounds++;
          continue;
        }
        coldExtent = extent + 1;
        looked++;
        Touches touches = file.touches;
        if (touches == null || !touches.mayMove(extent, nowNanos)) {
          continue;
        }
        int frequency = touches.frequency(extent, nowNanos);
        int age = touches.age(extent, nowNanos);
        if (best == null
            || frequency < best.frequency
            || (frequency == best.frequency && age > bestAge)) {
          best = new Candidate(file, extent, frequency);
          bestAge = age;
        }
      }
    } finally {
      files.unlock();
    }
    return best;
  }

  /// Extents that are touched often enough for a faster tier and may move, at most so many. Those
  /// that moved a moment ago are asked for again.
  List<Candidate> hot(long nowNanos, int most) {
    List<Candidate> found = new ArrayList<>();
    files.lock();
    try {
      for (Held entry : ring) {
        TierFile file = entry.file;
        Touches touches = file.touches;
        if (touches == null || entry.still > 0) {
          continue;
        }
        int extent = touches.hot.nextSetExcept(file.pinned, 0);
        for (; extent >= 0 && found.size() < most; ) {
          int frequency = touches.frequency(extent, nowNanos);
          if (!file.resident.get(extent) || frequency < Touches.HOT) {
            touches.hot.clear(extent);
          } else if (touches.mayMove(extent, nowNanos)) {
            touches.hot.clear(extent);
            found.add(new Candidate(file, extent, frequency));
          }
          extent = touches.hot.nextSetExcept(file.pinned, extent + 1);
        }
      }
    } finally {
      files.unlock();
    }
    return found;
  }

  /// This tier's file for the same version of the same image as another tier's; it is made if no VM
  /// reads that one. Null if VMs read that one and not this.
  @Nullable TierFile twinOf(Tier other, TierFile file) throws IOException {
    boolean used = other.isUsed(file);
    String path = pathOf(file);
    files.lock();
    try {
      for (Held entry : versions(path)) {
        if (isSameImage(entry.file, file) && (entry.used || !used)) {
          return entry.file;
        }
      }
      return used ? null : hold(TierFile.open(storage, freePath(path), file.identity())).file;
    } finally {
      files.unlock();
    }
  }

  private static String pathOf(TierFile file) {
    int mark = file.name().indexOf(VERSION_MARK);
    return mark < 0 ? file.name() : file.name().substring(0, mark);
  }

  /// Whether files of two tiers are of the same version of the same image.
  static boolean isSameImage(TierFile one, TierFile other) {
    return pathOf(one).equals(pathOf(other)) && one.identity().equals(other.identity());
  }

  private boolean isUsed(TierFile file) {
    files.lock();
    try {
      Held entry = held.get(file.name());
      return entry != null && entry.used;
    } finally {
      files.unlock();
    }
  }

  /// Hands an extent over to another tier, which has its bytes and room for them. It is there and
  /// not here from one moment to the next, for whoever has the lock. False, and nothing happened,
  /// if it must stay, is gone, or somebody is busy with one of the files: a move waits for nobody.
  boolean handOver(TierFile file, int extent, Tier to, TierFile into, StagerLock lock) {
    if (!files.tryLock()) {
      return false;
    }
    try {
      if (!mayMove(file) || !to.take(file, into, extent, lock)) {
        return false;
      }
      release(file.bytesOf(extent));
      count(Passage.MOVED_OUT, file.bytesOf(extent));
      file.erase(extent);
      return true;
    } finally {
      files.unlock();
    }
  }

  private boolean take(TierFile from, TierFile into, int extent, StagerLock lock) {
    if (!files.tryLock()) {
      return false;
    }
    try {
      if (!mayMove(into)) {
        return false;
      }
      lock.enter();
      try {
        if (!isSameImage(from, into) || from.pinned.get(extent) || !from.resident.clear(extent)) {
          return false;
        }
        if (into.resident.set(extent)) {
          count(Passage.MOVED_IN, into.bytesOf(extent));
        } else {
          release(into.bytesOf(extent));
        }
        return true;
      } finally {
        lock.leave();
      }
    } finally {
      files.unlock();
    }
  }

  private boolean mayMove(TierFile file) {
    Held entry = held.get(file.name());
    return entry != null && entry.file == file && entry.still == 0;
  }

  /// Whether a file is still one of this tier's.
  boolean has(TierFile file) {
    files.lock();
    try {
      Held entry = held.get(file.name());
      return entry != null && entry.file == file;
    } finally {
      files.unlock();
    }
  }

  /// From now on nothing moves into a file or out of it; or this caller no longer minds.
  void keepStill(TierFile file, boolean still) {
    files.lock();
    try {
      Held entry = held.get(file.name());
      if (entry != null && entry.file == file) {
        entry.still += still ? 1 : -1;
      }
    } finally {
      files.unlock();
    }
  }

  /// Evicts an extent that nothing pins.
  void evict(TierFile file, int extent) {
    @Nullable Held from = null;
    files.lock();
    try {
      Held entry = held.get(file.name());
      if (entry != null && entry.file == file && !file.pinned.get(extent) && file.drop(extent)) {
        release(file.bytesOf(extent));
        from = entry;
      }
    } finally {
      files.unlock();
    }
    if (from != null) {
      evicted(from, extent);
    }
  }

  /// Whether it takes up more than so many bytes.
  boolean exceeds(long bytes) {
    return usedBytes.get() > bytes;
  }

  /// All its files.
  List<TierFile> files() {
    files.lock();
    try {
      return ring.stream().map(entry -> entry.file).toList();
    } finally {
      files.unlock();
    }
  }

  /// A read got bytes from here.
  void served() {
    served.increment();
  }

  void promoted(int bytes) {
    promotedBytes.add(bytes);
  }

  void demoted(int bytes) {
    demotedBytes.add(bytes);
  }

  /// How often a read got bytes from here, since the start.
  public long hits() {
    return served.sum();
  }

  /// How many bytes came here from slower tiers.
  public long promotedBytes() {
    return promotedBytes.sum();
  }

  /// How many bytes went from here to slower tiers.
  public long demotedBytes() {
    return demotedBytes.sum();
  }

  /// How many bytes came or left that way, since the start. All together with their signs are what
  /// is here.
  public long passedBytes(Passage passage) {
    return Objects.requireNonNull(passed.get(passage)).sum();
  }

  /// Whether the device is worth a try; false for a while after it failed.
  boolean accepts() {
    return clock.nanos() >= pausedUntilNanos;
  }

  /// The device took a write.
  void wrote() {
    if (pausedUntilNanos != Long.MIN_VALUE) {
      synchronized (this) {
        pauseNanos = 0;
        pausedUntilNanos = Long.MIN_VALUE;
      }
      LOG.log(Level.INFO, "tier {0} takes writes again", name);
    }
  }

  /// The device refused a write: nothing is kept for a while, at first a second, then longer.
  void refused(TierFile file, IOException e) {
    long pause;
    synchronized (this) {
      // Writes that were under way when the first one failed say nothing new.
      if (!accepts()) {
        return;
      }
      pauseNanos =
          Math.min(LONGEST_PAUSE_NANOS, pauseNanos == 0 ? FIRST_PAUSE_NANOS : 2 * pauseNanos);
      pausedUntilNanos = clock.nanos() + pauseNanos;
      pause = pauseNanos;
    }
    trouble.report(
        "tier-write",
        "tier '"
            + name
            + "' cannot keep an extent of "
            + storage.describe(file.name())
            + ": "
            + IoProblem.explain(e)
            + "; reads are served from the origin, next try in "
            + Duration.ofNanos(pause).toSeconds()
            + " s. Free space on that disk, or lower the tier's capacity");
  }

  /// Its name in configuration, messages and counters.
  public String name() {
    return name;
  }

  /// How many bytes of extents it holds or has promised room for.
  public long usedBytes() {
    return usedBytes.get();
  }

  /// How many bytes of extents it may hold.
  public long capacityBytes() {
    return capacityBytes;
  }

  /// How many extents were found corrupt since the start.
  public long corruptExtents() {
    return corruptExtents.get();
  }

  /// Makes everything durable. Reads that are still under way fail.
  @Override
  public void close() throws IOException {
    files.lock();
    try {
      @Nullable IOException failure = null;
      for (Held entry : ring) {
        try {
          entry.file.close();
        } catch (IOException e) {
          failure = e;
        }
      }
      ring.clear();
      eviction.clear();
      held.clear();
      if (failure != null) {
        throw failure;
      }
    } finally {
      files.unlock();
    }
  }
}
