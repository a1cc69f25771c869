package dev.prestage.control;

import dev.prestage.control.command.Reply.Counter;
import dev.prestage.control.model.ModelStore;
import dev.prestage.engine.Engine;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.predict.Expert;
import dev.prestage.link.Frame;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Every number of both planes, read on the engine thread.
final class Counters {
  /// Levels of the data plane; its other numbers only rise.
  private static final Set<String> LEVELS =
      Set.of(
          "tier_capacity_bytes",
          "tier_used_bytes",
          "connections",
          "disk_connections",
          "disk_served",
          "fill_held_bytes",
          "fill_total_bytes",
          "fill_rate_bytes",
          "fill_complete",
          "memory_connections",
          "memory_missing",
          "memory_resident",
          "network_in_use",
          "network_ready",
          "link_rate_bytes",
          "link_promised_bytes",
          "bandwidth_in_use",
          "bandwidth_promised",
          "bandwidth_ready");

  /// How the names of numbers of one VM begin.
  private static final List<String> VM_SUBJECTS =
      List.of("demand_", "accesses_", "disk_", "fill_", "memory_", "network_", "bandwidth_");

  private final ControlPlane plane;
  private final Engine engine;
  private final ModelStore models;
  private final List<Counter> all = new ArrayList<>();

  Counters(ControlPlane plane, Engine engine, ModelStore models) {
    this.models = models;
    this.plane = plane;
    this.engine = engine;
  }

  List<Counter> all() {
    LeaseLedger.Totals totals = engine.ledger().totals();
    rises("units_granted", totals.granted());
    level("units_live", totals.live());
    totals.outcomes().forEach(this::outcome);
    models.scores().forEach(this::score);
    level("units_in_flight", engine.inFlightUnits());
    level("ranges_waiting", engine.waitingRanges());
    plane.report().unavailable().forEach(this::unavailable);
    level("staged_bytes", engine.stagedBytes());
    level("predicting", engine.isPredicting() ? 1 : 0);
    rises("accesses_shed", plane.shedAccesses());
    rises("plans_shed", plane.shedPlans());
    all.add(new Counter("lead_seconds", Map.of(), true, plane.health().leadSeconds()));
    for (Frame.Counter counter : plane.dataPlaneCounters()) {
      all.add(
          new Counter(
              counter.name(), labels(counter), !LEVELS.contains(counter.name()), counter.value()));
    }
    all.addAll(plane.otherCounters());
    return all;
  }

  /// A number of one disk is its VM's; that of another than the first says which one.
  private static Map<String, String> labels(Frame.Counter counter) {
    if (counter.label().isEmpty()) {
      return Map.of();
    }
    String label = labelOf(counter);
    int slash = counter.label().indexOf('/');
    return label.equals("vm") && slash >= 0
        ? Map.of(
            "vm", counter.label().substring(0, slash), "as", counter.label().substring(slash + 1))
        : Map.of(label, counter.label());
  }

  /// What a label names follows from the number's subject.
  private static String labelOf(Frame.Counter counter) {
    if (counter.name().startsWith("tier_")) {
      return "tier";
    }
    return VM_SUBJECTS.stream().anyMatch(counter.name()::startsWith) ? "vm" : "origin";
  }

  private void outcome(String outcome, long units) {
    all.add(new Counter("units_ended", Map.of("outcome", outcome), true, units));
  }

  private void unavailable(String reason, long ranges) {
    all.add(new Counter("ranges_unavailable", Map.of("reason", reason), true, ranges));
  }

  private void score(Expert expert, ModelStore.Score score) {
    forecast(expert, "demanded", score.demanded());
    forecast(expert, "unused", score.unused());
  }

  private void forecast(Expert expert, String outcome, long units) {
    all.add(
        new Counter(
            "forecast_units", Map.of("expert", expert.text(), "outcome", outcome), true, units));
  }

  private void rises(String name, long value) {
    all.add(new Counter(name, Map.of(), true, value));
  }

  private void level(String name, long value) {
    all.add(new Counter(name, Map.of(), false, value));
  }
}
