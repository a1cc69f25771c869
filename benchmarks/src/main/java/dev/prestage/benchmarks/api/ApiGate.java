package dev.prestage.benchmarks.api;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.Progress;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.function.Consumer;

/// What the API must bear on a host with a thousand VMs: requests at a steady rate, and events for
/// a hundred clients.
public final class ApiGate {
  /// What a person does not notice, and a VM manager's start does not either.
  static final double MOST_MILLIS = 50;

  private static final int PER_SECOND = 500;

  /// Both sides run code that was compiled by then, as on a host that has served for a minute.
  private static final int WARM_SECONDS = 8;

  private static final int SECONDS = 20;
  private static final int READS_PER_SECOND = 50;
  private static final long SEED = 1;

  private ApiGate() {}

  /// Runs it.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  /// @param out hears the latencies by kind of request
  /// @param checks hears each comparison
  public static void run(
      List<String> prestage,
      PrintStream err,
      boolean terminal,
      Consumer<String> out,
      Consumer<Check> checks)
      throws IOException, InterruptedException {
    Progress progress = new Progress(err, terminal, 4);
    progress.begin("starting a host");
    try (ApiSetting setting = ApiSetting.open(prestage)) {
      progress.begin("registering " + ApiSetting.VMS + " VMs");
      checks.accept(
          new Check(
              "requests: seconds to register " + ApiSetting.VMS + " VMs",
              setting.register(),
              "to be seen; aim 2",
              true));
      setting.learn();
      progress.begin("requests");
      requests(setting, out, checks);
      new EventGate(setting, checks).run(progress);
    } finally {
      progress.end();
    }
  }

  private static void requests(ApiSetting setting, Consumer<String> out, Consumer<Check> checks)
      throws IOException, InterruptedException {
    RequestMix mix = new RequestMix(ApiSetting.VMS, PER_SECOND, SEED);
    OpenLoop loop = new OpenLoop(setting.socket(), mix, PER_SECOND);
    OpenLoop.Outcome outcome;
    try (ApiSetting.Guest _ = setting.readOn(READS_PER_SECOND)) {
      OpenLoop.Outcome _ = loop.run(0, WARM_SECONDS);
      outcome = loop.run(WARM_SECONDS * PER_SECOND, SECONDS);
    }
    out.accept(outcome.table());
    outcome.failures().stream().limit(5).forEach(out);
    checks.accept(
        Check.atMost(
            "requests: refused or failed of " + outcome.latencies().count(),
            outcome.failures().size(),
            0));
    checks.accept(
        new Check(
            "requests: ms at " + PER_SECOND + " a second, p50",
            outcome.latencies().millis(.5),
            "to be seen",
            true));
    checks.accept(
        Check.atMost("requests: the same, p99", outcome.latencies().millis(.99), MOST_MILLIS));
    checks.accept(
        new Check("requests: the worst", outcome.latencies().millis(1), "to be seen", true));
  }
}
