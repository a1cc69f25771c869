package dev.prestage.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Notice;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ReportTest {
  private static final int SPACE = 4;

  private final Map<Integer, Binding> bindings = new HashMap<>();
  private final Report report = new Report(bindings::get);

  private void bind(int number, String program) {
    Vm vm = new Vm(number, "vm" + number, new Program(1, "default", program));
    // Ten and a half units: the last one is smaller.
    Shape shape = Shape.blocks(10 * 65_536L + 32_768);
    Space space = new Space(SPACE, ResourceType.FILE_BLOCK, "default", "debian12", shape);
    bindings.put(number, new Binding(number, vm, "disk0", space));
  }

  private static Lease lease(int binding, long first, int units) {
    return new Lease(1, binding, new Range(SPACE, first, units), 0, .5f, 0, 0, 0);
  }

  private static Access access(int binding, boolean waited, long latencyNanos) {
    return new Access(
        binding,
        1,
        Resource.of(SPACE, 3),
        0,
        AccessType.READ,
        4096,
        Cause.DEMAND,
        waited,
        latencyNanos);
  }

  private Reply.ReportRow only(Map<Integer, Long> live) {
    Reply.Report all = report.reply("then", live, List.of());
    assertThat(all.rows()).hasSize(1);
    return all.rows().getFirst();
  }

  @Test
  void whatCannotBeHadIsCountedByItsReason() {
    report.told(new Notice.Unavailable(1, "vm1", "web", "debian", 0, 3, "quota"));
    report.told(new Notice.Queued(1, "vm1", "web", "debian", 0, 3, 1));
    report.told(new Notice.Unavailable(1, "vm1", "web", "debian", 9, 1, "quota"));
    report.told(new Notice.Unavailable(1, "vm1", "web", "debian", 9, 1, "stale"));
    assertThat(report.unavailable()).isEqualTo(Map.of("quota", 2L, "stale", 1L));
  }

  @Test
  void everyUnitIsCountedByHowItEnded() {
    bind(1, "web");
    bind(2, "web");
    report.ended(lease(1, 8, 3), 0b011, Outcome.USEFUL, 2_000_000_000);
    report.ended(lease(1, 8, 3), 0b100, Outcome.UNUSED, 0);
    report.ended(lease(2, 0, 1), 1, Outcome.LATE, 0);
    report.ended(lease(2, 1, 1), 1, Outcome.CANCELLED, 0);
    report.touched(access(1, true, Access.PENDING), true);
    report.answered(access(1, true, 30_000_000));
    report.touched(access(1, false, 1000), false);
    report.answered(access(1, false, 1000));
    Reply.ReportRow row = only(Map.of(1, 5L, 2, 2L));
    assertThat(row.program()).isEqualTo("web");
    assertThat(row.granted()).isEqualTo(12);
    assertThat(row.live()).isEqualTo(7);
    assertThat(row.granted())
        .isEqualTo(row.live() + row.outcomes().values().stream().mapToLong(n -> n).sum());
    assertThat(row.outcomes())
        .containsEntry("useful", 2L)
        .containsEntry("unused", 1L)
        .containsEntry("late", 1L)
        .containsEntry("cancelled", 1L)
        .containsEntry("failed", 0L);
    assertThat(row.usefulAmount()).isEqualTo(2 * 65_536);
    assertThat(row.unusedAmount()).as("the last unit is half a one").isEqualTo(32_768);
    assertThat(row.leadSeconds()).isEqualTo(4);
    assertThat(row.touches()).isEqualTo(2);
    assertThat(row.waited()).isEqualTo(1);
    assertThat(row.waitedSeconds()).isCloseTo(.03, within(1e-9));
    assertThat(row.coverage()).isCloseTo(2.0 / 3, within(1e-9));
    assertThat(row.accuracy()).isCloseTo(3.0 / 4, within(1e-9));
    assertThat(row.timeliness()).isCloseTo(2.0 / 3, within(1e-9));
  }

  @Test
  void leasesThatEndAfterTheirVmIsGoneStillCount() {
    bind(1, "web");
    report.ended(lease(1, 0, 1), 1, Outcome.USEFUL, 0);
    bindings.clear();
    report.ended(lease(1, 1, 1), 1, Outcome.CANCELLED, 0);
    assertThat(only(Map.of()).granted()).isEqualTo(2);
    report.ended(lease(9, 1, 1), 1, Outcome.CANCELLED, 0);
    assertThat(only(Map.of()).granted()).as("of a binding that was never known").isEqualTo(2);
    assertThat(only(Map.of()).coverage()).isEqualTo(1);
  }
}
