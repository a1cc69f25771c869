package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Four tiers of different speed that together hold less than the images of three VMs.
class TiersHostTest {
  private static final List<String> TIERS = List.of("ram", "ssd", "hdd", "nas");
  private static final List<String> CAME =
      List.of("foundBytes", "stagedBytes", "demandedBytes", "filledBytes", "movedInBytes");
  private static final List<String> WENT = List.of("movedOutBytes", "evictedBytes", "removedBytes");
  private static final int EXTENT = RunningHost.EXTENT;
  private static final int EXTENTS = RunningHost.EXTENTS;
  private static final int HOT = 48;
  private static final int MAP_HEADER = 4096;
  private static final int MAP_ENTRY = 64;

  private final Map<String, byte[]> images = new HashMap<>();
  private Path folder = Path.of("");

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("pstest");
  }

  @AfterEach
  void removeFolder() throws IOException {
    delete(folder);
  }

  private static void delete(Path path) throws IOException {
    try (Stream<Path> files = Files.walk(path)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  @Test
  void whatIsHotEndsInTheFastestTierAndEveryByteIsRightThroughKillsAndALostTier()
      throws IOException {
    String tiers =
        """
        tiers:
          - {name: ram, kind: ram, directory: ram, capacity: 16MiB}
          - {name: ssd, kind: ssd, directory: ssd, capacity: 20MiB}
          - {name: hdd, kind: hdd, directory: hdd, capacity: 16MiB, faults: {latency: 1ms, bandwidth: 150MB/s}}
          - {name: nas, kind: nas, directory: nas, capacity: 16MiB, faults: {latency: 2ms, bandwidth: 110MB/s}}
        """;
    try (RunningHost host = RunningHost.start(folder, "latency: 1ms", tiers).awaitOk()) {
      addVms(host);
      for (String vm : images.keySet()) {
        readAll(host, vm);
      }
      assertThat(tier(host, "hdd").path("kind").asText()).isEqualTo("hdd");
      host.await("what was read has filled all tiers", () -> has(host, "usedBytes", "hdd", "nas"));
      heat(host, "vm-3");
      host.await("that is said", () -> has(host, "promotedBytes", "ram"));
      awaitAccount(host);

      ProcessHandle data = host.plane("data-plane");
      data.destroyForcibly();
      data.onExit().join();
      host.awaitSuccessor(data, "data-plane");
      host.awaitOk();
      awaitAccount(host);
      for (String vm : images.keySet()) {
        readAll(host, vm);
      }
      awaitAccount(host);
    }
    delete(folder.resolve("ssd"));
    Files.writeString(folder.resolve("ssd"), "this is no folder");
    try (RunningHost host = RunningHost.restart(folder, new byte[0])) {
      host.await("the lost tier is said", () -> trouble(host, "tier-open").contains("ssd"));
      for (String vm : images.keySet()) {
        readAll(host, vm);
      }
      assertThat(tier(host, "ssd").path("capacityBytes").asLong()).isZero();
    }
    Files.delete(folder.resolve("ssd"));
    try (RunningHost host = RunningHost.restart(folder, new byte[0]).awaitOk()) {
      readAll(host, "vm-1");
      readAll(host, "vm-2");
      host.await("the tier that was lost is used", () -> has(host, "usedBytes", "ssd"));
      awaitAccount(host);
    }
  }

  @Test
  void scansOfOtherDisksLeaveAnImageHereThatGoesLast() throws IOException {
    String configuration =
        """
        tier: {name: ssd, directory: ssd, capacity: 16MiB}
        evictLast: [disk-1.raw]
        predict: {enabled: false}
        """;
    try (RunningHost host = RunningHost.start(folder, "latency: 0ms", configuration).awaitOk()) {
      addVms(host);
      Path map = folder.resolve("ssd/default/disk-1.raw.map");
      try (NbdClient disk = host.disk("vm-1")) {
        for (int extent = 0; extent < HOT; extent++) {
          read(disk, "vm-1", extent);
        }
      }
      await(host, "what was read is here", () -> held(map).cardinality() == HOT);
      readAll(host, "vm-2");
      readAll(host, "vm-3");
      long evictions = HOT + 2 * EXTENTS - (16 << 20) / EXTENT;
      await(
          host,
          "both scans are here as far as they fit",
          () -> tier(host, "ssd").path("evictedBytes").asLong() >= evictions * EXTENT);
      assertThat(held(map).cardinality()).isEqualTo(HOT);
    }
  }

  /// Something that is looked at on the host's disk or asked over its API.
  private interface Condition {
    boolean holds() throws IOException;
  }

  private static void await(RunningHost host, String what, Condition condition) throws IOException {
    host.await(
        what,
        () -> {
          try {
            return condition.holds();
          } catch (IOException e) {
            return false;
          }
        });
  }

  private void addVms(RunningHost host) throws IOException {
    for (int i = 1; i <= 3; i++) {
      byte[] image = new byte[EXTENTS * EXTENT];
      new Random(i).nextBytes(image);
      Files.write(folder.resolve("images").resolve("disk-" + i + ".raw"), image);
      images.put("vm-" + i, image);
      host.post(
          "/v1/vms",
          "{\"vm\":\"vm-%d\",\"program\":\"p%d\",\"image\":\"disk-%d.raw\"}".formatted(i, i, i));
    }
  }

  private void readAll(RunningHost host, String vm) throws IOException {
    try (NbdClient disk = host.disk(vm)) {
      for (int extent = 0; extent < EXTENTS; extent++) {
        read(disk, vm, extent);
      }
    }
  }

  private void read(NbdClient disk, String vm, int extent) throws IOException {
    byte[] read = disk.read((long) extent * EXTENT, EXTENT);
    byte[] right = Arrays.copyOfRange(image(vm), extent * EXTENT, (extent + 1) * EXTENT);
    assertThat(Arrays.mismatch(read, right)).as("extent %d of %s", extent, vm).isEqualTo(-1);
  }

  private byte[] image(String vm) {
    return images.getOrDefault(vm, new byte[0]);
  }

  /// Reads the end of a disk again and again until it lies in the fastest tier.
  private void heat(RunningHost host, String vm) throws IOException {
    Path map = folder.resolve("ram/default").resolve("disk-3.raw.map");
    try (NbdClient disk = host.disk(vm)) {
      host.await(
          "what is hot is in the fastest tier",
          () -> {
            try {
              for (int extent = EXTENTS - HOT; extent < EXTENTS; extent++) {
                read(disk, vm, extent);
              }
              BitSet here = Files.exists(map) ? held(map) : new BitSet();
              return here.nextClearBit(EXTENTS - HOT) == EXTENTS;
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    }
  }

  private static String trouble(RunningHost host, String part) {
    try {
      return host.get("/health").path("parts").path(part).asText();
    } catch (IOException e) {
      return "";
    }
  }

  private static JsonNode tier(RunningHost host, String name) throws IOException {
    for (JsonNode tier : host.get("/v1/tiers").path("tiers")) {
      if (tier.path("name").asText().equals(name)) {
        return tier;
      }
    }
    throw new AssertionError("no tier " + name);
  }

  /// Numbers are reported once a second.
  private static boolean has(RunningHost host, String bytes, String... tiers) {
    try {
      for (String name : tiers) {
        if (tier(host, name).path(bytes).asLong() == 0) {
          return false;
        }
      }
      return true;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// Moves are under way in the background, so this is asked until it is so.
  private void awaitAccount(RunningHost host) throws IOException {
    await(host, "each tier holds what it says, and no extent lies in two", () -> addsUp(host));
  }

  private boolean addsUp(RunningHost host) throws IOException {
    Map<String, BitSet> seen = new HashMap<>();
    for (String name : TIERS) {
      long held = 0;
      for (Path map : maps(folder.resolve(name))) {
        BitSet here = held(map);
        held += here.cardinality();
        BitSet others = seen.computeIfAbsent("" + map.getFileName(), _ -> new BitSet());
        if (others.intersects(here)) {
          return false;
        }
        others.or(here);
      }
      JsonNode tier = tier(host, name);
      long used = tier.path("usedBytes").asLong();
      boolean fits = used == held * EXTENT && used <= tier.path("capacityBytes").asLong();
      if (!fits || used != sum(tier, CAME) - sum(tier, WENT)) {
        return false;
      }
    }
    return true;
  }

  private static long sum(JsonNode tier, List<String> names) {
    return names.stream().mapToLong(name -> tier.path(name).asLong()).sum();
  }

  private static List<Path> maps(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(file -> file.toString().endsWith(".map")).toList();
    }
  }

  /// The extents that a map of checksums names.
  private static BitSet held(Path map) throws IOException {
    BitSet here = new BitSet();
    try (FileChannel file = FileChannel.open(map)) {
      ByteBuffer entries = ByteBuffer.allocate(EXTENTS * MAP_ENTRY);
      int got = Math.max(0, file.read(entries, MAP_HEADER));
      byte[] bytes = entries.array();
      for (int at = 0; at < got; at++) {
        if (bytes[at] != 0) {
          here.set(at / MAP_ENTRY);
        }
      }
    }
    return here;
  }
}
