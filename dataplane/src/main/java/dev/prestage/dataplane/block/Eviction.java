package dev.prestage.dataplane.block;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/// Which extent of a tier makes room next. What comes from an origin is on probation, in a queue of
/// a tenth of what there is: if it is not read in the older half of that it goes first, so that a
/// scan of a large disk pushes out little. If it is, or if it comes back soon after it went, it
/// stays with the rest, in which a hand goes around and takes what was not read since it last
/// passed.
///
/// This is S3-FIFO (Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023) with
/// one bit for an extent's reads instead of counts, so that a hit costs no lock; with CLOCK (F.
/// Corbató, "A Paging Experiment with the Multics System", 1968) for its main queue; with two
/// generations of bits for what went; and with a younger half of the probation in which reads do
/// not count: a guest reads an extent of 64 KiB in many small requests, and these say nothing about
/// its coming back.
///
/// Guarded by the tier's lock, except [#landed] and [#hasArrivals].
final class Eviction {
  /// On probation is one in so many extents.
  private static final int PROBATION = 10;

  /// That of a tier of 640 GiB: 28 MiB of memory for files of each reluctance.
  private static final int MOST_ON_PROBATION = 1 << 20;

  private final List<TierFile> files = new ArrayList<>();
  private final Queue<Place> arrivals = new ConcurrentLinkedQueue<>();

  /// Files of each reluctance by themselves, the least reluctant first.
  private final Map<TierFile.Reluctance, Level> levels = new EnumMap<>(TierFile.Reluctance.class);

  /// A generation of what went is so large; there are two.
  private final int mostGone;

  private int goneInGeneration;

  /// For how many extents room was taken that are not here yet. Most of them will be on probation,
  /// and all are counted so.
  private long coming;

  /// An extent of a file.
  record Place(TierFile file, int extent) {}

  /// What is remembered of a file's extents.
  static final class Marks {
    private final BitSet probation = new BitSet();
    private BitSet gone = new BitSet();
    private BitSet goneBefore = new BitSet();

    /// The level whose queue holds what of the file is on probation; null if the file is not the
    /// tier's.
    private @Nullable Level level;
  }

  Eviction(long capacityBytes) {
    int capacity = Math.clamp(capacityBytes / TierFile.EXTENT_BYTES, 1, Integer.MAX_VALUE);
    for (TierFile.Reluctance each : TierFile.Reluctance.values()) {
      levels.put(each, new Level());
    }
    this.mostGone = Math.max(1, (capacity - capacity / PROBATION) / 2);
  }

  void add(TierFile file) {
    files.add(file);
    file.marks.level = level(file);
  }

  void remove(TierFile file) {
    files.remove(file);
    if (file.marks.level != null) {
      file.marks.level.takeAll(file);
    }
    file.marks.level = null;
  }

  /// All files are gone.
  void clear() {
    List.copyOf(files).forEach(this::remove);
  }

  /// An extent came from an origin. Any thread; nobody is waited for.
  void landed(TierFile file, int extent) {
    arrivals.add(new Place(file, extent));
  }

  /// Whether something has landed that [#admit] would take in.
  boolean hasArrivals() {
    return !arrivals.isEmpty();
  }

  /// Takes in what has landed.
  ///
  /// @param usedBytes of the tier, with room that was taken for what comes
  void admit(long usedBytes) {
    survey(usedBytes);
    for (Place next = arrivals.poll(); next != null; next = arrivals.poll()) {
      Marks marks = next.file.marks;
      int extent = next.extent;
      boolean cameBack = marks.gone.get(extent) || marks.goneBefore.get(extent);
      marks.gone.clear(extent);
      marks.goneBefore.clear(extent);
      if (!cameBack && marks.level != null && !marks.probation.get(extent)) {
        marks.level.admit(next);
      }
    }
  }

  private Level level(TierFile file) {
    return Objects.requireNonNull(levels.get(file.reluctance()));
  }

  /// Counts what each level holds and what is coming, and moves the probation of files whose
  /// reluctance has changed.
  private void survey(long usedBytes) {
    levels.values().forEach(level -> level.held = 0);
    long comingBytes = usedBytes;
    for (TierFile file : files) {
      Level now = level(file);
      Level before = file.marks.level;
      if (before != null && before != now) {
        now.older.addAll(before.takeAll(file));
        file.marks.level = now;
      }
      now.held += file.resident.cardinality();
      comingBytes -= file.approximateResidentBytes();
    }
    coming = Math.max(0, Math.ceilDiv(comingBytes, TierFile.EXTENT_BYTES));
  }

