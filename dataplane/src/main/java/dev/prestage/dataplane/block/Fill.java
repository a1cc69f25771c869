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
  private long pauseNanos;
  private long pausedUntilNanos = Long.MIN_VALUE;
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

  /// Somebody looks now.
  void looks() {
    lookAtNanos = Long.MAX_VALUE;
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
    boolean wants = false;
    for (BlockSpace space : spaces) {
      wants |= isUsed(space) && nextAbsent(space) >= 0;
    }
    long from = Math.max(paceNanos, pausedUntilNanos);
    if (wants && from > nowNanos) {
      lookAtNanos = from;
    }
    return wants && from <= nowNanos;
  }

  /// Takes what is to be brought now, or null if that is nothing.
  ///
  /// @param most at most so many extents
  @Nullable Fetch next(int most, long nowNanos) {
    for (BlockSpace space : spaces) {
      int first = isUsed(space) ? nextAbsent(space) : -1;
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
      stops(space, SpaceFill.Stop.AMPLIFICATION, nowNanos);
    } else if (!Tiers.hasRoomToFill(space)) {
      stops(space, SpaceFill.Stop.ROOM, nowNanos);
      lookAtNanos = nowNanos + LOOK_NANOS;
      length = 0;
    }
    return length;
  }

  private void stops(BlockSpace space, SpaceFill.Stop why, long nowNanos) {
    SpaceFill fill = space.fill;
    boolean said = fill.saidNanos != 0 && nowNanos - fill.saidNanos < SAY_NANOS;
    boolean isNew = fill.stop != why;
    fill.stop = why;
    if (isNew && !said) {
      fill.saidNanos = nowNanos;
      lines.add("the fill of " + space + " waits: " + fill.stopText());
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
      shelf.file().evictLast = complete;
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
  void landed(Fetch fetch, int bytes, long nowNanos) {
    BlockSpace space = fetch.space;
    if (space.fill.landed(bytes, fetch.fills, space.sizeBytes(), nowNanos)) {
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

  /// The origin has answered.
  void arrived() {
    pauseNanos = 0;
  }

  /// The origin failed: nothing is filled from it for a while, at first a second, then longer.
  void failed(long nowNanos) {
    pauseNanos =
        Math.min(LONGEST_PAUSE_NANOS, pauseNanos == 0 ? FIRST_PAUSE_NANOS : 2 * pauseNanos);
    pausedUntilNanos = nowNanos + pauseNanos;
    lookAtNanos = pausedUntilNanos;
    if (pauseNanos == FIRST_PAUSE_NANOS) {
      lines.add("origin '" + origin + "' failed: fill waits for it, at most a minute at a time");
    }
  }
}
