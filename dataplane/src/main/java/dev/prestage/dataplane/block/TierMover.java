package dev.prestage.dataplane.block;

import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// Moves extents between tiers, behind everything else: the least touched of a tier that fills up
/// goes to the next slower one, what is touched often goes to a faster one.
///
/// An extent is copied, then handed over, then its old place is given back; whatever a crash leaves
/// of that is whole in one place, in both, or torn in the new one, and [Tiers] and the checksums
/// sort that out. One thread, which takes turns: after each move it waits for three times as long
/// as the move took, and while reads wait for an origin it does nothing.
final class TierMover implements AutoCloseable {
  private static final Logger LOG = System.getLogger(TierMover.class.getName());

  // Moving takes a quarter of the devices' time.
  private static final int PAUSE_FACTOR = 3;

  // A host whose guests always wait for something gets one move in half a second.
  private static final long YIELD_NANOS = Duration.ofMillis(5).toNanos();
  private static final int MOST_YIELDS = 100;

  // A tier that is full swaps for what is touched clearly more often only: by 2 touches, as a
  // difference of one is a matter of when one looks.
  private static final int CLEARLY = 2;

  private static final int BATCH = 64;

  // Somebody is busy with an extent now and then; where more cannot move, the next look is soon
  // enough.
  private static final int MOST_FAILURES = 8;

  // Health forgets what is not said again within five minutes.
  private static final long REPORT_NANOS = Duration.ofMinutes(1).toNanos();

  private final Tiers tiers;
  private final StagerLock lock;
  private final Clock clock;
  private final BooleanSupplier demandWaits;
  private final VerifiedReader reader = new VerifiedReader();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(TierFile.EXTENT_BYTES);
  private final CountDownLatch closed = new CountDownLatch(1);
  private @Nullable Thread thread;

  TierMover(Tiers tiers, StagerLock lock, Clock clock, BooleanSupplier demandWaits) {
    this.tiers = tiers;
    this.lock = lock;
    this.clock = clock;
    this.demandWaits = demandWaits;
  }

  void start() {
    if (tiers.needMover()) {
      thread = Thread.ofPlatform().daemon().name("tier-mover").start(this::run);
    }
  }

