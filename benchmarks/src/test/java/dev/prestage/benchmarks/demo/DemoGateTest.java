package dev.prestage.benchmarks.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class DemoGateTest {
  private static DemoReport.Row row(
      String mode, String role, long waits, double stall, long fetched) {
    return new DemoReport.Row(mode, role, 2000, waits, stall, 2 * stall, fetched, 0, 0, 1);
  }

  private static DemoReport report(long waits, double stall, long fetched) {
    return new DemoReport(
        List.of(
            row("none", "web", 1000, 10, 1000),
            row("none", "db", 1000, 10, 1000),
            row("predicted", "web", waits, stall, fetched),
            row("predicted", "db", 0, 0, 0)));
  }

  private static List<DemoGate.Check> check(long waits, double stall, long fetched) {
    return DemoGate.check(List.of(report(waits, stall, fetched)));
  }

  @Test
  void ofThreeDemosTheMedianCounts() {
    DemoReport good = report(1, 0.1, 1000);
    DemoReport bad = report(900, 9, 3000);
    assertThat(DemoGate.check(List.of(bad, good, good))).allMatch(DemoGate.Check::holds);
    assertThat(DemoGate.check(List.of(good, bad, bad))).filteredOn(c -> !c.holds()).hasSize(3);
  }

  @Test
  void whatKeepsEveryLimitPasses() {
    assertThat(check(50, 1.0, 1150)).hasSize(6).allMatch(DemoGate.Check::holds);
  }

  @Test
  void eachLimitIsHeldByItself() {
    assertThat(check(51, 1.0, 1150)).filteredOn(c -> !c.holds()).hasSize(1);
    assertThat(check(50, 1.01, 1150)).filteredOn(c -> !c.holds()).hasSize(1);
    assertThat(check(50, 1.0, 1151)).filteredOn(c -> !c.holds()).hasSize(1);
  }
}
