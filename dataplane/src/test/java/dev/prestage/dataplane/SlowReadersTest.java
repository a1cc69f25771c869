package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.dataplane.nbd.NbdLimits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Clients that take their replies slowly, or not at all, while other VMs need memory for theirs.
@Timeout(60)
final class SlowReadersTest {
  private static final int EXTENT = 64 * 1024;
  private static final int IMAGE_BYTES = 8 * Site.MIB;
  private static final Duration LONG = Duration.ofHours(1);

  private @TempDir Path directory;
  private final List<RawClient> slow = new ArrayList<>();
  private Site site;
  private DataPlane plane;
  private ControlPlane control;
  private byte[] image;

  @BeforeEach
  void image() throws Exception {
    site = new Site(directory);
    image = site.image("disk.raw", IMAGE_BYTES, 3);
    // Nothing stays in the tier, so each read is one that waits.
    site.capacityBytes = EXTENT;
  }

  /// 8 MiB for all replies, 4 MiB for one VM; 2 MiB are kept for VMs that hold next to nothing.
  private void start(long leastBytesPerSecond, Duration patience, Duration deadline)
      throws Exception {
    site.limits =
        new NbdLimits(
            64, 16, 64L << 20, 4L << 20, 8L << 20, leastBytesPerSecond, patience, deadline);
    plane = site.start();
    control = site.control();
    for (int vm = 1; vm <= 3; vm++) {
      assertThat(control.attach(vm, "vm" + vm, 5, "disk.raw").error()).isEmpty();
    }
  }

  @AfterEach
  void stop() throws Exception {
    for (RawClient client : slow) {
      client.close();
    }
    control.close();
    plane.close();
  }

  /// A client that asks for the first 2 MiB so many times and takes nothing.
  private RawClient askAndTakeNothing(String vm, int times) throws IOException {
    var client = new RawClient(site.nbdSocket()).flags(3);
    slow.add(client);
    client.option(1, vm.getBytes(StandardCharsets.UTF_8));
    client.receive(10);
    for (int i = 0; i < times; i++) {
      client.request(0, 0, i, 0, 2 * Site.MIB);
    }
    return client;
  }

  private void assertReads(String vm, int offset, int length) throws IOException {
    try (NbdClient client = site.client(vm)) {
      assertThat(client.read(offset, length))
          .isEqualTo(Arrays.copyOfRange(image, offset, offset + length));
    }
  }

  @Test
  void aVmWhoseClientsTakeNothingLeavesTheOthersTheirMemory() throws Exception {
    start(1, LONG, LONG);
    for (int i = 0; i < 4; i++) {
      askAndTakeNothing("vm1", 4);
    }
    Site.await(() -> Site.counter(plane, "demand_reads", "vm1") == 2, "vm1 has its share");
    for (int i = 0; i < 20; i++) {
      assertReads("vm2", i * EXTENT, 2 * Site.MIB);
    }
    assertThat(Site.counter(plane, "demand_reads", "vm1")).isEqualTo(2);
  }

  @Test
  void smallReadsAreServedThoughOtherVmsHoldAllThatTheyMay() throws Exception {
    start(1, LONG, LONG);
    askAndTakeNothing("vm1", 4);
    askAndTakeNothing("vm2", 4);
    Site.await(
        () ->
            Site.counter(plane, "demand_reads", "vm1") + Site.counter(plane, "demand_reads", "vm2")
                == 3,
        "6 of 8 MiB are held");
    for (int i = 0; i < 20; i++) {
      assertReads("vm3", i * EXTENT, EXTENT);
    }
  }

  @Test
  void aReadThatFindsNoMemoryFailsByItsDeadlineAndTheConnectionLives() throws Exception {
    start(1, LONG, Duration.ofMillis(300));
    askAndTakeNothing("vm1", 2);
    askAndTakeNothing("vm2", 1);
    Site.await(
        () ->
            Site.counter(plane, "demand_reads", "vm1") + Site.counter(plane, "demand_reads", "vm2")
                == 3,
        "6 of 8 MiB are held");
    try (NbdClient client = site.client("vm3")) {
      var errors = new LinkedBlockingQueue<Integer>();
      client.read(0, 2 * Site.MIB, (error, _) -> errors.add(error));
      assertThat(errors.take()).as("EIO").isEqualTo(5);
      assertThat(client.read(7, EXTENT)).isEqualTo(Arrays.copyOfRange(image, 7, 7 + EXTENT));
    }
  }

  @Test
  void clientsThatTakeAByteNowAndThenAreTurnedOutWhenOthersNeedTheirMemory() throws Exception {
    // Nobody is that fast, so the test does not depend on how fast this machine is.
    start(1L << 50, Duration.ofMillis(200), LONG);
    List<CompletableFuture<Void>> dribbling = new ArrayList<>();
    for (String vm : new String[] {"vm1", "vm1", "vm2"}) {
      RawClient client = askAndTakeNothing(vm, 1);
      dribbling.add(CompletableFuture.runAsync(() -> dribble(client)));
    }
    Site.await(
        () ->
            Site.counter(plane, "demand_reads", "vm1") + Site.counter(plane, "demand_reads", "vm2")
                == 3,
        "6 of 8 MiB are held");
    assertReads("vm3", 0, 2 * Site.MIB);
    for (RawClient client : slow) {
      client.close();
    }
    for (CompletableFuture<Void> client : dribbling) {
      client.get(20, TimeUnit.SECONDS);
    }
  }

  private static void dribble(RawClient client) {
    try {
      while (true) {
        client.receive(1);
      }
    } catch (IOException _) {
      // Turned out, or the test is over.
    }
  }
}
