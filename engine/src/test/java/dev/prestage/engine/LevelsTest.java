package dev.prestage.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Quantities as stacks of levels: eight connections at most to each of two endpoints.
class LevelsTest {
  private static final int LEVELS = 8;
  private static final int DATABASE = 0;
  private static final int CACHE = 1;
  private static final Duration THINK = Duration.ofMillis(5);
  private static final Program SHOP = new Program(0, "default", "shop");
  private static final Vm VM = new Vm(1, "vm1", SHOP);
  private static final Space ENDPOINTS =
      new Space(
          1,
          ResourceType.NETWORK_CONNECTION,
          "default",
          "endpoints",
          new Shape(2L * LEVELS, 1, Measure.CONNECTIONS, LEVELS));
  private static final Binding CONNECTIONS = new Binding(21, VM, "connections", ENDPOINTS);

  private final SimulatedHost host = new SimulatedHost(Limits.DEFAULT);

  @BeforeEach
  void bind() {
    host.engine.bound(CONNECTIONS);
  }

  private static long level(int endpoint, int j) {
    return (long) endpoint * LEVELS + j;
  }

  /// A run that comes to need so many connections at once, and gives all up.
  ///
  /// @return how many it had to wait for
  private int run(int databases, int caches) {
    host.engine.started(VM.id());
    List<Long> levels = new ArrayList<>();
    for (int j = 0; j < databases; j++) {
      levels.add(level(DATABASE, j));
    }
    for (int j = 0; j < caches; j++) {
      levels.add(level(CACHE, j));
    }
    host.pass(Duration.ofMillis(50));
    int waits = host.touch(CONNECTIONS, levels, THINK);
    levels.forEach(level -> host.release(CONNECTIONS, level));
    host.engine.stopped(VM.id());
    host.pass(Duration.ofSeconds(5));
    host.forgetBytes();
    return waits;
  }

  private void assertAccount() {
    var totals = host.engine.ledger().totals();
    assertThat(totals.outcomes().values().stream().mapToLong(Long::longValue).sum() + totals.live())
        .isEqualTo(totals.granted());
  }

  @Test
  void asManyLevelsAreLeasedAsRunsCameToNeedEachEndpointInRangesOfItsOwn() {
    for (int databases : new int[] {5, 7, 6, 5, 6}) {
      run(databases, 2);
    }
    host.staged.clear();
    host.engine.started(VM.id());
    host.pass(Duration.ofMillis(100));
    List<Long> leased = new ArrayList<>();
    for (Lease lease : host.staged) {
      assertThat(lease.first() / LEVELS)
          .as("levels of one endpoint")
          .isEqualTo((lease.range().end() - 1) / LEVELS);
      for (long unit = lease.first(); unit < lease.range().end(); unit++) {
        leased.add(unit);
      }
    }
    assertThat(leased)
        .doesNotHaveDuplicates()
        .contains(level(DATABASE, 0), level(DATABASE, 4), level(CACHE, 0), level(CACHE, 1))
        .doesNotContain(level(DATABASE, 7), level(CACHE, 2));
    assertThat(leased.size()).isBetween(7, 9);
    assertAccount();
    assertThat(run(5, 2)).isZero();
    assertAccount();
  }

  @Test
  void higherLevelsAreLessProbable() {
    for (int databases : new int[] {5, 7, 6, 5, 6}) {
      run(databases, 2);
    }
    var forecast = new Forecast();
    host.engine.expect(VM.id(), forecast);
    double before = 1;
    for (int j = 0; j < 7; j++) {
      int row = forecast.row(Resource.of(ENDPOINTS.id(), level(DATABASE, j)));
      assertThat(row).as("level %d", j).isNotNegative();
      assertThat(forecast.probability(row)).isLessThanOrEqualTo(before);
      before = forecast.probability(row);
    }
    assertThat(before).isLessThan(0.5);
  }

  @Test
  void whatWasReleasedCanBeTouchedAndStagedAgain() {
    run(3, 1);
    host.engine.started(VM.id());
    host.pass(Duration.ofMillis(100));
    host.touch(CONNECTIONS, List.of(level(DATABASE, 0)), THINK);
    host.pass(Duration.ofMillis(100));
    host.staged.clear();
    host.release(CONNECTIONS, level(DATABASE, 0));
    host.pass(Duration.ofMillis(100));
    assertThat(host.staged)
        .singleElement()
        .satisfies(lease -> assertThat(lease.first()).isEqualTo(level(DATABASE, 0)));
    assertThat(host.touch(CONNECTIONS, List.of(level(DATABASE, 0)), THINK)).isZero();
    host.engine.stopped(VM.id());
    assertThat(host.of(SHOP, ResourceType.NETWORK_CONNECTION).runs()).isEqualTo(2);
    assertThat(host.of(SHOP, ResourceType.NETWORK_CONNECTION).lastRun())
        .as("a touch that came back is one touch")
        .hasSize(1);
    assertAccount();
  }

  @Test
  void aReleaseBeginsNoRun() {
    host.release(CONNECTIONS, level(CACHE, 0));
    assertThat(host.engine.isRunning(VM.id())).isFalse();
  }
}
