package dev.prestage.dataplane.block;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What of the images of one origin is brought behind everything else, so that VMs end up depending
/// on this host only: one image after the other, in the order in which VMs were attached, each from
/// its beginning, one fetch at a time.
///
/// A fill is no lease and no forecast. It takes free room only. An image all of which is here is
/// complete; the tiers evict it last, and when they do it is not complete any more. Guarded by the
/// [BlockStager]'s lock.
final class Fill {
  private static final long FIRST_PAUSE_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LONGEST_PAUSE_NANOS = Duration.ofMinutes(1).toNanos();

  /// Room comes back when leases or VMs end, which happens in seconds to minutes.
  private static final long LOOK_NANOS = Duration.ofSeconds(5).toNanos();

  /// A tier that is nearly full stops and goes on again and again; it is said once in a while.
  private static final long SAY_NANOS = Duration.ofMinutes(5).toNanos();

  private static final double NANOS_PER_SECOND = 1e9;

  private final String origin;
  private final FillOptions options;
  private final List<BlockSpace> spaces = new ArrayList<>();
  private final List<String> lines = new ArrayList<>();
  private Runnable news = () -> {};
  private boolean running;
  private long paceNanos = Long.MIN_VALUE;
  private long lookAtNanos = Long.MAX_VALUE;

  Fill(String origin, FillOptions options) {
    this.origin = origin;
    this.options = options;
  }

  /// Sets who hears that there is something to tell of an image.
  void onNews(Runnable hears) {
    news = hears;
  }

  /// VMs read an image from now on. One that is here already is complete at once.
  void add(BlockSpace space) {
    if (options.isOn() && !spaces.contains(space)) {
      spaces.add(space);
      int _ = nextAbsent(space);
    }
  }

  /// What is here of an image was compared with it, and is the same.
  void proven(BlockSpace space) {
    space.fill.doubtful = false;
    if (has(space)) {
      int _ = nextAbsent(space);
    }
  }

  void remove(BlockSpace space) {
    spaces.remove(space);
    setComplete(space, false);
  }

  /// Whether an image is being filled, or is complete and kept.
  boolean has(BlockSpace space) {
    return isUsed(space) && spaces.contains(space);
  }

  private static boolean isUsed(BlockSpace space) {
    return space.attachments > 0 && space.refusal().isEmpty();
  }

  /// When there is something to look for, though nothing else happens; [Long#MAX_VALUE] if there is
  /// not.
  long lookAtNanos() {
    return lookAtNanos;
  }

  /// Somebody looks now, if a thread was free for it.
  void looks(boolean now, long nowNanos) {
    lookAtNanos = now ? Long.MAX_VALUE : nowNanos + LOOK_NANOS;
  }

  /// Whether there is a line to say.
  boolean hasLines() {
    return !lines.isEmpty();
  }

  /// What a person should know, one line each.
  List<String> takeLines() {
    List<String> taken = List.copyOf(lines);
    lines.clear();
    return taken;
  }

  /// Whether an image wants anything, and a fetch for it might begin now.
  boolean mayBegin(long nowNanos) {
    if (running || spaces.isEmpty()) {
      return false;
    }
    long from = Long.MAX_VALUE;
    for (BlockSpace space : spaces) {
      if (isUsed(space) && nextAbsent(space) >= 0) {
        from = Math.min(from, Math.max(paceNanos, space.fill.pausedUntilNanos));
      }
    }
    if (from > nowNanos) {
      lookAtNanos = Math.min(lookAtNanos, from);
    }
    return from <= nowNanos;
  }

  /// Takes what is to be brought now, or null if that is nothing.
  ///
  /// @param most at most so many extents
  @Nullable Fetch next(int most, long nowNanos) {
    for (BlockSpace space : spaces) {
      boolean may = isUsed(space) && space.fill.pausedUntilNanos <= nowNanos;
      int first = may ? nextAbsent(space) : -1;
      int length = first < 0 ? 0 : length(space, first, most, nowNanos);
      if (length > 0) {
        return begin(space, first, length, nowNanos);
      }
    }
    return null;
  }

  private Fetch begin(BlockSpace space, int first, int length, long nowNanos) {
    var fetch = new Fetch(space, first, length, null, 0);
    fetch.fills = true;
    for (int i = 0; i < length; i++) {
      space.flights.put(first + i, fetch);
    }
    space.fill.cursor = first + length;
    space.fill.stop = SpaceFill.Stop.NONE;
    running = true;
    long takes = (long) (NANOS_PER_SECOND * fetch.bytes() / options.bytesPerSecond());
    paceNanos = Math.max(paceNanos, nowNanos) + takes;
    return fetch;
  }

