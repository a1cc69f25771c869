package dev.prestage.benchmarks.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class DemoGateTest {
  private static DemoReport.Row row(
      String mode, String role, long waits, double stall, long fetched, long verified) {
    return new DemoReport.Row(
        mode, role, 2000, waits, stall, 2 * stall, fetched, 0, 0, 4096, verified);
  }

  private static DemoReport report(long waits, double stall, long fetched, long verified) {
    return new DemoReport(
        List.of(
            row("none", "web", 1000, 10, 1000, 4096),
            row("none", "db", 1000, 10, 1000, 4096),
            row("predicted", "web", waits, stall, fetched, verified),
            row("predicted", "db", 0, 0, 0, 4096)));
  }

  private static List<DemoGate.Check> counts(long waits, long fetched, long verified) {
    return DemoGate.checkCounts(List.of(report(waits, 0, fetched, verified)));
  }

  private static List<DemoGate.Check> missed(List<DemoGate.Check> checks) {
    return checks.stream().filter(check -> !check.holds()).toList();
  }

  @Test
  void ofThreeDemosTheMedianCounts() {
    DemoReport good = report(1, 0.1, 1000, 4096);
    DemoReport bad = report(900, 9, 3000, 0);
    assertThat(missed(DemoGate.checkCounts(List.of(bad, good, good)))).isEmpty();
    assertThat(missed(DemoGate.checkCounts(List.of(good, bad, bad)))).hasSize(3);
    assertThat(missed(DemoGate.checkStall(List.of(bad, good, good)))).isEmpty();
    assertThat(missed(DemoGate.checkStall(List.of(good, bad, bad)))).hasSize(1);
  }

  @Test
  void whatKeepsEveryLimitPasses() {
    assertThat(counts(50, 1150, 4096)).hasSize(6).allMatch(DemoGate.Check::holds);
  }

  @Test
  void eachLimitIsHeldByItself() {
    assertThat(missed(counts(51, 1150, 4096))).hasSize(1);
    assertThat(missed(counts(50, 1151, 4096))).hasSize(1);
    assertThat(missed(counts(50, 1150, 4095))).hasSize(1);
    assertThat(missed(DemoGate.checkStall(List.of(report(0, 1.01, 0, 4096))))).hasSize(1);
  }

  @Test
  void aDemoOfOneRoleIsHeldToThatRole() {
    DemoReport one =
        new DemoReport(
            List.of(
                row("none", "web", 1000, 10, 1000, 4096),
                row("predicted", "web", 51, 1, 1000, 4096)));
    assertThat(DemoGate.checkCounts(List.of(one))).hasSize(3);
    assertThat(missed(DemoGate.checkCounts(List.of(one)))).hasSize(1);
  }

  @Test
  void aShareOfNothingIsNoSuccess() {
    DemoReport nothing =
        new DemoReport(
            List.of(row("none", "web", 0, 0, 0, 4096), row("predicted", "web", 0, 0, 0, 4096)));
    assertThat(missed(DemoGate.checkCounts(List.of(nothing)))).hasSize(2);
  }
}
