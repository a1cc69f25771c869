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
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What a host does when its parts are taken away, stand still, or lie.
class FaultsTest {
  private static final String SMALL =
      "tier: {capacity: 16MiB}\nstage: {capacity: 8MiB, reclaimAfter: 2s}\n";

  /// For the tests that leave a host as well as it was, each with VMs of its own.
  private static Path sharedFolder = Path.of("");

  private static RunningHost shared;
  private Path folder = Path.of("");

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeAll
  static void startShared() throws IOException {
    sharedFolder = Files.createTempDirectory("psfault");
    shared = RunningHost.start(sharedFolder, SMALL).awaitOk();
  }

  @AfterAll
  static void stopShared() throws IOException {
    shared.close();
    delete(sharedFolder);
  }

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("psfault");
  }

  @AfterEach
  void removeFolder() throws IOException {
    delete(folder);
  }

  private static void delete(Path folder) throws IOException {
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
  private static void readOn(String vm, long seed, AtomicBoolean stop, AtomicInteger reads) {
    Random random = new Random(seed);
    while (!stop.get()) {
      try (NbdClient disk = shared.disk(vm)) {
        while (!stop.get()) {
          shared.readExtent(disk, random.nextInt(RunningHost.EXTENTS));
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
    shared.awaitOk();
    shared.register("killed", "shop");
    AtomicBoolean stop = new AtomicBoolean();
    AtomicInteger reads = new AtomicInteger();
    CompletableFuture<Void> guest =
        CompletableFuture.runAsync(() -> readOn("killed", seed, stop, reads));
    try {
      for (int kill = 0; kill < 4; kill++) {
        shared.awaitOk();
        shared.post("/v1/vms/killed/start", "{}");
        int enough = reads.get() + random.nextInt(300);
        shared.await("the guest reads on", () -> reads.get() > enough || guest.isDone());
        shared.post("/v1/vms/killed/stop", "{}");
        String name = kill % 2 == 0 ? "data-plane" : "control-plane";
        ProcessHandle plane = shared.plane(name);
        plane.destroyForcibly();
        plane.onExit().join();
        shared.awaitSuccessor(plane, name);
      }
      shared.awaitOk();
    } finally {
      stop.set(true);
    }
    guest.join();
    readAll(shared, "killed");
    assertAccountAddsUp(shared);
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
    // Not the shared host: until its next start it says that its registrations come from a copy.
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
    shared.awaitOk();
    shared.register("still-1", "shop");
    ProcessHandle data = shared.plane("data-plane");
    RunningHost.signal(data, "STOP");
    try {
      shared.await("its silence is noticed", () -> shared.state().equals("degraded"));
      assertThat(part(shared, "data-plane"))
          .contains("pid " + data.pid())
          .contains("has said nothing");
      assertThatThrownBy(() -> shared.register("still-2", "shop"))
          .isInstanceOf(ApiException.class)
          .hasMessageContaining("has said nothing");
    } finally {
      RunningHost.signal(data, "CONT");
    }
    shared.awaitOk();
    shared.register("still-2", "shop");
    readAll(shared, "still-1");
    readAll(shared, "still-2");
    assertThat(shared.plane("data-plane")).isEqualTo(data);
  }

  @Test
  void aControlPlaneThatStandsStillKeepsNobodyFromReading() throws IOException {
    shared.awaitOk();
    shared.register("reads-on", "shop");
    int before = shared.log().length();
    ProcessHandle control = shared.plane("control-plane");
    RunningHost.signal(control, "STOP");
    try {
      // More accesses than the link's buffers and the ring between hold.
      shared.await(
          "reads go on until the link is given up",
          () -> {
            try {
              readAll(shared, "reads-on");
              return shared.log().substring(before).contains("takes nothing any more");
            } catch (IOException e) {
              throw new AssertionError(e);
            }
          });
      readAll(shared, "reads-on");
    } finally {
      RunningHost.signal(control, "CONT");
    }
    shared.awaitOk();
    readAll(shared, "reads-on");
    assertAccountAddsUp(shared);
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
    // A tier of less than the disk: what the test frees must not be taken by it. Nor is there a
    // history, which gives room back when the disk is full.
    try (RunningHost host = RunningHost.start(folder, SMALL)) {
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
