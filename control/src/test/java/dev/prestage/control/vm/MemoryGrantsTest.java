package dev.prestage.control.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.command.Reply;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Runs of a guest with 1,000 MiB on a clock that is set.
final class MemoryGrantsTest {
  private static final long MIB = 1 << 20;
  private static final long ALL = 1000;
  private static final MemoryGrants.Settings SETTINGS =
      new MemoryGrants.Settings(128 * MIB, 10, Duration.ofSeconds(30));
  private static final Duration MINUTE = Duration.ofMinutes(1);

  @TempDir Path folder;

  private final Host host = new Host();
  private long nowNanos = 1_000_000_000_000L;
  private Duration every = SETTINGS.every();
  private boolean hostIsPressed;
  private MemoryGrants grants;

  @BeforeEach
  void open() throws Exception {
    grants = reopened(SETTINGS);
    look();
  }

  private MemoryGrants reopened(MemoryGrants.Settings settings) throws Exception {
    every = settings.every();
    return new MemoryGrants(
        new NoConnector(), folder, () -> nowNanos, settings, () -> hostIsPressed);
  }

  private void look() throws Exception {
    grants.look(host);
    nowNanos += every.toNanos();
  }

  /// Uses each level for a minute, then stops; each run begins with all memory.
  private void run(long... usedMib) throws Exception {
    begin();
    for (long used : usedMib) {
      minute(used);
    }
    stop();
  }

  private void begin() {
    host.running = true;
    host.hasMib = ALL;
    host.swappedInMib = 0;
  }

  /// @return what the guest has after it
  private long minute(long usedMib) throws Exception {
    host.needsMib = usedMib;
    for (int i = 0; i < MINUTE.dividedBy(every); i++) {
      host.swaps();
      look();
    }
    return host.hasMib;
  }

  private void stop() throws Exception {
    host.running = false;
    look();
  }

  private double counted(String name) {
    return grants.counters().stream()
        .filter(counter -> counter.name().equals(name))
        .mapToDouble(Reply.Counter::value)
        .sum();
  }

  private void twoRuns() throws Exception {
    for (int i = 0; i < MemoryGrants.PAST_RUNS; i++) {
      run(200, 200, 800, 200, 200);
      assertThat(host.leastMib).isEqualTo(ALL);
    }
  }

  @Test
  void fromTheThirdRunOnMemoryFollowsItsForecastAndNothingIsSwapped() throws Exception {
    twoRuns();
    begin();
    assertThat(minute(200)).isBetween(220L, 260L);
    // The burst is 30 s away at half of this minute, and its memory is there at its end.
    assertThat(minute(200)).isBetween(860L, 880L);
    assertThat(minute(800)).isBetween(860L, 900L);
    assertThat(minute(200)).isBetween(220L, 260L);
    stop();
    assertThat(host.swappedOutMib).isZero();
    assertThat(counted("memory_grant_vetoes")).isZero();
    assertThat(host.mostStepMib).isLessThanOrEqualTo(50);
  }

  @Test
  void aGuestThatIsThereOnlyWhileItRunsIsSizedToo() throws Exception {
    host.onlyWhileItRuns = true;
    look();
    twoRuns();
    begin();
    assertThat(minute(200)).isLessThan(300);
  }

  @Test
  void withoutAForecastTheSameBurstSwaps() throws Exception {
    grants = reopened(new MemoryGrants.Settings(128 * MIB, 10, Duration.ZERO));
    look();
    twoRuns();
    begin();
    minute(200);
    minute(200);
    minute(800);
    assertThat(host.swappedOutMib).isPositive();
  }

  @Test
  void betweenTwoWordsOfAGuestHalfOfWhatItDoesNotUseIsTaken() throws Exception {
    grants = reopened(new MemoryGrants.Settings(128 * MIB, 10, Duration.ofSeconds(4)));
    look();
    twoRuns();
    host.saysEvery = Duration.ofSeconds(3);
    begin();
    host.hadAtWords.clear();
    assertThat(minute(200)).isBetween(220L, 260L);
    // Of 780 MiB that are not used a half is taken, of the rest a half, and so on.
    assertThat(host.hadAtWords).startsWith(1000L, 610L, 415L);
    assertThat(host.mostStepMib).isLessThanOrEqualTo(50);
  }

