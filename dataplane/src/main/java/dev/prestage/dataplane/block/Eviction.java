package dev.prestage.dataplane.block;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/// Which extent of a tier makes room next. What comes from an origin is on probation, in a queue of
/// a tenth of the tier: one that is not read again there goes first, so that a scan of a large disk
/// pushes out little. One that is, or that comes back soon after it went, belongs to the rest, in
/// which a hand goes around and takes what was not read since it last passed.
///
/// This is S3-FIFO (Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023) with
/// one bit for an extent's reads instead of counts, so that a hit costs no lock; with CLOCK (F.
/// Corbató, "A Paging Experiment with the Multics System", 1968) for its main queue; with two
/// generations of bits for what went; and with a first half of the probation in which reads do not
/// count: a guest reads an extent of 64 KiB in many small requests, and these say nothing about its
/// coming back.
///
/// Guarded by the tier's lock, except [#landed].
final class Eviction {
  /// On probation is one in so many extents.
  private static final int PROBATION = 10;

  /// 8 MiB of memory, for a tier of 640 GiB.
  private static final int MOST_ON_PROBATION = 1 << 20;

  private final List<TierFile> files = new ArrayList<>();
  private final Queue<Place> arrivals = new ConcurrentLinkedQueue<>();

  /// A ring of what is on probation, the oldest first. Some of it may be gone.
  private final TierFile[] queued;

  private final int[] queuedExtent;
  private int oldest;
  private int size;

  /// How many of the ring, the oldest, are beyond the half in which reads do not count.
  private int settled;

  /// A generation of what went is so large; there are two.
  private final int mostGone;

  private int gone;

  /// Files of each reluctance have a hand of their own: one that stepped over others would begin
  /// each of their rounds anew.
  private final List<Hand> hands =
      Arrays.stream(TierFile.Reluctance.values()).map(Hand::new).toList();

  /// An extent of a file.
  record Place(TierFile file, int extent) {}

  private static final class Hand {
    final TierFile.Reluctance reluctance;
    int file;
    int extent;

    Hand(TierFile.Reluctance reluctance) {
      this.reluctance = reluctance;
    }
  }

  /// What is remembered of a file's extents.
  static final class Marks {
    private final BitSet probation = new BitSet();
    private BitSet gone = new BitSet();
    private BitSet goneBefore = new BitSet();

    /// Whether the file is no longer the tier's.
    private boolean isRemoved;
  }

  Eviction(long capacityBytes) {
    int capacity = Math.clamp(capacityBytes / TierFile.EXTENT_BYTES, 1, Integer.MAX_VALUE);
    int most = Math.clamp(capacity / PROBATION, 1, MOST_ON_PROBATION);
    this.queued = new TierFile[most];
    this.queuedExtent = new int[most];
    this.mostGone = Math.max(1, (capacity - most) / 2);
  }

  void add(TierFile file) {
    files.add(file);
  }

  void remove(TierFile file) {
    files.remove(file);
    file.marks.isRemoved = true;
  }

  /// An extent came from an origin. Any thread; nobody is waited for.
  void landed(TierFile file, int extent) {
    arrivals.add(new Place(file, extent));
  }

  /// Takes in what has landed.
  void admit() {
    for (Place next = arrivals.poll(); next != null; next = arrivals.poll()) {
      admit(next.file, next.extent);
    }
  }

  private void admit(TierFile file, int extent) {
    Marks marks = file.marks;
    boolean cameBack = marks.gone.get(extent) || marks.goneBefore.get(extent);
    marks.gone.clear(extent);
    marks.goneBefore.clear(extent);
    if (cameBack || marks.isRemoved || marks.probation.get(extent)) {
      return;
    }
    if (size == queued.length) {
      // There is room beyond the probation.
      takeOldest();
    }
    int at = (oldest + size++) % queued.length;
    queued[at] = file;
    queuedExtent[at] = extent;
    marks.probation.set(extent);
    while (size - settled > queued.length / 2) {
      int next = (oldest + settled++) % queued.length;
      queued[next].referenced.clear(queuedExtent[next]);
    }
  }

  /// Ends the probation of the oldest.
  private Place takeOldest() {
    Place place = new Place(queued[oldest], queuedExtent[oldest]);
    oldest = (oldest + 1) % queued.length;
    size--;
    settled = Math.max(0, settled - 1);
    place.file.marks.probation.clear(place.extent);
    return place;
  }

  /// Removes an extent that may make room, and says which; null if there is none.
  @Nullable Place evict() {
    admit();
    Place victim = size == queued.length ? evictOldest() : null;
    if (victim == null) {
      victim = evictAt(hands.getFirst());
    }
    while (victim == null && size > 0) {
      victim = evictOldest();
    }
    for (int i = 0; i < hands.size() && victim == null; i++) {
      victim = evictAt(hands.get(i));
    }
    return victim;
  }

  /// Ends the probation of the oldest; one that may not make room, or was read, stays.
  private @Nullable Place evictOldest() {
    Place place = takeOldest();
    TierFile file = place.file;
    int extent = place.extent;
    if (file.marks.isRemoved
        || file.reluctance() != TierFile.Reluctance.NONE
        || file.pinned.get(extent)
        || file.referenced.clear(extent)
        || !file.drop(extent)) {
      return null;
    }
    file.marks.gone.set(extent);
    if (++gone >= mostGone) {
      gone = 0;
      for (TierFile each : files) {
        each.marks.goneBefore = each.marks.gone;
        each.marks.gone = new BitSet();
      }
    }
    return place;
  }

  private @Nullable Place evictAt(Hand hand) {
    // Two rounds: the first may only take away the marks of having been read.
    for (int steps = 2 * files.size() + 1; steps > 0 && !files.isEmpty(); ) {
      if (hand.file >= files.size()) {
        hand.file = 0;
        hand.extent = 0;
      }
      TierFile file = files.get(hand.file);
      int extent = file.reluctance() == hand.reluctance ? nextVictim(file, hand.extent) : -1;
      if (extent < 0) {
        hand.file++;
        hand.extent = 0;
        steps--;
      } else {
        hand.extent = extent + 1;
        if (file.drop(extent)) {
          return new Place(file, extent);
        }
      }
    }
    return null;
  }

  private static int nextVictim(TierFile file, int from) {
    if (file.resident.isEmpty()) {
      return -1;
    }
    int extent = file.resident.nextSetExcept(file.pinned, from);
    while (extent >= 0 && (file.marks.probation.get(extent) || file.referenced.clear(extent))) {
      extent = file.resident.nextSetExcept(file.pinned, extent + 1);
    }
    return extent;
  }
}