  private void run() {
    try {
      long reportAt = System.nanoTime();
      while (giveWay(tiers.moves().period().toNanos())) {
        if (System.nanoTime() - reportAt >= 0) {
          tiers.reportLeftOut();
          reportAt += REPORT_NANOS;
        }
        try {
          demoteAll();
          promoteAll();
        } catch (RuntimeException e) {
          LOG.log(Level.ERROR, "the mover failed", e);
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody may interrupt the mover", e);
    }
  }

  /// Waits, and for longer while demand waits for an origin; false once it is closed.
  private boolean giveWay(long nanos) throws InterruptedException {
    if (closed.await(nanos, TimeUnit.NANOSECONDS)) {
      return false;
    }
    for (int i = 0; i < MOST_YIELDS && demandWaits.getAsBoolean(); i++) {
      if (closed.await(YIELD_NANOS, TimeUnit.NANOSECONDS)) {
        return false;
      }
    }
    return true;
  }

  private void demoteAll() throws InterruptedException {
    for (int i = 0; i < tiers.all().size() - 1; i++) {
      int failures = 0;
      while (failures < MOST_FAILURES && isFillingUp(i)) {
        long began = System.nanoTime();
        failures += demoteFrom(i) ? 0 : 1;
        if (!giveWay(PAUSE_FACTOR * (System.nanoTime() - began))) {
          return;
        }
      }
    }
  }

  private void promoteAll() throws InterruptedException {
    for (int i = 1; i < tiers.all().size(); i++) {
      for (Tier.Candidate candidate : tiers.all().get(i).hot(clock.nanos(), BATCH)) {
        long began = System.nanoTime();
        boolean _ = promote(candidate, i);
        if (!giveWay(PAUSE_FACTOR * (System.nanoTime() - began))) {
          return;
        }
      }
    }
  }

  /// Moves everything that is to be moved now, in the calling thread. For tests without threads.
  void settle() {
    for (int i = 0; i < tiers.all().size() - 1; i++) {
      while (isFillingUp(i) && demoteFrom(i)) {
        // each round moves one extent
      }
    }
    for (int i = 1; i < tiers.all().size(); i++) {
      for (Tier.Candidate candidate : tiers.all().get(i).hot(clock.nanos(), Integer.MAX_VALUE)) {
        promote(candidate, i);
      }
    }
  }

  private boolean isFillingUp(int index) {
    Tier tier = tiers.all().get(index);
    return tier.exceeds(Tiers.limitOfMoves(tier));
  }

  /// Moves one extent out of a tier; false if that one cannot move now, or none.
  private boolean demoteFrom(int from) {
    Tier.Candidate coldest = tiers.all().get(from).coldest(clock.nanos());
    return coldest != null && demote(coldest, from);
  }

  private boolean demote(Tier.Candidate candidate, int from) {
    List<Tier> all = tiers.all();
    int bytes = candidate.file().bytesOf(candidate.extent());
    for (int to = from + 1; to < all.size(); to++) {
      Tier tier = all.get(to);
      boolean last = to == all.size() - 1;
      if (tier.accepts()
          && (last ? tier.reserve(bytes) : tier.reserveWithin(bytes, tier.capacityBytes()))
          && move(candidate, all.get(from), tier)) {
        all.get(from).demoted(bytes);
        return true;
      }
    }
    return false;
  }

  private boolean promote(Tier.Candidate candidate, int from) {
    List<Tier> all = tiers.all();
    int bytes = candidate.file().bytesOf(candidate.extent());
    for (int to = 0; to < from; to++) {
      Tier tier = all.get(to);
      if (tier.accepts()
          && makeRoom(candidate, to, bytes)
          && move(candidate, all.get(from), tier)) {
        tier.promoted(bytes);
        return true;
      }
    }
    return false;
  }

  /// Takes room in a tier for what is touched often, of what is touched clearly less if need be.
  private boolean makeRoom(Tier.Candidate candidate, int to, int bytes) {
    Tier tier = tiers.all().get(to);
    if (tier.reserveWithin(bytes, Tiers.limitOfMoves(tier))) {
      return true;
    }
    Tier.Candidate coldest = tier.coldest(clock.nanos());
    return coldest != null
        && coldest.frequency() + CLEARLY <= candidate.frequency()
        && demote(coldest, to)
        && tier.reserveWithin(bytes, tier.capacityBytes());
  }

  /// Moves an extent to a tier that has taken room for it; gives the room back if it cannot.
  private boolean move(Tier.Candidate candidate, Tier from, Tier to) {
    return tiers.alone(() -> moveAlone(candidate, from, to));
  }

  private boolean moveAlone(Tier.Candidate candidate, Tier from, Tier to) {
    TierFile file = candidate.file();
    int extent = candidate.extent();
    int bytes = file.bytesOf(extent);
    @Nullable TierFile into = null;
    boolean moved = false;
    try {
      into = to.twinOf(from, file);
      if (into != null && read(candidate, from)) {
        into.write(extent, 1, buffer);
        to.wrote();
        moved = from.handOver(file, extent, to, into, lock);
        if (!moved) {
          into.erase(extent);
        }
      }
    } catch (IOException e) {
      if (into == null) {
        tiers.reportUnopened(to, e);
      } else if (to.has(into)) {
        to.refused(into, e);
      }
    }
    if (!moved) {
      to.release(bytes);
      rest(file, extent);
      return false;
    }
    if (into != null && into.touches != null && file.touches != null) {
      into.touches.take(file.touches, extent);
      file.touches.forget(extent);
      rest(into, extent);
    }
    return true;
  }

  /// What could not move is left alone for a while, so that others have their turn.
  private void rest(TierFile file, int extent) {
    Touches touches = file.touches;
    if (touches != null) {
      touches.rest(extent, clock.nanos());
    }
  }

  private boolean read(Tier.Candidate candidate, Tier from) {
    TierFile file = candidate.file();
    int extent = candidate.extent();
    buffer.clear().limit(file.bytesOf(extent));
    int bad = reader.read(file, (long) extent * TierFile.EXTENT_BYTES, buffer);
    buffer.flip();
    if (bad >= 0) {
      // Demand would find it unreadable, too, and it must not stay for ever.
      from.evict(file, extent);
    }
    return bad < 0;
  }

  @Override
  public void close() {
    closed.countDown();
    Thread running = thread;
    if (running != null) {
      try {
        if (!running.join(Duration.ofSeconds(2))) {
          LOG.log(Level.INFO, "the mover is stuck in a tier and is left behind");
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
