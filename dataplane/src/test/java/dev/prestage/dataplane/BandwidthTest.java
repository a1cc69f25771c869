package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.Frame;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Shares of the link to an origin, through a data plane and the frames of its control plane.
class BandwidthTest {
  private static final int DISK = 1;
  private static final int LINK = 2;
  private static final int OTHER_LINK = 3;
  private static final int SPACE = 7;
  private static final int LEVELS = 64;
  private static final long RATE = 64L << 20;

  private @TempDir Path directory;
  private Site site;
  private byte[] image;
  private long requests;

  @BeforeEach
  void makeSite() throws Exception {
    site = new Site(directory);
    site.bandwidth = RATE;
    image = site.image("disk.raw", 8 * Site.MIB, 17);
  }

  private Frame.Answer bind(ControlPlane control, int binding, String name, String origin)
      throws Exception {
    long id = 900 + requests++;
    control.send(
        new Frame.Bind(id, binding, name, SPACE, ResourceType.IO_BANDWIDTH, "default", origin));
    return control.await(Frame.Answer.class, answer -> answer.requestId() == id);
  }

  private static Lease lease(long id, int binding, int first, int units) {
    return new Lease(id, binding, new Range(SPACE, first, units), 0, 1, 0, 0, Long.MAX_VALUE);
  }

  private void read(int extent, int extents) throws Exception {
    int from = extent * Shape.BLOCK_BYTES;
    int length = extents * Shape.BLOCK_BYTES;
    try (NbdClient client = site.client("vm1")) {
      assertThat(client.read(from, length))
          .isEqualTo(Arrays.copyOfRange(image, from, from + length));
    }
  }

  @Test
  void demandOnTheLinkIsLevelsThatAreTouchedAndReleased() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(DISK, "vm1", 1, "disk.raw").error()).isEmpty();
      Frame.Answer bound = bind(control, LINK, "vm1/link", "nas");
      assertThat(bound.shape())
          .isEqualTo(new Shape(RATE, RATE / LEVELS, Measure.BYTES_PER_SECOND, LEVELS));
      LeaseState promised = control.stage(lease(5, LINK, 0, 2));
      assertThat(promised.ready()).isEqualTo(0b11);
      assertThat(Site.counter(plane, "link_promised_bytes", "nas")).isEqualTo(RATE / LEVELS * 2);
      // A window of half a second has half of a level's rate: 2 MiB are four levels.
      read(0, 32);
      assertThat(control.awaitLease(5, s -> s.useful() == 0b11).unused()).isZero();
      control.await(
          Frame.Accesses.class,
          a ->
              a.records().stream()
                  .anyMatch(r ->
                      r.binding() == LINK
                          && r.type() == AccessType.READ
                          && r.offset() == 3 * RATE / LEVELS
                          && r.waited()));
      control.await(
          Frame.Accesses.class,
          a ->
              a.records().stream()
                  .anyMatch(r ->
                      r.binding() == LINK && r.type() == AccessType.RELEASE && r.offset() == 0));
      assertThat(Site.counter(plane, "link_promised_bytes", "nas")).isZero();
      assertThat(Site.counter(plane, "bandwidth_demand_bytes", "vm1/link"))
          .isEqualTo(2L * Site.MIB);
    }
  }

  @Test
  void noMoreIsPromisedThanTheLinkHas() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      assertThat(bind(control, LINK, "vm1/link", "nas").error()).isEmpty();
      assertThat(bind(control, OTHER_LINK, "vm2/link", "nas").error()).isEmpty();
      assertThat(control.stage(lease(1, LINK, 0, 40)).failed()).isZero();
      LeaseState second = control.stage(lease(2, OTHER_LINK, 0, 40));
      assertThat(Long.bitCount(second.ready())).isEqualTo(20);
      assertThat(Long.bitCount(second.failed())).isEqualTo(20);
      control.send(new Frame.Reclaim(1));
      assertThat(control.awaitLease(1, s -> s.ended() == (1L << 40) - 1).unused())
          .isEqualTo((1L << 40) - 1);
      assertThat(control.stage(lease(3, OTHER_LINK, 20, 20)).failed()).isZero();
      assertThat(control.stage(lease(4, OTHER_LINK, 10, 1)).redundant()).isEqualTo(1);
      control.send(new Frame.Unbind(800, OTHER_LINK));
      control.awaitLease(3, s -> s.ended() == (1L << 20) - 1);
      assertThat(Site.counter(plane, "link_promised_bytes", "nas")).isZero();
    }
  }

  @Test
  void anUnknownOriginHasNoLink() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(bind(control, LINK, "vm1/link", "san").error())
          .isEqualTo("'san' is no origin of this host, whose links are to nas");
      assertThat(bind(control, LINK, "vm1/link", "nas").error()).isEmpty();
      assertThat(bind(control, OTHER_LINK, "vm1/again", "nas").error())
          .isEqualTo("the VM has the link to 'nas' as 'vm1/link' already");
    }
  }

  /// At the configured rate the read would take two minutes, and fail after half of one.
  @Test
  void aLinkThatNobodyIsBoundToIsNotPaced() throws Exception {
    site.bandwidth = 1 << 16;
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(DISK, "vm1", 1, "disk.raw").error()).isEmpty();
      read(0, 128);
    }
  }

  @Test
  void promisesOfALinkWithoutCapacityAreHeldAgainstItsMeasuredRate() throws Exception {
    site.bandwidth = 0;
    site.faults = Faults.link(Duration.ZERO, 16 << 20);
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(DISK, "vm1", 1, "disk.raw").error()).isEmpty();
      assertThat(bind(control, LINK, "vm1/link", "nas").error()).isEmpty();
      assertThat(control.stage(lease(1, LINK, 10, 1)).failed()).as("nothing is known").isEqualTo(1);
      read(0, 128);
      long measured = Site.counter(plane, "link_rate_bytes", "nas");
      assertThat(measured).isBetween(1L << 20, 20L << 20);
      LeaseState state = control.stage(lease(2, LINK, 20, 12));
      assertThat(Long.bitCount(state.ready()) * 4_000_000L).isLessThanOrEqualTo(measured);
      assertThat(state.failed()).isNotZero();
    }
  }
}
