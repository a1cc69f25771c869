package dev.prestage.simulator.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.simulator.Traces;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Policies;
import dev.prestage.simulator.trace.Trace;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class SimulationTest {
  private static final double NO_BUDGET = Double.POSITIVE_INFINITY;

  private static Options options(double budget, String cache, String... policies) {
    return new Options(
        Arrays.stream(policies).map(Choice::of).toList(),
        List.of(CacheSize.of(cache)),
        List.of(0, 2),
        budget,
        0.1,
        Duration.ofSeconds(30),
        Duration.ofMillis(10),
        32,
        true);
  }

  private static OpenReport open(Trace trace, Options options) throws InterruptedException {
    return new Simulation(trace, options, (_, _) -> {}).open();
  }

  private static ClosedReport closed(Trace trace, Options options) throws InterruptedException {
    return new Simulation(trace, options, (_, _) -> {}).closed();
  }

  /// Runs of four pages, far from each other: all beyond the first three of `next-n` are in vain.
  private static Trace fours() {
    long[] pages = new long[80];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = 100L * (i / 4) + i % 4;
    }
    return Traces.of(pages);
  }

  @Test
  void withoutABudgetAPolicyRunsWithItsDefaults() throws InterruptedException {
    OpenReport report = open(fours(), options(NO_BUDGET, "50%", "next-n"));
    OpenReport.Row row = report.row("next-n", CacheSize.of("50%"), 0);
    assertThat(row.setting()).hasToString("n=8");
    assertThat(row.withinBudget()).isTrue();
    assertThat(report.calibration()).isNull();
  }

  @Test
  void theBestSettingWithinTheBudgetCounts() throws InterruptedException {
    // n pages ahead bring min(n, 3) of each four in time but n in vain behind their end.
    CacheSize cache = CacheSize.of("50%");
    OpenReport.Row row = open(fours(), options(.25, "50%", "next-n")).row("next-n", cache, 0);
    assertThat(row.setting()).hasToString("n=1");
    assertThat(row.withinBudget()).isTrue();
    assertThat(row.result().demandMissRatio()).isEqualTo(.25);
    assertThat(row.result().uselessPerDemandPage()).isEqualTo(.25);
    row = open(fours(), options(.5, "50%", "next-n")).row("next-n", cache, 2);
    assertThat(row.setting()).hasToString("n=1");
    assertThat(row.withinBudget()).as("nothing is in time").isFalse();
  }

  @Test
  void whereNoSettingIsWithinTheBudgetTheLeastUselessCountsAndIsFlagged()
      throws InterruptedException {
    OpenReport report = open(fours(), options(.1, "50%", "next-n", "next-n:n=4", "none", "lru"));
    OpenReport.Row free = report.row("next-n", CacheSize.of("50%"), 0);
    assertThat(free.setting()).hasToString("n=1");
    assertThat(free.withinBudget()).isFalse();
    OpenReport.Row fixed = report.row("next-n:n=4", CacheSize.of("50%"), 0);
    assertThat(fixed.setting()).hasToString("n=4");
    assertThat(fixed.withinBudget()).isFalse();
    assertThat(report.row("none", CacheSize.of("50%"), 2).withinBudget()).isTrue();
    assertThat(report.row("lru", CacheSize.of("50%"), 2).result())
        .isEqualTo(report.row("lru", CacheSize.of("50%"), 0).result());
  }

  @Test
  void aClosedLoopIsSearchedByItsStall() throws InterruptedException {
    ClosedReport report = closed(fours(), options(.5, "unlimited", "next-n", "none"));
    assertThat(report.rows())
        .extracting(ClosedReport.Row::policy)
        .containsExactly("none", "next-n");
    ClosedReport.Row row = report.row("next-n");
    assertThat(row.result().stallNanos()).isLessThan(report.row("none").result().stallNanos());
    assertThat(report.trafficShare(report.row("none").result())).isEqualTo(1);
    assertThat(report.trafficShare(row.result())).isGreaterThan(1);
    assertThatThrownBy(() -> report.row("lru")).hasMessage("no row lru");
  }

  @Test
  void theProductKeepsItsBudgetInBothLoops() throws InterruptedException {
    Trace trace = Traces.random(5, 2000, 300, 4);
    OpenReport open = open(trace, options(.2, "10%", "prestage"));
    assertThat(open.rows()).allMatch(OpenReport.Row::withinBudget);
    assertThat(open.calibration()).isNotNull();
    ClosedReport closed = closed(trace, options(.2, "unlimited", "prestage"));
    assertThat(closed.row("prestage").withinBudget()).isTrue();
  }

  @Test
  void everyPolicyRunsAndOrdersAsItMust() throws InterruptedException {
    String[] names = Policies.ALL.stream().map(Policies.Entry::name).toArray(String[]::new);
    Random random = new Random(11);
    long[] pages =
        LongStream.generate(() -> random.nextLong(20) * random.nextInt(20)).limit(3000).toArray();
    Trace trace = Traces.of(pages);
    List<Integer> progress = new ArrayList<>();
    OpenReport report =
        new Simulation(trace, options(NO_BUDGET, "10%", names), (done, _) -> progress.add(done))
            .open();
    assertThat(report.rows()).extracting(OpenReport.Row::policy).startsWith(names);
    assertThat(report.rows()).hasSize(2 * names.length);
    assertThat(progress).isSorted().endsWith(progress.size());
    CacheSize cache = CacheSize.of("10%");
    double lru = report.row("lru", cache, 0).result().demandMissRatio();
    assertThat(report.row("none", cache, 0).result().demandMissRatio()).isEqualTo(lru);
    assertThat(report.row("none", cache, 2).result().demandMissRatio()).isEqualTo(lru);
    double belady = report.row("belady", cache, 0).result().demandMissRatio();
    double unbounded = report.row("unbounded", cache, 0).result().demandMissRatio();
    assertThat(unbounded).isEqualTo((double) trace.distinctPages() / trace.pages(), within(1e-12));
    assertThat(belady).isBetween(unbounded, lru);
    assertThat(report.row("lookahead", cache, 0).result().demandMissRatio()).isLessThan(.01);
  }

  // ---- JSON

  private static List<String> names(JsonNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  @Test
  void anOpenLoopAsJson() throws InterruptedException {
    long[] pages = LongStream.range(0, 60).map(i -> i % 20).toArray();
    JsonNode json =
        JsonReport.of(open(Traces.of(pages), options(NO_BUDGET, "50%", "none", "prestage")));
    assertThat(json.get("trace").asText()).isEqualTo("t");
    assertThat(json.get("requests").intValue()).isEqualTo(60);
    assertThat(json.get("pages").intValue()).isEqualTo(60);
    assertThat(json.get("distinctPages").intValue()).isEqualTo(20);
    assertThat(json.get("rows")).hasSize(4);
    JsonNode none = json.get("rows").get(0);
    assertThat(none.get("policy").asText()).isEqualTo("none");
    assertThat(none.get("cachePercent").doubleValue()).isEqualTo(50);
    assertThat(none.get("lead").isInt()).isTrue();
    assertThat(none.get("demandMissRatio").doubleValue()).isEqualTo(1);
    assertThat(none.get("precision").doubleValue()).isEqualTo(1);
    assertThat(none.get("issued").isIntegralNumber()).isTrue();
    assertThat(names(none))
        .contains("requestMissRatio", "uselessPerDemandPage", "cpuMicrosPerRequest", "modelBytes")
        .doesNotContain("bitsPerAccess", "nextAccuracy");
    JsonNode ours = json.get("rows").get(1);
    assertThat(ours.get("policy").asText()).isEqualTo("prestage");
    assertThat(ours.get("bitsPerAccess").doubleValue()).isPositive();
    assertThat(ours.get("nextAccuracy").doubleValue()).isBetween(0.0, 1.0);
    assertThat(names(json.get("calibration")))
        .containsExactly("ece", "logLoss", "brierSkill", "bins");
    assertThat(names(json.get("calibration").get("bins").get(0)))
        .containsExactly("from", "to", "count", "probability", "observed");
    assertThat(
            JsonReport.of(open(Traces.of(1, 2), options(NO_BUDGET, "unlimited", "lru")))
                .get("rows")
                .get(0)
                .get("cachePercent")
                .isNull())
        .isTrue();
  }

  @Test
  void aClosedLoopAsJson() throws InterruptedException {
    Trace.Builder builder = Traces.builder();
    Traces.run(builder, "web", 7, 0, 0, 1_000_000, 1, 2, 1, 2);
    Traces.run(builder, "web", 8, 0, 0, 1_000_000, 1, 2, 1, 2);
    ClosedReport report =
        closed(builder.build(), options(NO_BUDGET, "unlimited", "lookahead", "prestage"));
    JsonNode rows = JsonReport.of(report).get("rows");
    assertThat(rows).hasSize(6);
    JsonNode none = rows.get(0);
    assertThat(none.get("policy").asText()).isEqualTo("none");
    assertThat(none.get("program").asText()).isEqualTo("web");
    assertThat(none.get("run").isInt()).isTrue();
    assertThat(none.get("run").intValue()).isEqualTo(7);
    assertThat(none.get("stallSeconds").doubleValue()).isEqualTo(.02);
    assertThat(none.get("demandWaitShare").doubleValue()).isEqualTo(.5);
    assertThat(none.get("trafficShare").doubleValue()).isEqualTo(1);
    assertThat(none.has("bitsPerAccess")).isFalse();
    // Page 1 waits for 10 ms; page 2 came with it.
    assertThat(rows.get(2).get("stallSeconds").doubleValue()).isEqualTo(.01);
    assertThat(rows.get(2).get("trafficShare").doubleValue()).isEqualTo(1);
    assertThat(rows.get(5).get("policy").asText()).isEqualTo("prestage");
    assertThat(rows.get(5).get("run").intValue()).isEqualTo(8);
    assertThat(rows.get(5).has("bitsPerAccess")).isTrue();
  }
}
