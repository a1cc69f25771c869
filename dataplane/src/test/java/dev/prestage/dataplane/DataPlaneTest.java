package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Range;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// The data plane as a whole, from both of its ends.
@Timeout(60)
final class DataPlaneTest {
  private static final int EXTENT = 64 * 1024;
  private static final int IMAGE_BYTES = 16 * Site.MIB;
  private static final int SPACE = 5;

  private @TempDir Path directory;
  private Site site;
  private byte[] image;

  @BeforeEach
  void makeImage() throws IOException {
    site = new Site(directory);
    image = site.image("disk.raw", IMAGE_BYTES, 17);
  }

  private byte[] part(int offset, int length) {
    return Arrays.copyOfRange(image, offset, offset + length);
  }

  private static Lease lease(long id, int first, int extents) {
    return new Lease(id, 1, new Range(SPACE, first, extents), 0, 1, 0, 0, Long.MAX_VALUE);
  }

  // ---- starting

  @Test
  void aSecondDataPlaneOnOneDirectoryIsToldWhoIsThere() throws Exception {
    try (DataPlaneProcess first = DataPlaneProcess.start(directory, 0, 0)) {
      assertThatThrownBy(site::start)
          .isInstanceOf(IOException.class)
          .hasMessageContaining("pid " + first.pid())
          .hasMessageContaining(site.state().toString());
    }
    try (DataPlane _ = site.start()) {
      assertThatThrownBy(site::start).hasMessageContaining("pid " + ProcessHandle.current().pid());
    }
  }