  @Test
  void aGuestThatFallsSilentLosesNothingMore() throws Exception {
    twoRuns();
    begin();
    host.needsMib = 200;
    look();
    host.silent = true;
    assertThat(minute(200)).isBetween(ALL - 200, ALL - 50);
  }

  @Test
  void aGuestThatSwapsGetsEverythingBackAndIsLeftAlone() throws Exception {
    twoRuns();
    begin();
    assertThat(minute(200)).isLessThan(300);
    // A minute early: nobody expected it.
    host.needsMib = 700;
    host.swaps();
    look();
    host.swaps();
    look();
    assertThat(host.hasMib).isEqualTo(ALL);
    assertThat(counted("memory_grant_vetoes")).isEqualTo(1);
    assertThat(minute(200)).isEqualTo(ALL);
    nowNanos += MemoryGrants.VETO_NANOS - Duration.ofMinutes(2).toNanos();
    stop();
    assertThat(counted("memory_grant_vetoes")).isEqualTo(1);
  }

  @Test
  void nothingIsTakenFromAGuestThatDoesNotSayWhatItUses() throws Exception {
    twoRuns();
    host.silent = true;
    begin();
    assertThat(minute(200)).isEqualTo(ALL);
    assertThat(host.resizes).isZero();
  }

  @Test
  void nothingIsGivenAheadByAHostUnderPressure() throws Exception {
    twoRuns();
    begin();
    minute(200);
    hostIsPressed = true;
    assertThat(minute(200)).isLessThan(300);
    assertThat(counted("memory_grants_withheld")).isPositive();
    // What is needed now is given.
    assertThat(minute(600)).isGreaterThanOrEqualTo(600);
  }

  @Test
  void noGuestGetsLessThanTheFloor() throws Exception {
    run(20, 20);
    run(20, 20);
    begin();
    assertThat(minute(20)).isEqualTo(128);
  }

  @Test
  void aRefusalAndAGuestWithoutADriverAreAskedAgainAfterAMinute() throws Exception {
    twoRuns();
    begin();
    host.refuses = true;
    minute(200);
    assertThat(host.resizes).isEqualTo(1);
    assertThat(counted("memory_grants_refused")).isEqualTo(1);
    host.refuses = false;
    host.deaf = true;
    minute(200);
    minute(200);
    assertThat(host.resizes).isBetween(2, 3);
    assertThat(counted("memory_grants_refused")).isEqualTo(2);
    assertThat(host.hasMib).isEqualTo(ALL);
  }

  @Test
  void aProcessThatDidNotSeeTheStartGivesBackWhatTheLastOneTook() throws Exception {
    twoRuns();
    begin();
    assertThat(minute(200)).isLessThan(300);
    grants = reopened(SETTINGS);
    look();
    look();
    assertThat(host.hasMib).isEqualTo(ALL);
    stop();
    assertThat(Files.readString(folder.resolve("fake-ceilings"))).isEmpty();
  }

  @Test
  void aGuestThatLosesItsLabelIsFollowedToItsEnd() throws Exception {
    twoRuns();
    begin();
    assertThat(minute(200)).isLessThan(300);
    host.labelled = false;
    look();
    host.labelled = true;
    assertThat(minute(200)).isBetween(860L, 880L);
    stop();
    begin();
    assertThat(minute(200)).isLessThan(300);
    // One run more: the one whose label was away was not cut in two.
    assertThat(Files.readAllLines(folder.resolve("fake-runs"))).hasSize(4);
  }

