package dev.prestage.dataplane.block;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.bandwidth.Link;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.resource.Range;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Claims of the hit path while another thread has the lock.
final class StagerLockTest {
  private static final int EXTENT = 3;
  private static final long READY_NANOS = 400;
  private static final long DEMANDED_NANOS = 700;

  private final StagerLock lock = new StagerLock(() -> READY_NANOS, new Doorbell());
  private final TestOrigin origin = new TestOrigin();
  private BlockSpace space;
  private LiveLease lease;

  /// A lease of one extent, which is ready and unused.
  @BeforeEach
  void stage() throws IOException {
    origin.put("disk", 8 * TierFile.EXTENT_BYTES, 11);
    Image image = origin.open("disk");
    var queue =
        new FetchQueue(origin, Link.unscheduled("nas"), BlockOptions.DEFAULT, lock.newCondition());
    Tier tier =
        new Tier("ssd", 8L * TierFile.EXTENT_BYTES, new CrashStorage(), () -> 0, (_, _) -> {});
    TierFile file = tier.open("t", "disk", image.identity()).file();
    space = new BlockSpace(1, "t", image, List.of(new Shelf(tier, file)), queue);
    lock.enter();
    try {
      lease =
          requireNonNull(
              lock.book()
                  .add(
                      new Lease(1, 8, new Range(1, EXTENT, 1), 0, 1, 0, 0, Long.MAX_VALUE), space));
      queue.stage(lease);
      Fetch fetch = requireNonNull(queue.next(0));
      space.flights.remove(EXTENT, fetch);
      assertThat(lock.book().land(space, EXTENT, fetch.lease, true)).isTrue();
      queue.over(fetch);
    } finally {
      lock.leave();
    }
    assertThat(lease.idle()).isEqualTo(1);
  }

  private void claimInAnotherThread() throws InterruptedException {
    Thread guest =
        Thread.ofPlatform().daemon().start(() -> lock.claim(space, EXTENT, DEMANDED_NANOS));
    assertThat(guest.join(Duration.ofSeconds(20))).as("a claim does not wait").isTrue();
  }

  /// Reads the lease directly, because `enter` and `hasNews` would work the claim off themselves.
  @Test
  void aClaimMadeWhileTheLockIsTakenIsInTheAccountOnceItIsLeft() throws Exception {
    lock.enter();
    try {
      claimInAnotherThread();
      assertThat(lease.useful).as("the account while another has the lock").isZero();
    } finally {
      lock.leave();
    }
    assertThat(lease.useful).isEqualTo(1);
    assertThat(lease.leadNanos).isEqualTo(DEMANDED_NANOS - READY_NANOS);
    assertThat(lock.hasNews()).isTrue();
  }

  /// The copy leaves the tier, and before its loss is told another lease has the extent fetched.
  @Test
  void anExtentThatIsStagedAgainEndsForWhoeverHadItReadyBefore() {
    space.pinned.set(EXTENT);
    lock.enter();
    try {
      LiveLease next =
          requireNonNull(
              lock.book()
                  .add(
                      new Lease(2, 8, new Range(1, EXTENT, 1), 0, 1, 0, 0, Long.MAX_VALUE), space));
      assertThat(next.queued).isEqualTo(1);
      space.queue.stage(next);
      Fetch fetch = requireNonNull(space.queue.next(0));
      assertThat(lock.book().land(space, EXTENT, fetch.lease, true)).isTrue();
      assertThat(lease.failed).as("its copy was lost").isEqualTo(1);
      assertThat(lock.book().giveBack(lease)).isEmpty();
      assertThat(lock.book().giveBack(next)).containsExactly(EXTENT);
      assertThat(next.hasEnded()).isTrue();
    } finally {
      lock.leave();
    }
  }
}
