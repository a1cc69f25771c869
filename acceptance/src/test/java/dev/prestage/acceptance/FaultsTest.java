package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.ApiException;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What a host does when its parts are taken away, stand still, or lie.
class FaultsTest {
  private static final String SMALL =
      "tier: {capacity: 16MiB}\nstage: {capacity: 8MiB, reclaimAfter: 2s}\n";

  private Path folder = Path.of("");

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("psfault");
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static void readAll(RunningHost host, String vm) throws IOException {
    try (NbdClient disk = host.disk(vm)) {
      for (int extent = 0; extent < RunningHost.EXTENTS; extent++) {
        host.readExtent(disk, extent);
      }
    }
  }

  private static void assertAccountAddsUp(RunningHost host) throws IOException {
    JsonNode account = host.get("/v1/leases?limit=1").path("account");
    long ended = 0;
    for (JsonNode outcome : account.path("outcomes")) {
      ended += outcome.asLong();
    }
    assertThat(ended + account.path("live").asLong()).isEqualTo(account.path("granted").asLong());
  }

  /// Reads at random and compares until told to stop; a connection that ends is opened again.
  private static void readOn(RunningHost host, long seed, AtomicBoolean stop, AtomicInteger reads) {
    Random random = new Random(seed);
    while (!stop.get()) {
      try (NbdClient disk = host.disk("vm-1")) {
        while (!stop.get()) {
          host.readExtent(disk, random.nextInt(RunningHost.EXTENTS));
          reads.incrementAndGet();
        }
      } catch (IOException e) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    }
  }

  @Test
  void killsAtRandomMomentsLeaveRightBytesAndAnAccountThatAddsUp() throws IOException {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    try (RunningHost host = RunningHost.start(folder, SMALL).awaitOk()) {
      host.register("vm-1", "shop");
      AtomicBoolean stop = new AtomicBoolean();
      AtomicInteger reads = new AtomicInteger();
      CompletableFuture<Void> guest =
          CompletableFuture.runAsync(() -> readOn(host, seed, stop, reads));
      try {
        for (int kill = 0; kill < 4; kill++) {
          host.awaitOk();
          host.post("/v1/vms/vm-1/start", "{}");
          int enough = reads.get() + random.nextInt(300);
          host.await("the guest reads on", () -> reads.get() > enough || guest.isDone());
          host.post("/v1/vms/vm-1/stop", "{}");
          String name = random.nextBoolean() ? "data-plane" : "control-plane";
          ProcessHandle plane = host.plane(name);
          plane.destroyForcibly();
          plane.onExit().join();
          host.awaitSuccessor(plane, name);
        }
        host.awaitOk();
      } finally {
        stop.set(true);
      }
      guest.join();
      readAll(host, "vm-1");
      assertAccountAddsUp(host);
    }
  }

  @Test
  void aHostWhoseSupervisorWasKilledIsStartedAgainAtOnceAndNothingIsLeftOfTheOld()
      throws IOException {
    RunningHost killed = RunningHost.start(folder, "").awaitOk();
    killed.register("vm-1", "shop");
    ProcessHandle data = killed.plane("data-plane");
    ProcessHandle control = killed.plane("control-plane");
    killed.kill();
    try (RunningHost host = RunningHost.restart(folder, killed.image).awaitOk()) {
      // A plane gives its folder free a moment before its process is gone.
      host.await("the old planes are gone", () -> !data.isAlive() && !control.isAlive());
      readAll(host, "vm-1");
    }
  }

  @Test
  void damagedRegistrationsAndAttachmentsArePutAsideAndCostNoVmItsDisk() throws IOException {
    try (RunningHost host = RunningHost.start(folder, "").awaitOk()) {
      host.register("vm-1", "shop");
      Path state = folder.resolve("state");
      for (String plane : new String[] {"control-plane", "data-plane"}) {
        Path file =
            state.resolve(plane.equals("control-plane") ? "registrations.json" : "attachments");
        Files.write(file, new byte[] {(byte) 0xc3, 0x28});
        ProcessHandle running = host.plane(plane);
        running.destroyForcibly();
        running.onExit().join();
        host.awaitSuccessor(running, plane);
        host.await("the planes meet again", () -> part(host, "data-plane").equals("ok"));
        host.await("the disk is there", () -> isRead(host));
        String aside = file.getFileName() + ".damaged-1";
        assertThat(part(host, aside)).contains("was damaged and is put aside");
        Files.delete(state.resolve(aside));
        assertThat(host.get("/v1/vms").path("vms")).hasSize(1);
      }
    }
  }

