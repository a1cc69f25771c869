package dev.prestage.control.vm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Runs of minutes on a clock that is set.
final class ReservationsTest {
  private static final long MIB = 1 << 20;
  private static final long LOOK = Duration.ofSeconds(20).toNanos();

  @TempDir Path folder;

  private final Host host = new Host();
  private long nowNanos = 1_000_000_000_000L;
  private Reservations reservations;

  @BeforeEach
  void open() throws Exception {
    reservations = reopened();
    look();
  }

  private Reservations reopened() throws Exception {
    return new Reservations(
        new NoConnector(), folder.resolve("runs"), () -> nowNanos, Reservations.EVERY);
  }

  private void look() throws Exception {
    reservations.look(host);
    nowNanos += LOOK;
  }

  /// A run of one level a minute, of a guest whose program is its name up to the dash.
  ///
  /// @return what was reserved at the end of each minute
  private List<Long> run(String guest, long... levels) throws Exception {
    host.running.put(guest, true);
    List<Long> reserved = new ArrayList<>();
    for (long level : levels) {
      host.usedMib.put(guest, level);
      for (int i = 0; i < 3; i++) {
        look();
      }
      reserved.add(host.reserved.getOrDefault(guest, 0L));
    }
    host.running.put(guest, false);
    look();
    return reserved;
  }

  @Test
  void aBurstThatIsForetoldIsReservedAheadAndGivenBackAfter() throws Exception {
    assertThat(run("web-1", 100, 100, 100, 900, 900, 100, 100, 100)).containsOnly(0L);
    // 900 MiB in steps of 64, two minutes ahead; another copy knows it too.
    assertThat(run("web-2", 100, 100, 100, 900, 900, 100, 100, 100))
        .containsExactly(128L, 960L, 960L, 960L, 960L, 128L, 128L, 128L);
    assertThat(host.reserved).isEmpty();
  }

  @Test
  void oneOddRunOfThreeIsNotReservedFor() throws Exception {
    for (long burst : new long[] {100, 2000, 100}) {
      run("web-1", 100, 100, burst, 100);
    }
    assertThat(run("web-1", 100, 100, 100, 100)).containsOnly(128L);
  }

  @Test
  void anotherProgramsRunsForetellNothing() throws Exception {
    run("web-1", 900, 900);
    assertThat(run("db-1", 900, 900)).containsOnly(0L);
  }

  @Test
  void whatWasLearntSurvivesAndWhatWasReservedIsGivenBackByTheNextProcess() throws Exception {
    run("web-1", 900, 900, 900);
    host.running.put("web-1", true);
    look();
    assertThat(host.reserved).containsEntry("web-1", 960L);
    // A process that did not see the start watches, and holds nothing.
    reservations = reopened();
    look();
    assertThat(host.reserved).isEmpty();
    host.running.put("web-1", false);
    look();
    host.reserved.put("web-1", 960L);
    reservations = reopened();
    look();
    assertThat(host.reserved).isEmpty();
    assertThat(run("web-1", 900)).containsExactly(960L);
    assertThat(Files.readAllLines(folder.resolve("runs"))).hasSize(3);
  }

  @Test
  void aRefusalIsNotAskedAgainForFiveMinutes() throws Exception {
    run("web-1", 900, 900, 900, 900, 900, 900, 900);
    host.full = true;
    run("web-1", 900, 900, 900, 900);
    assertThat(host.refusals).isEqualTo(1);
    host.running.put("web-1", true);
    look();
    look();
    assertThat(host.refusals).isEqualTo(2);
    assertThat(
            reservations.counters().stream()
                .filter(counter -> counter.name().equals("reservations_refused"))
                .findFirst()
                .orElseThrow()
                .value())
        .isEqualTo(2);
  }

  @Test
  void aRunThatWasOutOfSightIsOnlyWatched() throws Exception {
    run("web-1", 900, 900, 900);
    host.running.put("web-1", true);
    look();
    assertThat(host.reserved).isNotEmpty();
    nowNanos += 3 * LOOK;
    look();
    assertThat(host.reserved).isEmpty();
  }

  @Test
  void aFileThatWasDamagedIsReadAsFarAsItGoes() throws Exception {
    Files.writeString(
        folder.resolve("runs"), "#slot-ns 60000000000\nweb 900,900\nnonsense\n\nweb 9x\n \n");
    reservations = reopened();
    look();
    assertThat(run("web-1", 900)).containsExactly(960L);
  }

  private static final class NoConnector implements GuestWatch.Connector {
    @Override
    public String name() {
      return "fake";
    }

    @Override
    public Hypervisor connect() {
      throw new IllegalStateException("not connected by this test");
    }

    @Override
    public void close() {}
  }

  private static final class Host implements Hypervisor {
    final Map<String, Boolean> running =
        new TreeMap<>(Map.of("web-1", false, "web-2", false, "db-1", false));
    final Map<String, Long> usedMib = new HashMap<>();
    final Map<String, Long> reserved = new TreeMap<>();
    boolean full;
    int refusals;

    @Override
    public String name() {
      return "fake";
    }

    @Override
    public Set<Ability> abilities() {
      return EnumSet.of(Ability.INVENTORY, Ability.STATISTICS, Ability.RESERVATION);
    }

    @Override
    public boolean isAlive() {
      return true;
    }

    @Override
    public void close() {}

    @Override
    public List<Guest> guests() {
      return running.entrySet().stream()
          .map(guest ->
              new Guest(
                  "id-" + guest.getKey(),
                  guest.getKey(),
                  guest.getValue(),
                  true,
                  new Attachment(guest.getKey(), guest.getKey().replaceAll("-.*", ""), "", "")))
          .toList();
    }

    @Override
    public MemoryStatistics memoryStatistics(String guest) {
      long used = usedMib.getOrDefault(guest, 0L);
      return new MemoryStatistics(4096 * MIB, used * MIB, (4096 - used) * MIB);
    }

    @Override
    public void reserve(String guest, Reservation reservation) throws HypervisorException {
      if (full) {
        refusals++;
        throw new HypervisorException("there is no memory left");
      }
      reserved.put(guest, reservation.memoryMib());
    }

    @Override
    public void release(String guest) {
      reserved.remove(guest);
    }
  }
}
