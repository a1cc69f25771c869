package dev.prestage.dataplane.bandwidth;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Demand, leases and their ends in any order: each unit ends once, and all that was promised comes
/// back.
class LeasesTest {
  private static final long CAPACITY = 20_000_000;
  private static final int SPACE = 3;
  private static final int VMS = 4;

  private long now = 1_000_000_000_000L;
  private final Map<Long, LeaseState> states = new HashMap<>();

  private final Edge.News news =
      new Edge.News() {
        @Override
        public void changed(List<LeaseState> changes) {
          changes.forEach(state -> states.merge(state.leaseId(), state, LeasesTest::later));
        }

        @Override
        public void gone(int space, long first, int units) {
          throw new AssertionError("a level is released, and never gone");
        }
      };

  /// What has ended stays as it ended.
  private static LeaseState later(LeaseState before, LeaseState after) {
    assertThat(after.useful() & before.useful()).isEqualTo(before.useful());
    assertThat(after.ended() & before.ended()).isEqualTo(before.ended());
    return after;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void everyUnitEndsOnceAndAllComesBack(long seed) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    Links links = new Links(Map.of("nas", CAPACITY), Promises.values()[(int) seed % 3]);
    Link link = links.of("nas");
    Doorbell doorbell = new Doorbell();
    Host host =
        new Host(new AccessRing(1 << 12, doorbell), doorbell, (_, _) -> {}, () -> now, _ -> {});
    Map<Long, Lease> leases = new HashMap<>();
    try (BandwidthEdge edge = new BandwidthEdge(links, host)) {
      for (int vm = 0; vm < VMS; vm++) {
        bind(edge, vm);
      }
      long id = 1;
      for (int step = 0; step < 2000; step++) {
        int vm = random.nextInt(VMS);
        switch (random.nextInt(6)) {
          case 0 -> {
            int first = random.nextInt(60);
            Lease lease =
                new Lease(
                    id++,
                    vm,
                    new Range(SPACE, first, 1 + random.nextInt(8)),
                    0,
                    1,
                    0,
                    now,
                    now + random.nextLong(3_000_000_000L));
            leases.put(lease.id(), lease);
            edge.stager().stage(lease);
          }
          case 1 -> {
            if (link != null) {
              link.waits("vm" + vm, 1 + random.nextInt(1 << 20), true, now);
            }
          }
          case 2 -> now += random.nextLong(700_000_000L);
          case 3 -> edge.stager().reclaim(random.nextLong(id));
          case 4 -> edge.giveBackExpired(now);
          default -> {
            if (random.nextInt(40) == 0) {
              edge.close(vm);
              bind(edge, vm);
            }
          }
        }
        edge.takeNews(news);
        assertThat(link == null ? -1 : link.promised())
            .as("seed %d, step %d", seed, step)
            .isBetween(0L, CAPACITY);
      }
      for (int vm = 0; vm < VMS; vm++) {
        edge.close(vm);
      }
      edge.takeNews(news);
      assertThat(link == null ? -1 : link.promised()).as("seed %d", seed).isZero();
      leases
          .values()
          .forEach(lease ->
              assertThat(states)
                  .as("seed %d, lease %d", seed, lease.id())
                  .extractingByKey(lease.id())
                  .satisfies(state -> assertThat(state.ended()).isEqualTo(lease.mask())));
    }
  }

  private static void bind(BandwidthEdge edge, int vm) throws Exception {
    Frame.Bind bind =
        new Frame.Bind(
            1, vm, "vm" + vm + "/link", SPACE, ResourceType.IO_BANDWIDTH, "default", "nas");
    assertThat(edge.open(bind).address()).isEqualTo("link:nas");
  }
}
