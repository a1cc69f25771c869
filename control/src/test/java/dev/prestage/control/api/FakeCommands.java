package dev.prestage.control.api;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Answers each command with a fixed reply, and remembers what it was asked.
final class FakeCommands implements Commands {
  static final Reply.VmView VM =
      new Reply.VmView(
          "vm1",
          "default",
          "web",
          "debian12.img",
          1 << 30,
          "nbd+unix:///vm1",
          null,
          true,
          true,
          List.of(
              new Reply.ResourceView(
                  "disk0",
                  "file-block",
                  "debian12.img",
                  1 << 30,
                  65536,
                  "bytes",
                  "nbd+unix:///vm1",
                  null,
                  true,
                  new Reply.FillView(1 << 20, 1 << 30, 0, null, false))));

  /// 2026-01-01T00:00:00Z.
  private static final long NOW = 1_767_225_600_000_000_000L;

  static final AccessHistory.Row ROW = row(1, "debian12");

  static AccessHistory.Row row(long timeNanos, String space) {
    return new AccessHistory.Row(
        timeNanos,
        "default",
        "web",
        "vm1",
        ResourceType.FILE_BLOCK,
        space,
        4711,
        AccessType.READ,
        4096,
        Cause.DEMAND,
        true,
        5,
        7);
  }

  /// What is read from history page by page.
  volatile List<AccessHistory.Row> stored = List.of();

  final List<Command> asked = Collections.synchronizedList(new ArrayList<>());
  volatile byte[] model = {1, 0, -1};
  volatile @Nullable Refusal refusal;
  volatile @Nullable RuntimeException failure;

  /// From which command on each is refused; the first is 1.
  volatile int refuseFrom = Integer.MAX_VALUE;

  Command last() {
    return asked.getLast();
  }

  private static Reply.ModelVersions versions(String program) {
    return new Reply.ModelVersions(
        "default",
        program,
        List.of(
            new Reply.ModelVersion(
                2, true, "imported", "2026-01-01T00:00:00Z", null, null, null, null, 0, "", ""),
            new Reply.ModelVersion(
                1, false, "learnt", null, null, null, 1L, 4L, 4096, "first", "")));
  }

  private static Reply.ModelDiff diff(String program) {
    Reply.ModelVersions versions = versions(program);
    return new Reply.ModelDiff(
        "default",
        program,
        versions.versions().get(1),
        versions.versions().get(0),
        List.of(
            new Reply.ModelTypeDiff(
                "file-block",
                4,
                6,
                false,
                true,
                null,
                0.25,
                30,
                40,
                20,
                0.4,
                List.of(new Reply.ModelChange("file-block:debian12/7", 0.0, 0.9)))));
  }

