package dev.prestage.dataplane.block;

import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A host-local place that holds extents of any number of images, up to a capacity.
///
/// When it is full the extents that were not read lately make room, by CLOCK (F. Corbató, "A Paging
/// Experiment with the Multics System", 1968): one bit per extent instead of an order, so that a
/// hit costs no lock. Extents that are staged and still waiting for their demand never make room.
///
/// When the device itself fails or is full, nothing is kept for a while and everything goes on
/// being served from the origin.
///
/// Threads: any; calls may block on the device, so the hit path makes none of them.
public final class Tier implements AutoCloseable {
  private static final Logger LOG = System.getLogger(Tier.class.getName());
  private static final long FIRST_PAUSE_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LONGEST_PAUSE_NANOS = Duration.ofMinutes(1).toNanos();
  // A file name may have 255 bytes; the longest ending has 5.
  private static final int LONGEST_NAME = 250;

  private final String name;
  private final long capacityBytes;
  private final Storage storage;
  private final Clock clock;
  private final Trouble trouble;
  private final AtomicLong usedBytes = new AtomicLong();
  private final AtomicLong corruptExtents = new AtomicLong();
  private final ReentrantLock files = new ReentrantLock();
  private final Map<String, Held> held = new HashMap<>();
  private final List<Held> ring = new ArrayList<>();
  private int handFile;
  private int handExtent;
  private long pauseNanos;
  private volatile long pausedUntilNanos = Long.MIN_VALUE;

  /// A file and whoever must hear when one of its extents leaves.
  private static final class Held {
    final TierFile file;
    volatile Drops drops = _ -> {};

    Held(TierFile file) {
      this.file = file;
    }
  }

  /// Hears that an extent left to make room.
  @FunctionalInterface
  interface Drops {
    void dropped(int extent);
  }

  /// Opens a tier and everything in it.
  ///
  /// @throws IOException if its storage cannot be used
  public Tier(String name, long capacityBytes, Storage storage, Clock clock, Trouble trouble)
      throws IOException {
    this.name = name;
    this.capacityBytes = capacityBytes;
    this.storage = storage;
    this.clock = clock;
    this.trouble = trouble;
    List<String> paths;
    try {
      paths = storage.list();
    } catch (IOException e) {
      throw IoProblem.in("tier '" + name + "' cannot use " + storage.describe(""), e);
    }
    for (String path : paths) {
      if (path.endsWith(TierFile.MAP)) {
        openExisting(path.substring(0, path.length() - TierFile.MAP.length()));
      }
    }
    shrink();
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
    held.put(file.name(), entry);
    ring.add(entry);
    usedBytes.addAndGet(file.residentBytes());
    return entry;
  }

  /// Opens what this tier has of an image. Whatever it had of another version of it is given up.
  TierFile open(String tenant, String image, Image.Identity identity) throws IOException {
    String path = fileName(tenant) + "/" + fileName(image);
    files.lock();
    try {
      Held entry = held.get(path);
      if (entry != null && !entry.file.identity().equals(identity)) {
        held.remove(path);
        ring.remove(entry);
        usedBytes.addAndGet(-entry.file.residentBytes());
        entry.file.close();
        entry = null;
      }
      if (entry == null) {
        entry = hold(TierFile.open(storage, path, identity));
      }
      entry.drops = _ -> {};
      return entry.file;
    } finally {
      files.unlock();
    }
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

  /// Gives room back that was reserved and not filled.
  void release(int bytes) {
    usedBytes.addAndGet(-bytes);
  }

  /// Removes an extent, if it is here, and gives its room back.
  boolean drop(TierFile file, int extent) {
    boolean dropped = file.drop(extent);
    if (dropped) {
      release(file.bytesOf(extent));
    }
    return dropped;
  }

  /// Removes an extent if it is corrupt, counts that and tells.
  boolean dropIfCorrupt(TierFile file, int extent, VerifiedReader reader) {
    boolean dropped = file.dropIfCorrupt(extent, reader);
    if (dropped) {
      release(file.bytesOf(extent));
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

  private void shrink() {
    while (usedBytes.get() > capacityBytes && evictOne()) {
      // each round gives one extent back
    }
  }

  private boolean evictOne() {
    Held victim = null;
    int extent = -1;
    files.lock();
    try {
      // Two rounds: the first may only take away the marks of having been read.
      int steps = 2 * ring.size() + 1;
      while (steps > 0 && victim == null) {
        if (handFile >= ring.size()) {
          handFile = 0;
          handExtent = 0;
        }
        if (ring.isEmpty()) {
          return false;
        }
        Held entry = ring.get(handFile);
        extent = nextVictim(entry.file, handExtent);
        if (extent < 0) {
          handFile++;
          handExtent = 0;
          steps--;
        } else {
          handExtent = extent + 1;
          victim = entry.file.drop(extent) ? entry : null;
        }
      }
    } finally {
      files.unlock();
    }
    if (victim == null) {
      return false;
    }
    release(victim.file.bytesOf(extent));
    victim.drops.dropped(extent);
    return true;
  }

  private static int nextVictim(TierFile file, int from) {
    int extent = file.resident.nextSetExcept(file.pinned, from);
    while (extent >= 0 && file.referenced.clear(extent)) {
      extent = file.resident.nextSetExcept(file.pinned, extent + 1);
    }
    return extent;
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
      held.clear();
      if (failure != null) {
        throw failure;
      }
    } finally {
      files.unlock();
    }
  }
}
