package dev.prestage.dataplane.bandwidth;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A VM that asks for a lot in each tenth second, without ever starting a program.
class BurstsTest {
  private static final long CAPACITY = 64_000_000;
  private static final int SPACE = 3;
  private static final int PERIOD = 20;
  private static final int BURST = 4;

  private long now = 1_000_000_000_000L;
  private final Links links = new Links(Map.of("nas", CAPACITY), Promises.BURSTS);
  private final Link link = requireNonNull(links.of("nas"));
  private final Doorbell doorbell = new Doorbell();
  private final BandwidthEdge edge =
      new BandwidthEdge(
          links,
          new Host(new AccessRing(1 << 16, doorbell), doorbell, (_, _) -> {}, () -> now, _ -> {}));

  @BeforeEach
  void bind() throws Exception {
    bind(1);
    bind(2);
  }

  private void bind(int vm) throws Exception {
    assertThat(
            edge.open(
                    new Frame.Bind(
                        1,
                        vm,
                        "vm" + vm + "/link",
                        SPACE,
                        ResourceType.IO_BANDWIDTH,
                        "default",
                        "nas"))
                .address())
        .isEqualTo("link:nas");
  }

  @AfterEach
  void close() {
    edge.close();
  }

  /// Lives some windows; tells what was promised in each before anything was asked for.
  private List<Long> live(int from, int windows) {
    List<Long> promised = new ArrayList<>();
    for (int window = from; window < from + windows; window++) {
      int bytes = window % PERIOD < BURST ? 10_000_000 : 100;
      link.waits("vm1", bytes, true, now);
      promised.add(link.promisedTo("vm1"));
      now += Meter.WINDOW_NANOS;
    }
    return promised;
  }

  @Test
  void whatABurstWillNeedIsPromisedBeforeItBegins() {
    List<Long> _ = live(0, 15 * PERIOD);
    List<Long> promised = live(15 * PERIOD, PERIOD);
    for (int window = 1; window < BURST; window++) {
      assertThat(promised.get(window)).as("in the burst").isGreaterThanOrEqualTo(19_000_000);
    }
    assertThat(promised.getFirst()).as("before it begins").isGreaterThanOrEqualTo(19_000_000);
    assertThat(promised.get(PERIOD / 2)).as("between bursts").isLessThan(3_000_000);
  }

  @Test
  void aForecastOfARunGoesBeforeIt() {
    List<Long> _ = live(0, 15 * PERIOD);
    // The next window is foretold to be one of the burst; nothing of it was asked for yet.
    link.waits("vm1", 100, true, now);
    assertThat(link.promisedTo("vm1")).isPositive();
    edge.stager().stage(new Lease(1, 2, new Range(SPACE, 0, 60), 0, 1, 0, now, Long.MAX_VALUE));
    assertThat(link.promisedTo("vm2")).isEqualTo(60_000_000);
    assertThat(link.promised()).isLessThanOrEqualTo(CAPACITY);
  }
}