  /// How many extents from one on may be brought in one go; 0 if none may now.
  private int length(BlockSpace space, int first, int most, long nowNanos) {
    int end = first + 1;
    int limit = Math.min(space.extents(), first + most);
    while (end < limit && !space.holds(end) && !space.flights.containsKey(end)) {
      end++;
    }
    long allowed = space.fill.allowedBytes(options.amplification());
    int length = (int) Math.min(end - first, allowed / TierFile.EXTENT_BYTES);
    if (length == 0) {
      stops(space, SpaceFill.Stop.AMPLIFICATION, "", nowNanos);
      return 0;
    }
    long missing = missingExtents(space);
    long room = Tiers.roomToFill(space);
    if (missing > room) {
      String detail = ": " + missing + " extents are, and fill may take " + room;
      stops(space, SpaceFill.Stop.ROOM, detail, nowNanos);
      lookAtNanos = Math.min(lookAtNanos, nowNanos + LOOK_NANOS);
      length = 0;
    }
    return length;
  }

  /// What is on its way is not missing.
  private static long missingExtents(BlockSpace space) {
    long bytes = space.sizeBytes() - space.heldBytes();
    long extents = (bytes + TierFile.EXTENT_BYTES - 1) / TierFile.EXTENT_BYTES;
    return Math.max(1, extents - space.flights.size());
  }

  private void stops(BlockSpace space, SpaceFill.Stop why, String detail, long nowNanos) {
    SpaceFill fill = space.fill;
    boolean said = fill.saidNanos != 0 && nowNanos - fill.saidNanos < SAY_NANOS;
    boolean isNew = fill.stop != why;
    fill.stop = why;
    if (isNew && !said) {
      fill.saidNanos = nowNanos;
      lines.add("the fill of " + space + " waits: " + fill.stopText() + detail);
    }
  }

  /// The next extent that is neither here nor on its way, or -1.
  private int nextAbsent(BlockSpace space) {
    if (space.fill.isComplete()) {
      return -1;
    }
    int absent = absentFrom(space, space.fill.cursor);
    if (absent < 0 && space.fill.cursor > 0) {
      absent = absentFrom(space, 0);
    }
    if (absent >= 0) {
      space.fill.cursor = absent;
    } else if (!space.fill.doubtful && space.nextMissing(0) < 0) {
      setComplete(space, true);
    }
    return absent;
  }

  private static int absentFrom(BlockSpace space, int from) {
    int at = space.nextMissing(from);
    while (at >= 0 && space.flights.containsKey(at)) {
      at = space.nextMissing(at + 1);
    }
    return at;
  }

  private void setComplete(BlockSpace space, boolean complete) {
    space.fill.setComplete(complete);
    for (Shelf shelf : space.shelves) {
      shelf.file().isComplete = complete;
    }
    if (complete) {
      tell(space);
    }
  }

  private void tell(BlockSpace space) {
    space.fill.news = true;
    news.run();
  }

  /// Bytes of an image have come to a tier.
  ///
  /// @param wanted whether a guest or a lease wanted them
  void landed(BlockSpace space, int bytes, boolean wanted, long nowNanos) {
    if (space.fill.landed(bytes, !wanted, space.sizeBytes(), nowNanos)) {
      tell(space);
    }
  }

  /// What a lease had ready and nobody used stays, and whoever keeps the leases thinks it gone.
  void kept(BlockSpace space) {
    tell(space);
  }

  /// An extent of an image is gone.
  ///
  /// @return whether the image was complete until now
  boolean lost(BlockSpace space) {
    boolean was = space.fill.isComplete();
    if (was) {
      setComplete(space, false);
    }
    return was;
  }

  /// The fetch that was begun is over.
  void over() {
    running = false;
  }

  /// The origin has answered a fill of an image.
  void arrived(BlockSpace space) {
    space.fill.pauseNanos = 0;
  }

  /// A fill of an image failed: nothing of it is filled for a while, at first a second, then
  /// longer. The other images of the origin go first from now on: this one may have a place that
  /// cannot be read.
  void failed(BlockSpace space, long nowNanos) {
    SpaceFill fill = space.fill;
    fill.pauseNanos =
        Math.min(
            LONGEST_PAUSE_NANOS, fill.pauseNanos == 0 ? FIRST_PAUSE_NANOS : 2 * fill.pauseNanos);
    fill.pausedUntilNanos = nowNanos + fill.pauseNanos;
    lookAtNanos = Math.min(lookAtNanos, fill.pausedUntilNanos);
    if (spaces.remove(space)) {
      spaces.add(space);
    }
    if (fill.pauseNanos == FIRST_PAUSE_NANOS) {
      lines.add(
          "origin '"
              + origin
              + "' fails to read "
              + space
              + ": its fill waits, at most a minute at a time");
    }
  }
}