  private static boolean isRead(RunningHost host) {
    try {
      readAll(host, "vm-1");
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void aDataPlaneThatStandsStillIsSaidAndServesOnWhenItGoesOn() throws IOException {
    try (RunningHost host = RunningHost.start(folder, "").awaitOk()) {
      host.register("vm-1", "shop");
      ProcessHandle data = host.plane("data-plane");
      RunningHost.signal(data, "STOP");
      try {
        host.await("its silence is noticed", () -> host.state().equals("degraded"));
        assertThat(host.get("/health").path("parts").path("data-plane").asText())
            .contains("pid " + data.pid())
            .contains("has said nothing");
        assertThatThrownBy(() -> host.register("vm-2", "shop"))
            .isInstanceOf(ApiException.class)
            .hasMessageContaining("has said nothing");
      } finally {
        RunningHost.signal(data, "CONT");
      }
      host.awaitOk();
      host.register("vm-2", "shop");
      readAll(host, "vm-1");
      readAll(host, "vm-2");
      assertThat(host.plane("data-plane")).isEqualTo(data);
    }
  }

  @Test
  void aControlPlaneThatStandsStillKeepsNobodyFromReading() throws IOException {
    try (RunningHost host = RunningHost.start(folder, SMALL).awaitOk()) {
      host.register("vm-1", "shop");
      ProcessHandle control = host.plane("control-plane");
      RunningHost.signal(control, "STOP");
      try {
        // More accesses than the link's buffers and the ring between hold.
        host.await(
            "reads go on until the link is given up",
            () -> {
              try {
                readAll(host, "vm-1");
                return host.log().contains("takes nothing any more");
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            });
        readAll(host, "vm-1");
      } finally {
        RunningHost.signal(control, "CONT");
      }
      host.awaitOk();
      readAll(host, "vm-1");
      assertAccountAddsUp(host);
    }
  }

  @Test
  void bytesThatAreDamagedInTheTierReachNoGuestWhetherItRunsOrNot() throws IOException {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    byte[] image;
    try (RunningHost host = RunningHost.start(folder, "").awaitOk()) {
      image = host.image;
      host.register("vm-1", "shop");
      readAll(host, "vm-1");
      damage(seed);
      readAll(host, "vm-1");
      assertThat(host.get("/health").path("parts").path("tier-corrupt").asText())
          .contains("does not match its checksums");
    }
    damage(seed + 1);
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      readAll(host, "vm-1");
    }
  }

  private Path data() {
    return folder.resolve("state/tier/default/" + RunningHost.IMAGE + ".data");
  }

  private void damage(long seed) throws IOException {
    Random random = new Random(seed);
    byte[] wrong = new byte[16];
    try (FileChannel channel = FileChannel.open(data(), StandardOpenOption.WRITE)) {
      for (int extent = 0; extent < RunningHost.EXTENTS; extent += 1 + random.nextInt(4)) {
        random.nextBytes(wrong);
        long at = (long) extent * RunningHost.EXTENT + random.nextInt(RunningHost.EXTENT - 16);
        channel.write(ByteBuffer.wrap(wrong), at);
      }
    }
  }

  @Test
  void anOriginThatFailsAndHangsCostsTimeAndNoByte() throws IOException {
    try (RunningHost host =
        RunningHost.start(
                folder, "latency: 2ms, errors: 0.2, hangs: 0.01, seed: 9", "fetch: {deadline: 6s}")
            .awaitOk()) {
      host.register("vm-1", "shop");
      readAll(host, "vm-1");
      assertThat(host.get("/health").path("parts").path("origin-error").asText())
          .contains("origin 'nas' fails to read image 'disk.raw'");
    }
  }

  @Test
  void aFullDiskRefusesNewVmsClearlyAndServesTheOthers() throws Exception {
    Path state = Files.createDirectories(folder.resolve("state"));
    Process mount =
        new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=96m", "none", state.toString())
            .redirectErrorStream(true)
            .start();
    assumeThat(mount.waitFor()).as("mounting a small tmpfs needs root").isZero();
    // A tier of less than the disk: what the test frees must not be taken by it.
    // And without history, which gives room back when the disk is full.
    try (RunningHost host = RunningHost.start(folder, SMALL + "history: {enabled: false}\n")) {
      host.await("the data plane is there", () -> part(host, "data-plane").equals("ok"));
      host.register("vm-1", "shop");
      host.post("/v1/vms/vm-1/start", "{}");
      readAll(host, "vm-1");
      host.post("/v1/vms/vm-1/stop", "{}");
      fill(state.resolve("filler"));
      assertThatThrownBy(() -> host.register("vm-2", "shop"))
          .isInstanceOf(ApiException.class)
          .hasMessageContaining("No space left on device");
      assertThatThrownBy(() -> host.disk("vm-2")).isInstanceOf(IOException.class);
      for (String name : new String[] {"data-plane", "control-plane"}) {
        ProcessHandle plane = host.plane(name);
        plane.destroyForcibly();
        plane.onExit().join();
        host.awaitSuccessor(plane, name);
        host.await("the planes meet again", () -> part(host, "data-plane").equals("ok"));
        readAll(host, "vm-1");
      }
      Files.delete(state.resolve("filler"));
      host.register("vm-2", "shop");
      readAll(host, "vm-2");
    } finally {
      new ProcessBuilder("umount", state.toString()).start().waitFor();
    }
  }

  private static String part(RunningHost host, String name) {
    try {
      return host.get("/health").path("parts").path(name).asText();
    } catch (IOException e) {
      return "" + e.getMessage();
    }
  }

  private static void fill(Path file) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      while (channel.write(ByteBuffer.allocate(4096)) > 0) {
        // until nothing fits
      }
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("No space left on device");
    }
  }
}