  /// Removes an extent that may make room, and says which; null if there is none.
  ///
  /// @param usedBytes of the tier, with room that was taken for what comes
  @Nullable Place evict(long usedBytes) {
    admit(usedBytes);
    for (Level level : levels.values()) {
      Place victim = level.evict();
      if (victim != null) {
        return victim;
      }
    }
    return null;
  }

  private void went(Place place) {
    place.file.marks.gone.set(place.extent);
    if (++goneInGeneration >= mostGone) {
      goneInGeneration = 0;
      for (TierFile each : files) {
        each.marks.goneBefore = each.marks.gone;
        each.marks.gone = new BitSet();
      }
    }
  }

  /// The files of one reluctance: what of them is on probation, and the hand that goes around among
  /// the rest.
  private final class Level {
    /// What is on probation, the oldest first, in two halves. Some of it may be gone.
    private final ArrayDeque<Place> older = new ArrayDeque<>();

    private final ArrayDeque<Place> younger = new ArrayDeque<>();

    /// How many extents there are.
    private long held;

    private int handFile;
    private int handExtent;

    private int onProbation() {
      return older.size() + younger.size();
    }

    /// How many there should be: a share of what is here and comes.
    private int most() {
      return Math.clamp((held + coming) / PROBATION, 1, MOST_ON_PROBATION);
    }

    void admit(Place place) {
      int most = most();
      if (onProbation() >= most) {
        // The queue is full and the tier is not: the oldest stays with the rest.
        takeOldest();
      }
      younger.add(place);
      place.file.marks.probation.set(place.extent);
      while (younger.size() > most / 2) {
        Place settled = younger.remove();
        settled.file.referenced.clear(settled.extent);
        older.add(settled);
      }
    }

    /// Takes away what of a file is on probation here.
    List<Place> takeAll(TierFile file) {
      List<Place> taken = new ArrayList<>();
      for (ArrayDeque<Place> half : List.of(older, younger)) {
        half.removeIf(place -> place.file == file && taken.add(place));
      }
      return taken;
    }

    /// Ends the probation of the oldest. Where all are in the younger half, its reads do not count.
    private Place takeOldest() {
      boolean isYoung = older.isEmpty();
      Place place = isYoung ? younger.remove() : older.remove();
      place.file.marks.probation.clear(place.extent);
      if (isYoung) {
        place.file.referenced.clear(place.extent);
      }
      return place;
    }

    @Nullable Place evict() {
      Place victim = null;
      while (victim == null && onProbation() > 0 && onProbation() + coming >= most()) {
        victim = evictOldest();
      }
      if (victim == null) {
        victim = evictAtHand();
      }
      while (victim == null && onProbation() > 0) {
        victim = evictOldest();
      }
      return victim == null ? evictAtHand() : victim;
    }

    /// Ends the probation of the oldest; one that may not make room, or was read, stays.
    private @Nullable Place evictOldest() {
      Place place = takeOldest();
      TierFile file = place.file;
      int extent = place.extent;
      if (file.pinned.get(extent) || file.referenced.clear(extent) || !file.drop(extent)) {
        return null;
      }
      went(place);
      return place;
    }

    private @Nullable Place evictAtHand() {
      // Two rounds: the first may only take away the marks of having been read.
      for (int steps = 2 * files.size() + 1; steps > 0 && !files.isEmpty(); ) {
        if (handFile >= files.size()) {
          handFile = 0;
          handExtent = 0;
        }
        TierFile file = files.get(handFile);
        int extent = file.marks.level == this ? nextVictim(file, handExtent) : -1;
        if (extent < 0) {
          handFile++;
          handExtent = 0;
          steps--;
        } else {
          handExtent = extent + 1;
          if (file.drop(extent)) {
            return new Place(file, extent);
          }
        }
      }
      return null;
    }
  }

  private static int nextVictim(TierFile file, int from) {
    if (file.resident.cardinality() <= 0) {
      return -1;
    }
    int extent = file.resident.nextSetExcept(file.pinned, from);
    while (extent >= 0 && (file.marks.probation.get(extent) || file.referenced.clear(extent))) {
      extent = file.resident.nextSetExcept(file.pinned, extent + 1);
    }
    return extent;
  }
}
