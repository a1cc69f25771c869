package dev.prestage.dataplane.block;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.bandwidth.BandwidthEdge;
import dev.prestage.dataplane.bandwidth.Link;
import dev.prestage.dataplane.bandwidth.Links;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Which fetch goes next, on a link that is shared.
class FetchQueueTest {
  private static final int EXTENTS = 256;
  private static final long CAPACITY = 20_000_000;

  /// 1 MiB: what a link holds of which nothing is known.
  private static final int WINDOW = 16;

  private static final BlockOptions OPTIONS =
      new BlockOptions(4, 3 * WINDOW, Duration.ofSeconds(30), Duration.ofSeconds(10));

  private long now = 1_000_000_000_000L;
  private final TestOrigin origin = new TestOrigin();
  private final Doorbell doorbell = new Doorbell();
  private final Links links = new Links(Map.of("test", CAPACITY));
  private final Link link = requireNonNull(links.of("test"));
  private final BandwidthEdge edge =
      new BandwidthEdge(
          links,
          new Host(new AccessRing(64, doorbell), doorbell, (_, _) -> {}, () -> now, _ -> {}));
  private final FetchQueue queue =
      new FetchQueue(origin, link, OPTIONS, new ReentrantLock().newCondition());
  private final BlockSpace space;
  private int next;

  FetchQueueTest() throws IOException {
    origin.put("disk", EXTENTS * TierFile.EXTENT_BYTES, 1);
    var tier =
        new Tier(
            "ssd",
            2L * EXTENTS * TierFile.EXTENT_BYTES,
            new CrashStorage(),
            () -> now,
            (_, _) -> {});
    Image image = origin.open("disk");
    var shelf = new Shelf(tier, tier.open("t", "disk", image.identity()).file());
    this.space = new BlockSpace(1, "t", image, List.of(shelf), queue);
  }

  @AfterEach
  void close() {
    edge.close();
    queue.opener.close();
  }

  private void demand(String vm) {
    Fetch fetch = new Fetch(space, next++, 1, null, 0);
    fetch.vm = vm;
    queue.demand(fetch, true, now);
  }

  private void schedule() throws IOException {
    String as = "vm/link";
    assertThat(
            edge.open(new Frame.Bind(1, 1, as, 9, ResourceType.IO_BANDWIDTH, "t", "test"))
                .address())
        .isEqualTo("link:test");
  }

  @Test
  void whatWasAskedOfTheOriginBeforeTheLinkWasSharedIsWaitedFor() throws IOException {
    List<Fetch> running = new ArrayList<>();
    for (int i = 0; i < 3 * WINDOW; i++) {
      demand("greedy");
      running.add(requireNonNull(queue.next(now)));
    }
    schedule();
    demand("vm");
    for (int left = 3 * WINDOW; left >= WINDOW; left--) {
      now += 3_000_000;
      assertThat(queue.next(now)).as("%d fetches are under way", left).isNull();
      queue.over(running.removeFirst());
    }
    now += 3_000_000;
    assertThat(requireNonNull(queue.next(now)).vm).isEqualTo("vm");
    assertThat(queue.fetchesBehindStaging.sum()).isZero();
  }

  @Test
  void demandThatStagingKeepsFromALinkIsCounted() throws IOException {
    schedule();
    LiveLease lease = new LiveLease(new Lease(1, 1, new Range(1, 128, 64), 0, 1, 0, 0, now), space);
    lease.queued = -1L;
    queue.stage(lease);
    // Nobody reads, so all of the link is staging's, at a block a time.
    List<Fetch> staging = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      now += 10_000_000;
      staging.add(requireNonNull(queue.next(now)));
    }
    for (int i = 0; i < WINDOW - 4; i++) {
      now += 10_000_000;
      demand("greedy");
      assertThat(requireNonNull(queue.next(now)).vm).isEqualTo("greedy");
    }
    now += 10_000_000;
    demand("vm");
    assertThat(queue.next(now)).isNull();
    queue.over(staging.removeFirst());
    assertThat(requireNonNull(queue.next(now)).vm).isEqualTo("vm");
    assertThat(queue.fetchesBehindStaging.sum()).isEqualTo(1);
    assertThat(queue.fetchesForDemand.sum()).isEqualTo(WINDOW - 4 + 1);
  }

  @Test
  void fillTakesOneExtentOfASharedLinkAtATimeAndOnlyWhileNobodyWaits() throws IOException {
    BlockOptions filling =
        new BlockOptions(
            4, 4, Duration.ofSeconds(30), Duration.ofSeconds(10), new FillOptions(1L << 40, 0));
    FetchQueue filled = new FetchQueue(origin, link, filling, new ReentrantLock().newCondition());
    BlockSpace image = new BlockSpace(2, "t", space.image, List.of(space.shelves[0]), filled);
    image.attachments = 1;
    filled.fill.add(image);
    now += 10_000_000;
    Fetch free = requireNonNull(filled.next(now));
    assertThat(free.fills).isTrue();
    assertThat(free.count).as("a quarter of a link of its own").isEqualTo(WINDOW / 4);
    assertThat(filled.next(now + 10_000_000)).as("one at a time").isNull();
    LiveLease lease = new LiveLease(new Lease(1, 1, new Range(2, 128, 16), 0, 1, 0, 0, now), image);
    lease.queued = 0xffff;
    filled.stage(lease);
    Fetch staged = requireNonNull(filled.next(now));
    assertThat(staged.count).as("staging does not wait for fill").isEqualTo(Fetch.MAX_EXTENTS);
    filled.over(staged);
    filled.over(free);
    filled.lostThreads = 1;
    assertThat(filled.next(now + 10_000_000)).as("while a thread hangs").isNull();
    filled.lostThreads = 0;
    schedule();
    now += 10_000_000;
    Fetch demanded = new Fetch(image, 200, 1, null, 0);
    demanded.vm = "vm";
    filled.demand(demanded, true, now);
    assertThat(filled.next(now)).isSameAs(demanded);
    now += 10_000_000;
    Fetch shared = requireNonNull(filled.next(now));
    assertThat(shared.fills).isTrue();
    assertThat(shared.count).isEqualTo(1);
    filled.opener.close();
  }
}