  @Override
  public Reply execute(Command command) throws Refusal {
    asked.add(command);
    Refusal refused = refusal;
    if (refused != null) {
      throw refused;
    }
    if (asked.size() >= refuseFrom) {
      throw new Refusal(Refusal.Reason.UNAVAILABLE, "refused in the middle");
    }
    RuntimeException failed = failure;
    if (failed != null) {
      throw failed;
    }
    return switch (command) {
      case Command.RegisterVm _, Command.StartProgram _, Command.StopProgram _ -> VM;
      case Command.RemoveVm _, Command.SetPredicting _, Command.ReleaseAllocation _ ->
          new Reply.Done();
      case Command.ShowVms(String vm) ->
          new Reply.Vms(vm == null || vm.equals("vm1") ? List.of(VM) : List.of());
      case Command.Allocate _, Command.ShowAllocation _ ->
          new Reply.Allocation(42, "vm1", "web", 10, 8, 3, 2, "staging");
      case Command.ShowLeases _ ->
          new Reply.Leases(
              List.of(
                  new Reply.LeaseView(
                      1, "vm1", "web", "disk0", "debian12", 0, 64, 3, 1, "2026-01-01T00:00:00Z")),
              new Reply.Account(70, 63, Map.of("useful", 7L), 0));
      case Command.ShowForecast _ ->
          new Reply.ForecastView(
              "vm1",
              "web",
              List.of(new Reply.Expected("file-block:debian12/1", 0.8, 12.5, List.of("run-set"))));
      case Command.ShowModels _ ->
          new Reply.Models(
              List.of(
                  new Reply.ModelView(
                      "default", "web", "file-block", 3, 900, 12_000, 1 << 20, true, 0.5, null),
                  new Reply.ModelView(
                      "default",
                      "db",
                      "memory-page",
                      1,
                      9,
                      12,
                      1 << 10,
                      false,
                      null,
                      new Reply.Training("default", "db", Reply.Training.QUEUED, "soon"))));
      case Command.ShowModelVersions(String program, _) -> versions(program);
      case Command.RollBackModel(String program, _, _) -> versions(program);
      case Command.DiffModels(String program, _, _, _) -> diff(program);
      case Command.RebuildModel(String program, _) ->
          new Reply.Training("default", program, Reply.Training.REBUILDING, "reading history");
      case Command.TrainModel(String program, _) ->
          new Reply.Training("default", program, Reply.Training.QUEUED, "soon");
      case Command.PurgeImage _ -> new Reply.Purged(65536);
      case Command.RankProgram(String program, _) ->
          new Reply.Rank(
              "default",
              program,
              65536,
              0,
              0.5,
              List.of(new Reply.RankRow("file-block", 1, 0, 0, 65536, 0, 0.5)));
      case Command.ShowReport _ ->
          new Reply.Report(
              "2026-01-01T00:00:00Z",
              List.of(
                  new Reply.ReportRow(
                      "default",
                      "web",
                      "file-block",
                      9,
                      2,
                      Map.of("useful", 7L),
                      "bytes",
                      7 << 16,
                      0,
                      3.5,
                      10,
                      3,
                      0.25,
                      0.7,
                      null,
                      1.0)),
              List.of(new Reply.ControlRow("default", "web", 1, 3.5, 20, 0.5, 3.0, null, true)));
      case Command.ShowWebhooks _ ->
          new Reply.Webhooks(
              List.of(
                  new Reply.WebhookView(
                      1,
                      "https://hooks.example:8443",
                      List.of("available"),
                      "failing",
                      "status 500",
                      7,
                      12,
                      1,
                      List.of(new Reply.DeadLetter(42, "available", "status 500")))));
      case Command.ShowHost _ ->
          new Reply.Host("/run/nbd.sock", List.of(new Reply.OriginView("nas", "/mnt/images")));
      case Command.ShowTiers _ ->
          new Reply.Tiers(
              List.of(new Reply.TierView("ssd", "ssd", 9, 4, 3, 2, 1, 3, 2, 1, 0, 2, 1, 2, 1)));
      case Command.ShowHistory _ -> new Reply.History(List.of(ROW));
      case Command.ReadHistory(var selection, int skip, int limit) ->
          new Reply.History(
              stored.stream()
                  .filter(row -> row.timeNanos() >= selection.fromNanos())
                  .skip(skip)
                  .limit(limit)
                  .toList());
      case Command.ShowTop _ ->
          new Reply.Top(
              "resource",
              9,
              true,
              List.of(
                  new Reply.TopRow(
                      "default",
                      "file-block:debian12/1",
                      3,
                      0,
                      1,
                      1.0 / 3,
                      1,
                      2,
                      3,
                      4,
                      5,
                      6,
                      7,
                      8)));
      case Command.ShowTimeline(_, long bucketNanos) ->
          new Reply.Timeline(bucketNanos, true, List.of(new Reply.TimelineRow(NOW, 3, 1, 2, 4, 5)));
      case Command.ShowTransitions _ ->
          new Reply.Transitions(
              9, 1, true, List.of(new Reply.Transition("default", "a", "b", 3, 0, 0.75, 5)));
      case Command.ShowSequences _ ->
          new Reply.Sequences(
              9,
              1,
              true,
              List.of(new Reply.Stretches(4, 7, 1, 5)),
              List.of(new Reply.Stride(1, 4, 0, 1)),
              List.of(new Reply.Ngram("default", List.of("a", "b", "c"), 3, 0)));
      case Command.ExportModel _ -> new Reply.Model(ByteBuffer.wrap(model));
      case Command.ImportModel _ -> new Reply.Imported("default", "web", 4, 3253);
      case Command.ShowHealth _ ->
          new Reply.Health(
              "degraded", true, false, Map.of("history", "history at x cannot be written"));
      case Command.ShowCounters _ ->
          new Reply.Counters(
              List.of(
                  new Reply.Counter("demand_reads", Map.of("vm", "a\"b\\c\nd"), true, 12),
                  new Reply.Counter("leases_live", Map.of(), false, 3.5),
                  new Reply.Counter("demand_reads", Map.of("vm", "vm2", "tenant", "t"), true, 1e7),
                  new Reply.Counter("waits_total", Map.of(), true, Double.POSITIVE_INFINITY)));
    };
  }
}
