package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.engine.fault.Faults;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// What a client may say, must not say, and says anyway.
@Timeout(60)
final class NbdProtocolTest {
  private static final int EXTENT = 64 * 1024;
  private static final int IMAGE_BYTES = 8 * Site.MIB + 1000;
  private static final int UNSUPPORTED = 0x80000001;
  private static final int INVALID = 0x80000003;
  private static final int UNKNOWN = 0x80000006;
  private static final int TOO_BIG = 0x80000009;

  private @TempDir Path directory;
  private Site site;
  private DataPlane plane;
  private ControlPlane control;
  private byte[] image;

  @BeforeEach
  void attach() throws Exception {
    site = new Site(directory);
    image = site.image("disk.raw", IMAGE_BYTES, 3);
    open();
  }

  private void open() throws Exception {
    plane = site.start();
    control = site.control();
    assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).isEmpty();
  }

  private void reopen() throws Exception {
    close();
    open();
  }

  @AfterEach
  void close() throws Exception {
    control.close();
    plane.close();
  }

  private void assertStillServing() throws IOException {
    try (NbdClient client = site.client("vm1")) {
      assertThat(client.read(70_000, 5000)).isEqualTo(Arrays.copyOfRange(image, 70_000, 75_000));
    }
  }

  private static byte[] go(String name) {
    byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(6 + utf8.length).putInt(utf8.length).put(utf8).array();
  }

  @Test
  void malformedOptionsGetTheProtocolsErrorAndTheNextOneWorks() throws Exception {
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(99, new byte[3]);
      assertThat(client.reply().kind()).isEqualTo(UNSUPPORTED);
      client.option(5, new byte[0]);
      assertThat(client.reply().kind()).as("STARTTLS").isEqualTo(UNSUPPORTED);
      client.option(3, new byte[1]);
      assertThat(client.reply().kind()).as("LIST with data").isEqualTo(INVALID);
      client.option(8, new byte[1]);
      assertThat(client.reply().kind()).as("STRUCTURED_REPLY with data").isEqualTo(INVALID);
      client.option(7, new byte[5]);
      assertThat(client.reply().kind()).as("GO cut short").isEqualTo(INVALID);
      client.option(7, ByteBuffer.allocate(6).putInt(100).array());
      assertThat(client.reply().kind()).as("GO with a name too long").isEqualTo(INVALID);
      client.option(7, ByteBuffer.allocate(6).putInt(-1).array());
      assertThat(client.reply().kind()).as("GO with a negative name").isEqualTo(INVALID);
      byte[] oneRequestTooFew = go("vm1");
      oneRequestTooFew[oneRequestTooFew.length - 1] = 1;
      client.option(6, oneRequestTooFew);
      assertThat(client.reply().kind()).as("INFO without its requests").isEqualTo(INVALID);
      client.option(7, go("nobody"));
      RawClient.Reply unknown = client.reply();
      assertThat(unknown.kind()).isEqualTo(UNKNOWN);
      assertThat(unknown.text()).isEqualTo("no disk is attached under the name 'nobody'");
      client.option(6, new byte[200_000]);
      assertThat(client.reply().kind()).isEqualTo(TOO_BIG);
      client.option(7, go("vm1"));
      assertThat(client.reply().kind()).as("INFO_EXPORT").isEqualTo(3);
      assertThat(client.reply().kind()).as("ACK").isEqualTo(1);
      client.request(0, 0, 42, 0, 1);
      ByteBuffer reply = client.receive(17);
      assertThat(reply.getInt()).isEqualTo(0x67446698);
      assertThat(reply.getInt()).isZero();
      assertThat(reply.getLong()).isEqualTo(42);
      assertThat(reply.get()).isEqualTo(image[0]);
    }
  }

  @Test
  void whatCannotBeAnsweredEndsThatConnectionOnly() throws Exception {
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(6, Integer.MAX_VALUE, new byte[0]);
      assertThat(client.isHungUp()).as("an option of 2 GiB").isTrue();
    }
    try (var client = new RawClient(site.nbdSocket()).flags(-1)) {
      assertThat(client.isHungUp()).as("unknown handshake flags").isTrue();
    }
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.send(ByteBuffer.allocate(16).putLong(0).putInt(1).putInt(0));
      assertThat(client.isHungUp()).as("an option without magic").isTrue();
    }
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(1, "nobody".getBytes(StandardCharsets.UTF_8));
      assertThat(client.isHungUp()).as("EXPORT_NAME of nobody").isTrue();
    }
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
      client.receive(10);
      client.send(ByteBuffer.allocate(28).putInt(1).position(28));
      assertThat(client.isHungUp()).as("a request without magic").isTrue();
    }
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
      client.receive(10);
      client.request(0, 1, 1, 0, -1);
      assertThat(client.isHungUp()).as("a write of 4 GiB").isTrue();
    }
    assertStillServing();
  }

  @Test
  void theOldWayToChooseAnExportWorksWithAndWithoutZeroes() throws Exception {
    for (int flags : new int[] {0, 1, 3}) {
      try (var client = new RawClient(site.nbdSocket()).flags(flags)) {
        client.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
        ByteBuffer reply = client.receive((flags & 2) == 0 ? 134 : 10);
        assertThat(reply.getLong()).isEqualTo(IMAGE_BYTES);
        assertThat(reply.getShort()).as("read-only, multi-conn").isEqualTo((short) 0x103);
        client.request(0, 0, 7, IMAGE_BYTES - 1, 1);
        assertThat(client.receive(17).get(16)).isEqualTo(image[IMAGE_BYTES - 1]);
      }
    }
  }

  @Test
  void malformedRequestsOfLibnbdGetErrnosAndTheConnectionLives() throws Exception {
    String python = Tools.needPythonNbd();
    String script =
        """
        import nbd, errno, sys
        h = nbd.NBD()
        h.set_strict_mode(0)
        h.connect_uri(sys.argv[1])
        size = h.get_size()
        def fails(code, call):
            try:
                call()
            except nbd.Error as e:
                assert e.errnum == code, (e.errno, e.errnum, code)
            else:
                raise AssertionError("no error, expected %d" % code)
        fails(errno.EPERM, lambda: h.pwrite(b"x" * 4096, 0))
        fails(errno.EPERM, lambda: h.trim(4096, 0))
        fails(errno.EPERM, lambda: h.zero(4096, 0))
        fails(errno.EINVAL, lambda: h.pread(1, size))
        fails(errno.EINVAL, lambda: h.pread(4096, size - 4095))
        fails(errno.EINVAL, lambda: h.pread(33 << 20, 0))
        fails(errno.EINVAL, lambda: h.pread(0, 0))
        fails(errno.EINVAL, lambda: h.cache(4096, 0))
        fails(errno.EINVAL, lambda: h.flush())
        assert len(h.pread(4096, size - 4096, nbd.CMD_FLAG_DF)) == 4096
        assert h.get_structured_replies_negotiated() == (sys.argv[2] == "1")
        h.shutdown()
        """;
    Tools.succeed(python, "-c", script, site.uri("vm1"), "1");
    Tools.succeed(
        python,
        "-c",
        script
            .replace("h.connect_uri", "h.set_request_structured_replies(False)\nh.connect_uri")
            .replace("nbd.CMD_FLAG_DF", "0"),
        site.uri("vm1"),
        "0");
  }

  @Test
  void anEmptyNameMeansTheOnlyDisk() throws Exception {
    try (NbdClient client = site.client("")) {
      assertThat(client.sizeBytes()).isEqualTo(IMAGE_BYTES);
    }
    assertThat(control.attach(2, "vm2", 5, "disk.raw").error()).isEmpty();
    assertThatThrownBy(() -> site.client(""))
        .hasMessageContaining("exactly one disk must be attached to leave it out, and there are 2");
  }

  @Test
  void readsOfEveryAlignmentAndSizeGetTheImagesBytes() throws Exception {
    var random = new java.util.Random(5);
    try (NbdClient unix = site.client("vm1");
        NbdClient tcp = NbdClient.connect(requireAddress(), "vm1")) {
      for (int i = 0; i < 300; i++) {
        int offset = random.nextInt(IMAGE_BYTES);
        int length = 1 + random.nextInt(Math.min(IMAGE_BYTES - offset, 200_000));
        assertThat((i % 2 == 0 ? unix : tcp).read(offset, length))
            .as("%d bytes at %d", length, offset)
            .isEqualTo(Arrays.copyOfRange(image, offset, offset + length));
      }
      assertThat(unix.read(0, IMAGE_BYTES)).as("larger than a reply buffer").isEqualTo(image);
    }
  }

  private InetSocketAddress requireAddress() {
    return Objects.requireNonNull(plane.nbdAddress());
  }

  @Test
  void aHitOvertakesAMissOnTheSameConnection() throws Exception {
    site.faults = new Faults(Duration.ofMillis(300), 0, 0, 0, 0, 1);
    reopen();
    try (NbdClient client = site.client("vm1")) {
      client.read(0, 4096);
      var order = new LinkedBlockingQueue<String>();
      client.read(4 * EXTENT, 4096, (_, _) -> order.add("miss"));
      client.read(0, 4096, (_, _) -> order.add("hit"));
      assertThat(order.take()).isEqualTo("hit");
      assertThat(order.take()).isEqualTo("miss");
    }
  }

  @Test
  void aFailedReadIsEioAndTheConnectionLives() throws Exception {
    site.faults = new Faults(Duration.ZERO, 0, 0, 1, 0, 1);
    site.block = new BlockOptions(4, 4, Duration.ofMillis(200), Duration.ofMillis(100));
    reopen();
    try (NbdClient client = site.client("vm1")) {
      for (int i = 0; i < 3; i++) {
        var errors = new LinkedBlockingQueue<Integer>();
        client.read((long) i * EXTENT, 100, (error, _) -> errors.add(error));
        assertThat(errors.take()).as("EIO").isEqualTo(5);
      }
    }
  }

  @Test
  void aClientThatGoesAwayMidRequestLeavesNothingBehind() throws Exception {
    site.faults = new Faults(Duration.ofMillis(100), 0, 0, 0, 0, 1);
    reopen();
    for (int i = 0; i < 10; i++) {
      NbdClient client = site.client("vm1");
      var lost = new CountDownLatch(8);
      for (int j = 0; j < 8; j++) {
        client.read((i * 8L + j) * EXTENT, 4096, (_, _) -> lost.countDown());
      }
      client.close();
      assertThat(lost.await(20, TimeUnit.SECONDS)).isTrue();
    }
    try (var half = new RawClient(site.nbdSocket()).flags(3)) {
      half.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
      half.receive(10);
      half.send(
          ByteBuffer.allocate(10).putInt(RawClient.REQUEST_MAGIC).putInt(0).putShort((short) 0));
    }
    Site.await(() -> Site.counter(plane, "connections", "") == 0, "all connections end");
    assertStillServing();
    Site.await(
        () ->
            Thread.getAllStackTraces().keySet().stream()
                .noneMatch(t -> t.getName().equals("nbd-late-vm1")),
        "no thread is left");
  }

  @Test
  void aClientThatDoesNotReadItsRepliesStallsOnlyItself() throws Exception {
    try (var lazy = new RawClient(site.nbdSocket()).flags(3)) {
      lazy.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
      lazy.receive(10);
      for (int i = 0; i < 64; i++) {
        lazy.request(0, 0, i, 0, Site.MIB);
      }
      assertStillServing();
      assertStillServing();
    }
    Site.await(() -> Site.counter(plane, "connections", "") == 0, "its threads end");
  }

  @Test
  void oneConnectionCannotHaveMoreThanItsShareInFlight() throws Exception {
    site.faults = new Faults(Duration.ZERO, 0, 0, 1, 0, 1);
    site.limits = Site.limits(16, 3, 96L << 20, Duration.ofSeconds(10));
    site.block = new BlockOptions(32, 32, Duration.ofSeconds(30), Duration.ofSeconds(10));
    reopen();
    try (NbdClient client = site.client("vm1")) {
      for (int i = 0; i < 10; i++) {
        client.read((long) i * EXTENT, 4096, (_, _) -> {});
      }
      Site.await(() -> Site.counter(plane, "demand_waits", "vm1") == 3, "three are in flight");
      try (NbdClient other = site.client("vm1")) {
        other.read(100L * EXTENT, 4096, (_, _) -> {});
        Site.await(
            () -> Site.counter(plane, "demand_waits", "vm1") == 4, "another has its own share");
      }
      assertThat(Site.counter(plane, "demand_reads", "vm1")).isEqualTo(4);
    }
  }

  @Test
  void whoComesAfterTheLastFreeConnectionIsTurnedAway() throws Exception {
    site.limits = Site.limits(2, 8, 96L << 20, Duration.ofSeconds(10));
    reopen();
    List<NbdClient> clients = new ArrayList<>();
    clients.add(site.client("vm1"));
    clients.add(site.client("vm1"));
    assertThatThrownBy(() -> site.client("vm1")).isInstanceOf(IOException.class);
    clients.removeLast().close();
    Site.await(() -> Site.counter(plane, "connections", "") == 1, "one is free");
    assertStillServing();
    clients.removeLast().close();
  }

  @Test
  void clientsThatReadNothingAreTurnedOutWhenOthersNeedTheirMemory() throws Exception {
    // Nothing stays in the tier, so each read is one that waits.
    site.capacityBytes = EXTENT;
    site.limits = Site.limits(64, 16, 4L << 20, Duration.ofMillis(300));
    reopen();
    List<RawClient> lazy = new ArrayList<>();
    try {
      for (int i = 0; i < 8; i++) {
        var client = new RawClient(site.nbdSocket()).flags(3);
        lazy.add(client);
        client.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
        client.receive(10);
        for (int j = 0; j < 8; j++) {
          client.request(0, 0, j, 0, 2 * Site.MIB);
        }
      }
      try (NbdClient client = site.client("vm1")) {
        for (int i = 0; i < 4; i++) {
          int from = i * Site.MIB;
          assertThat(client.read(from, 2 * Site.MIB))
              .isEqualTo(Arrays.copyOfRange(image, from, from + 2 * Site.MIB));
        }
      }
    } finally {
      for (RawClient client : lazy) {
        client.close();
      }
    }
    Site.await(() -> Site.counter(plane, "connections", "") == 0, "their threads end");
    assertStillServing();
  }
}