  @Test
  void aSocketOfALiveServerIsLeftAloneAndOneOfADeadServerIsReplaced() throws Exception {
    try (var other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      other.bind(UnixDomainSocketAddress.of(site.nbdSocket()));
      assertThatThrownBy(site::start)
          .hasMessage(
              "the socket "
                  + site.nbdSocket()
                  + " is in use by a running server: stop that one or choose another path");
    }
    assertThat(site.nbdSocket()).as("left behind").exists();
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(1, "vm1", SPACE, "disk.raw").error()).isEmpty();
      assertThat(control.attach(1, "vm1", SPACE, "disk.raw").amount()).isEqualTo(IMAGE_BYTES);
    }
    Files.writeString(site.nbdSocket(), "precious");
    assertThatThrownBy(site::start).hasMessageContaining("exists and is not a socket");
    assertThat(site.nbdSocket()).hasContent("precious");
  }

  @Test
  void aSocketPathThatIsTooLongIsOneClearError() throws Exception {
    Path deep = directory.resolve("d".repeat(100));
    Files.createDirectories(deep);
    assertThatThrownBy(() -> new Site(deep).start())
        .isInstanceOf(IOException.class)
        .hasMessageContaining("unix sockets allow 107: choose a shorter one");
  }

  // ---- attaching

  @Test
  void aMissingImageIsAnsweredWithWhereItLookedAndWhatIsThere() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(1, "vm1", SPACE, "disk.rw").error())
          .isEqualTo(
              "image 'disk.rw' is not in origin 'nas' (" + site.origin() + "); it holds disk.raw");
      for (String escape : List.of("../state/data-plane.lock", "/etc/passwd", "", ".", "a/../..")) {
        assertThat(control.attach(1, "vm1", SPACE, escape).error())
            .contains("is not the name of an image in " + site.origin());
      }
      assertThatThrownBy(() -> site.client("vm1")).hasMessageContaining("no disk is attached");
    }
  }

  @Test
  void aVmThatCannotBeRememberedIsRefusedAndNotServedAndMayBeAskedForAgain() throws Exception {
    Path inTheWay = site.state().resolve("attachments.next");
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      Files.createDirectories(inTheWay);
      assertThat(control.attach(1, "vm1", SPACE, "disk.raw").error())
          .contains("VM 'vm1' cannot be remembered")
          .contains(inTheWay.toString());
      assertThatThrownBy(() -> site.client("vm1")).isInstanceOf(IOException.class);
      Files.delete(inTheWay);
      assertThat(control.attach(1, "vm1", SPACE, "disk.raw").error()).isEmpty();
    }
    try (DataPlane _ = site.start();
        NbdClient client = site.client("vm1")) {
      assertThat(client.read(0, EXTENT)).isEqualTo(part(0, EXTENT));
    }
  }

  @Test
  void attachedVmsAreServedAfterARestartBeforeAnyControlPlaneComes() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      control.attach(1, "vm 1/ä", SPACE, "disk.raw");
      control.attach(2, "vm2", SPACE, "disk.raw");
      control.attach(3, "vm3", SPACE, "disk.raw");
      control.detach(2);
    }
    try (DataPlane _ = site.start();
        NbdClient client = site.client("vm 1/ä")) {
      assertThat(client.read(1234, 5678)).isEqualTo(part(1234, 5678));
      assertThatThrownBy(() -> site.client("vm2")).hasMessageContaining("no disk is attached");
    }
  }

  @Test
  void detachingClosesTheVmsConnectionsAndBoundAllDetachesTheRest() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      control.attach(1, "vm1", SPACE, "disk.raw");
      control.attach(2, "vm2", SPACE, "disk.raw");
      try (NbdClient gone = site.client("vm1");
          NbdClient stays = site.client("vm2")) {
        control.detach(1);
        assertThatThrownBy(() -> gone.read(0, 1)).isInstanceOf(IOException.class);
        assertThat(stays.read(0, 1)).isEqualTo(part(0, 1));
        try (ControlPlane next = site.control()) {
          control.awaitEnd();
          next.attach(3, "vm3", SPACE, "disk.raw");
          next.send(new Frame.BoundAll());
          next.attach(4, "vm4", SPACE, "disk.raw");
          assertThatThrownBy(() -> stays.read(0, 1)).isInstanceOf(IOException.class);
          try (NbdClient fresh = site.client("vm3")) {
            assertThat(fresh.read(5, 1)).isEqualTo(part(5, 1));
          }
        }
      }
    }
  }

  // ---- what the control plane hears

  @Test
  void aHitIsReportedOnceAndAMissWhenItComesAndWhenItIsAnswered() throws Exception {
    site.faults = Faults.link(Duration.ofMillis(50), 0);
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      control.attach(7, "vm1", SPACE, "disk.raw");
      try (NbdClient client = site.client("vm1")) {
        client.read(3 * EXTENT + 100, 200);
        client.read(3 * EXTENT + 50, 300);
      }
      control.await(Frame.Accesses.class, a -> a.records().stream().anyMatch(r -> !r.waited()));
      List<Frame.AccessRecord> records =
          control.heard(Frame.Accesses.class).stream().flatMap(a -> a.records().stream()).toList();
      assertThat(records).hasSize(3);
      assertThat(records).allMatch(r -> r.binding() == 7 && r.space() == SPACE);
      assertThat(records)
          .extracting(Frame.AccessRecord::offset)
          .containsExactly(3L * EXTENT + 100, 3L * EXTENT + 100, 3L * EXTENT + 50);
      assertThat(records).extracting(Frame.AccessRecord::waited).containsExactly(true, true, false);
      assertThat(records.get(0).latencyNanos()).isEqualTo(Access.PENDING);
      assertThat(records.get(1).latencyNanos()).isGreaterThanOrEqualTo(50_000_000);
      assertThat(records.get(1).timeNanos()).isEqualTo(records.get(0).timeNanos());
      assertThat(Site.counter(plane, "demand_reads", "vm1")).isEqualTo(2);
      assertThat(Site.counter(plane, "demand_waits", "vm1")).isEqualTo(1);
      assertThat(Site.counter(plane, "demand_bytes", "vm1")).isEqualTo(500);
      assertThat(Site.counter(plane, "fetched_bytes", "nas")).isEqualTo(EXTENT);
      assertThat(Site.counter(plane, "tier_used_bytes", "ssd")).isEqualTo(EXTENT);
      control.await(
          Frame.Status.class,
          s -> s.counters().contains(new Frame.Counter("demand_waits", "vm1", 1)));
    }
  }

  @Test
  void aStagedRangeIsReadWithoutWaitingAndReclaimGivesTheRestBack() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      control.attach(1, "vm1", SPACE, "disk.raw");
      assertThat(control.stage(lease(11, 2, 4)).ready()).isEqualTo(0b1111);
      try (NbdClient client = site.client("vm1")) {
        assertThat(client.read(2 * EXTENT, 2 * EXTENT)).isEqualTo(part(2 * EXTENT, 2 * EXTENT));
      }
      assertThat(Site.counter(plane, "demand_waits", "vm1")).isZero();
      control.awaitLease(11, s -> s.useful() == 0b0011);
      control.send(new Frame.Reclaim(11));
      assertThat(control.awaitLease(11, s -> s.ended() == 0b1111).unused()).isEqualTo(0b1100);
      // In one frame, or in two if the sender came in between.
      for (int extent = 4; extent < 6; extent++) {
        int gone = extent;
        control.await(
            Frame.Evicted.class,
            e -> e.space() == SPACE && e.first() <= gone && gone < e.first() + e.units());
      }
      assertThat(Site.counter(plane, "tier_used_bytes", "ssd")).isEqualTo(2 * EXTENT);
    }
  }

  @Test
  void aNewControlPlaneIsToldOfHeldLeasesAndResidentExtents() throws Exception {
    long instance;
    try (DataPlane _ = site.start()) {
      try (ControlPlane first = site.control()) {
        instance = first.instance();
        first.attach(1, "vm1", SPACE, "disk.raw");
        first.stage(lease(11, 2, 4));
        first.stage(lease(12, 3, 1));
      }
      try (NbdClient client = site.client("vm1")) {
        assertThat(client.read(2 * EXTENT, 1)).isEqualTo(part(2 * EXTENT, 1));
      }
      try (ControlPlane second = site.control()) {
        assertThat(second.instance()).isEqualTo(instance);
        Frame.HeldLease held =
            second.await(Frame.HeldLease.class, h -> h.lease().equals(lease(11, 2, 4)));
        assertThat(held.state().ready()).isEqualTo(0b1111);
        assertThat(held.state().useful()).isEqualTo(0b0001);
        Frame.Resident resident = second.await(Frame.Resident.class, r -> r.space() == SPACE);
        assertThat(resident.units().stream()).containsExactly(2, 3, 4, 5);
        assertThat(second.heard(Frame.HeldLease.class)).hasSize(1);
        // The same registration again keeps connections and numbers the VM anew.
        try (NbdClient client = site.client("vm1")) {
          second.attach(9, "vm1", 6, "disk.raw");
          assertThat(client.read(2 * EXTENT, 1)).isEqualTo(part(2 * EXTENT, 1));
          second.await(
              Frame.Accesses.class,
              a -> a.records().stream().anyMatch(r -> r.binding() == 9 && r.space() == 6));
        }
      }
    }
    try (DataPlane _ = site.start();
        ControlPlane third = site.control()) {
      assertThat(third.instance()).isNotEqualTo(instance);
      Frame.Resident resident = third.await(Frame.Resident.class, r -> r.space() == 6);
      assertThat(resident.units().stream()).containsExactly(2, 3, 4, 5);
    }
  }

  @Test
  void attachIsFollowedByTheExtentsThatAreResident() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      control.attach(1, "vm1", SPACE, "disk.raw");
      control.stage(lease(11, 2, 4));
      control.detach(1);
    }
    // No VM is attached now, so the greeting names no extents.
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      control.await(Frame.Status.class, _ -> true);
      assertThat(control.heard(Frame.Resident.class)).isEmpty();
      control.attach(2, "vm2", SPACE, "disk.raw");
      Frame.Resident resident = control.await(Frame.Resident.class, r -> r.space() == SPACE);
      assertThat(resident.units().stream()).containsExactly(2, 3, 4, 5);
      // The same registration with a new number for the space.
      control.attach(2, "vm2", 6, "disk.raw");
      resident = control.await(Frame.Resident.class, r -> r.space() == 6);
      assertThat(resident.units().stream()).containsExactly(2, 3, 4, 5);
    }
  }

  @Test
  void aControlPlaneThatTakesNothingIsCutOffAndGuestsNeverNotice() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      control.attach(1, "vm1", SPACE, "disk.raw");
      try (var deaf = new DeafControlPlane(site.linkSocket());
          NbdClient client = site.client("vm1")) {
        control.awaitEnd();
        while (plane.isControlled()) {
          assertThat(client.read(100, 100)).isEqualTo(part(100, 100));
          deaf.ask();
        }
        assertThat(client.read(100, 100)).isEqualTo(part(100, 100));
      }
    }
  }

  @Test
  void peersOnTheLinkThatNeverGreetAreClosed() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      byte[] halfAFrame = {0, 0, 0, 100, 1, 2, 3, 4};
      List<SocketChannel> peers = new ArrayList<>();
      for (int bytes : new int[] {0, 2, 8}) {
        SocketChannel peer = SocketChannel.open(UnixDomainSocketAddress.of(site.linkSocket()));
        peer.write(ByteBuffer.wrap(halfAFrame, 0, bytes));
        peers.add(peer);
      }
      for (SocketChannel peer : peers) {
        awaitEnd(peer);
        peer.close();
      }
      assertThat(plane.isControlled()).isTrue();
      control.attach(1, "vm1", SPACE, "disk.raw");
    }
  }

  private static void awaitEnd(SocketChannel channel) {
    ByteBuffer said = ByteBuffer.allocate(1 << 10);
    try {
      while (channel.read(said.clear()) >= 0) {
        // its greeting
      }
    } catch (IOException e) {
      // ended with something unread
    }
  }

  // ---- faults

  @Test
  void bytesThatWereChangedInTheTierAreFetchedAgainAndReported() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      control.attach(1, "vm1", SPACE, "disk.raw");
      control.stage(lease(1, 0, 64));
      try (var file =
          new RandomAccessFile(site.tier().resolve("default/disk.raw.data").toFile(), "rw")) {
        for (int extent = 0; extent < 64; extent += 8) {
          file.seek(extent * (long) EXTENT + 4096);
          int was = file.read();
          file.seek(extent * (long) EXTENT + 4096);
          file.write(was ^ 0x10);
        }
      }
      try (NbdClient client = site.client("vm1")) {
        assertThat(client.read(0, 64 * EXTENT)).isEqualTo(part(0, 64 * EXTENT));
      }
      assertThat(Site.counter(plane, "tier_corrupt_extents", "ssd")).isEqualTo(8);
      control.await(
          Frame.Trouble.class,
          t -> t.kind().equals("tier-corrupt") && t.text().contains("extent 0"));
      assertThat(control.awaitLease(1, s -> s.failed() != 0).failed()).isNotZero();
    }
  }

  @Test
  void aTierOnAFullDiskServesFromTheOrigin() throws Exception {
    Path mount = Files.createDirectory(directory.resolve("small"));
    assumeTrue(
        Tools.run("mount", "-t", "tmpfs", "-o", "size=1m", "prestage-test", mount.toString()).exit()
            == 0,
        "mounting a small tmpfs needs root");
    try {
      site.tierDirectory = mount.resolve("tier");
      try (DataPlane plane = site.start();
          ControlPlane control = site.control()) {
        control.attach(1, "vm1", SPACE, "disk.raw");
        try (NbdClient client = site.client("vm1")) {
          for (int i = 0; i < 4; i++) {
            assertThat(client.read(4L * i * Site.MIB, 4 * Site.MIB))
                .isEqualTo(part(i * 4 * Site.MIB, 4 * Site.MIB));
          }
        }
        assertThat(control.await(Frame.Trouble.class, t -> t.kind().equals("tier-write")).text())
            .contains("No space left on device")
            .contains("reads are served from the origin");
        assertThat(Site.counter(plane, "tier_used_bytes", "ssd")).isLessThanOrEqualTo(Site.MIB);
      }
    } finally {
      Tools.succeed("umount", mount.toString());
    }
  }

  @Test
  void aTierDirectoryThatCannotBeWrittenIsOneClearError() throws Exception {
    Files.writeString(directory.resolve("tier"), "a file");
    assertThatThrownBy(site::start)
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("tier 'ssd' cannot use " + site.tier())
        .hasMessageEndingWith("exists already");
    Files.delete(directory.resolve("tier"));
    try (DataPlane _ = site.start()) {
      assertThat(site.state()).as("the lock was given back").exists();
    }
  }

  @Test
  void aKilledDataPlaneNeverServesAWrongByteAfterwards() throws Exception {
    long seed = System.nanoTime();
    System.out.println("DataPlaneTest seed " + seed);
    var random = new Random(seed);
    for (int life = 0; life < 3; life++) {
      try (DataPlaneProcess process = DataPlaneProcess.start(directory, 1, 100L * Site.MIB);
          ControlPlane control = site.control()) {
        control.attach(1, "vm1", SPACE, "disk.raw");
        for (int i = 0; i < 4; i++) {
          control.send(new Frame.Stage(lease(100L * life + i, 64 * i, 64)));
        }
        try (NbdClient client = site.client("vm1")) {
          var some = new CountDownLatch(20);
          for (int i = 0; i < 60; i++) {
            client.read(
                (long) random.nextInt(IMAGE_BYTES / EXTENT) * EXTENT,
                EXTENT,
                (_, _) -> some.countDown());
          }
          assertThat(some.await(20, TimeUnit.SECONDS)).isTrue();
          process.kill();
        }
      }
      // No control plane here: the VM is remembered, and what survived is verified as it is read.
      try (DataPlaneProcess _ = DataPlaneProcess.start(directory, 1, 0);
          NbdClient client = site.client("vm1")) {
        assertThat(client.read(0, IMAGE_BYTES)).as("seed %d", seed).isEqualTo(image);
      }
    }
  }
}
