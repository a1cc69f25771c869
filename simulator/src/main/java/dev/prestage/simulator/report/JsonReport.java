package dev.prestage.simulator.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.simulator.policy.Calibration;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.trace.Trace;
import org.jspecify.annotations.Nullable;

/// Reports as JSON, for scripts. Ratios are 0 to 1 and more, not percent, but for `cachePercent`,
/// which is null where the cache holds everything. `bitsPerAccess` and `nextAccuracy` stand in rows
/// of policies that say what comes next.
public final class JsonReport {
  private JsonReport() {}

  /// An open loop: one row for each policy, cache and lead.
  public static ObjectNode of(OpenReport report) {
    ObjectNode json = head(report.trace());
    ArrayNode rows = json.putArray("rows");
    for (OpenReport.Row row : report.rows()) {
      OpenLoop.Result result = row.result();
      ObjectNode node = rows.addObject();
      node.put("policy", row.policy());
      node.put("setting", row.setting().toString());
      if (Double.isInfinite(row.cache().percent())) {
        node.putNull("cachePercent");
      } else {
        node.put("cachePercent", row.cache().percent());
      }
      node.put("lead", row.lead());
      node.put("demandMissRatio", result.demandMissRatio());
      node.put("requestMissRatio", result.requestMissRatio());
      node.put("precision", result.precision());
      node.put("uselessPerDemandPage", result.uselessPerDemandPage());
      node.put("withinBudget", row.withinBudget());
      node.put("issued", result.issued());
      node.put("cpuMicrosPerRequest", result.cpuMicrosPerRequest());
      node.put("policyP99Micros", result.policyP99Micros());
      node.put("modelBytes", result.modelBytes());
      if (!Double.isNaN(result.bitsPerAccess())) {
        next(node, result.bitsPerAccess(), result.nextAccuracy());
      }
    }
    calibration(json, report.calibration());
    return json;
  }

  /// A closed loop: one row for each policy and run, in the order in which the runs ended.
  public static ObjectNode of(ClosedReport report) {
    ObjectNode json = head(report.trace());
    ArrayNode rows = json.putArray("rows");
    for (ClosedReport.Row row : report.rows()) {
      for (ClosedLoop.RunResult run : row.result().runs()) {
        ObjectNode node = rows.addObject();
        node.put("policy", row.policy());
        node.put("setting", row.setting().toString());
        node.put("program", run.run().program());
        node.put("run", run.run().number());
        node.put("stream", run.run().stream());
        node.put("stallSeconds", run.stallNanos() / 1e9);
        node.put("demandWaitShare", (double) run.waited() / run.reads());
        node.put("trafficShare", report.trafficShare(run));
        node.put("uselessPerDemandPage", (double) run.useless() / run.reads());
        node.put("withinBudget", row.withinBudget());
        if (row.result().foretells()) {
          next(node, run.bitsPerAccess(), run.nextAccuracy());
        }
      }
    }
    calibration(json, report.calibration());
    return json;
  }

  private static ObjectNode head(Trace trace) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("trace", trace.name());
    json.put("requests", trace.requests());
    json.put("pages", trace.pages());
    json.put("distinctPages", trace.distinctPages());
    json.put("pageBytes", trace.unitBytes());
    ArrayNode warnings = json.putArray("warnings");
    trace.warnings().forEach(warnings::add);
    return json;
  }

  private static void next(ObjectNode node, double bitsPerAccess, double nextAccuracy) {
    node.put("bitsPerAccess", bitsPerAccess);
    node.put("nextAccuracy", nextAccuracy);
  }

  private static void calibration(ObjectNode json, Calibration.@Nullable Summary calibration) {
    if (calibration == null) {
      return;
    }
    ObjectNode node = json.putObject("calibration");
    node.put("ece", calibration.ece());
    node.put("logLoss", calibration.logLoss());
    node.put("brierSkill", calibration.brierSkill());
    ArrayNode bins = node.putArray("bins");
    for (Calibration.Bin bin : calibration.bins()) {
      ObjectNode one = bins.addObject();
      one.put("from", bin.from());
      one.put("to", bin.to());
      one.put("count", bin.count());
      one.put("probability", bin.probability());
      one.put("observed", bin.observed());
    }
  }
}