  @Test
  void whatIsRestoredWithWhatItHadLastMayStillHaveAllThatItHadAtFirst() throws Exception {
    twoRuns();
    begin();
    long last = minute(200);
    stop();
    grants = reopened(SETTINGS);
    look();
    begin();
    host.hasMib = last;
    minute(200);
    assertThat(minute(950)).isEqualTo(ALL);
    stop();
    // One that was defined anew has what it has.
    begin();
    host.hasMib = 500;
    minute(450);
    assertThat(minute(900)).isEqualTo(500);
  }

  @Test
  void whatWasSwappedWhileTheGuestWasSilentIsSeenAfter() throws Exception {
    twoRuns();
    begin();
    minute(200);
    host.silent = true;
    minute(700);
    host.silent = false;
    look();
    assertThat(counted("memory_grant_vetoes")).isEqualTo(1);
    assertThat(host.hasMib).isEqualTo(ALL);
  }

  @Test
  void aGuestAtItsHypervisorsFloorGetsMoreAtOnce() throws Exception {
    host.floorMib = 256;
    twoRuns();
    begin();
    assertThat(minute(200)).isEqualTo(256);
    host.needsMib = 600;
    look();
    assertThat(host.hasMib).isGreaterThan(256);
    assertThat(minute(600)).isGreaterThanOrEqualTo(600);
    assertThat(counted("memory_grants_refused")).isZero();
  }

  @Test
  void memorySecondsAreCounted() throws Exception {
    run(500, 500);
    assertThat(counted("memory_used_mib_seconds")).isBetween(500 * 115.0, 500 * 120.0);
    assertThat(counted("memory_granted_mib_seconds")).isBetween(1000 * 115.0, 1000 * 120.0);
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

  /// One guest, which swaps what does not fit and reads it back in its next look.
  private final class Host implements Hypervisor {
    boolean running;
    boolean onlyWhileItRuns;
    boolean labelled = true;
    long floorMib;
    boolean silent;
    boolean refuses;
    boolean deaf;
    long hasMib = ALL;
    long needsMib;
    long swappedInMib;
    long swappedOutMib;
    long leastMib = ALL;
    long mostStepMib;
    int resizes;
    Duration saysEvery = Duration.ZERO;
    final List<Long> hadAtWords = new ArrayList<>();
    private long saidNanos = Long.MIN_VALUE;
    private long saidUnusedMib;

    void swaps() {
      long missing = Math.max(0, needsMib - hasMib);
      swappedOutMib += missing;
      swappedInMib += missing;
    }

    @Override
    public String name() {
      return "fake";
    }

    @Override
    public Set<Ability> abilities() {
      return EnumSet.of(Ability.INVENTORY, Ability.STATISTICS, Ability.MEMORY_SIZE);
    }

    @Override
    public boolean isAlive() {
      return true;
    }

    @Override
    public void close() {}

    @Override
    public List<Guest> guests() {
      Attachment label = labelled ? new Attachment("web-1", "web", "", "") : null;
      return running || !onlyWhileItRuns
          ? List.of(new Guest("id", "web-1", running, !onlyWhileItRuns, label))
          : List.of();
    }

    @Override
    public MemoryStatistics memoryStatistics(String guest) {
      if (silent) {
        return new MemoryStatistics(hasMib * MIB, -1, -1);
      }
      if (nowNanos >= saidNanos + saysEvery.toNanos()) {
        saidNanos = nowNanos;
        saidUnusedMib = Math.max(0, hasMib - needsMib);
        hadAtWords.add(hasMib);
      }
      return new MemoryStatistics(
          hasMib * MIB, -1, saidUnusedMib * MIB, swappedInMib * MIB, nowNanos - saidNanos);
    }

    @Override
    public long leastMemory(String guest) {
      return floorMib * MIB;
    }

    @Override
    public void resizeMemory(String guest, long bytes) throws HypervisorException {
      resizes++;
      if (refuses) {
        throw new HypervisorException("it is not allowed");
      }
      if (!deaf) {
        mostStepMib = Math.max(mostStepMib, Math.abs(bytes / MIB - hasMib));
        hasMib = Math.max(floorMib, bytes / MIB);
        leastMib = Math.min(leastMib, hasMib);
      }
    }
  }
}
