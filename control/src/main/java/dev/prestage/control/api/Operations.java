package dev.prestage.control.api;

import dev.prestage.control.api.Operation.Field;
import dev.prestage.control.api.Operation.Parameter;
import dev.prestage.control.command.Reply;
import io.helidon.http.Method;
import java.util.List;

/// Everything that can be asked of the API. The server refuses what does not stand here, and `GET
/// /v1/openapi.json` says it.
final class Operations {
  private static final Parameter LIMIT =
      new Parameter("limit", "integer", "at most so many rows, from 1 to " + Routes.MAX_LIMIT);
  private static final Parameter TENANT =
      new Parameter("tenant", "string", "whose it is; default without");
  private static final Parameter VM = new Parameter("vm", "string", "of this VM only");

  private static final Parameter PROGRAM =
      new Parameter("program", "string", "of this program only");
  private static final Parameter SINCE =
      new Parameter("since", "string", "from this time on: ISO-8601, or a length such as 2h ago");
  private static final Parameter UNTIL =
      new Parameter("until", "string", "before this time; now without");

  /// Which accesses: the questions about history have them.
  private static final Parameter[] WINDOW = {
    PROGRAM,
    VM,
    new Parameter("type", "string", "of this type of resource only, such as file-block"),
    SINCE,
    UNTIL
  };

  static final List<Operation> ALL =
      List.of(
          Operation.of(Method.POST, "/v1/vms", "Register a VM")
              .taking(
                  field("vm", "its name"),
                  field("program", "what it runs"),
                  optional("tenant", "whose it is; default without"),
                  optional("image", "the file name of its only disk's image"),
                  new Field(
                      "resources",
                      "array",
                      false,
                      "what it is bound to, instead of image",
                      List.of(
                          field("as", "what the VM calls it"),
                          field("type", "of resource, such as file-block"),
                          field("source", "such as an image's file name"))))
              .replying(200, Reply.VmView.class),
          Operation.get("/v1/vms", "All VMs", Reply.Vms.class),
          Operation.get("/v1/vms/{vm}", "One VM", Reply.VmView.class),
          Operation.of(Method.DELETE, "/v1/vms/{vm}", "Remove a VM")
              .with(new Parameter("force", "boolean", "even while its disk is in use")),
          Operation.of(Method.POST, "/v1/vms/{vm}/start", "Its program starts now")
              .replying(200, Reply.VmView.class),
          Operation.of(Method.POST, "/v1/vms/{vm}/stop", "Its program ended")
              .replying(200, Reply.VmView.class),
          Operation.get(
                  "/v1/vms/{vm}/forecast", "What it is expected to touch", Reply.ForecastView.class)
              .with(LIMIT),
          Operation.of(Method.POST, "/v1/allocations", "Stage what a VM is expected to touch")
              .taking(field("vm", "for this VM"))
              .replying(202, Reply.Allocation.class),
          Operation.get("/v1/allocations/{id}", "How far an allocation is", Reply.Allocation.class)
              .with(
                  new Parameter(
                      "wait", "string", "answer when it is done, or after this time, such as 10s")),
          Operation.of(Method.DELETE, "/v1/allocations/{id}", "Take an allocation back"),
          Operation.get("/v1/leases", "Live leases, and the account of all", Reply.Leases.class)
              .with(VM, LIMIT),
          Operation.of(Method.DELETE, "/v1/images/{image}", "Give back what a tier has of an image")
              .with(TENANT)
              .replying(200, Reply.Purged.class),
          Operation.get("/v1/report", "What staging did, by program and type", Reply.Report.class),
          Operation.get("/v1/webhooks", "How webhooks stand", Reply.Webhooks.class),
          Operation.get("/v1/tiers", "The host's tiers", Reply.Tiers.class),
          Operation.get("/v1/host", "Where disks are served and images lie", Reply.Host.class),
          Operation.get("/v1/history", "Accesses", Reply.History.class)
              .with(PROGRAM, VM, SINCE, UNTIL, LIMIT),
          history("/v1/history/top", "What is touched most", Reply.Top.class)
              .with(
                  new Parameter("by", "string", "resource, program, vm or type"),
                  new Parameter("burstGap", "string", "a pause that ends a burst, such as 1s"),
                  LIMIT),
          history("/v1/history/timeline", "Touches by buckets of time", Reply.Timeline.class)
              .with(new Parameter("bucket", "string", "how long one is, such as 1m")),
          history("/v1/history/transitions", "Which unit follows which", Reply.Transitions.class)
              .with(LIMIT),
          history("/v1/history/sequences", "Stretches, strides and n-grams", Reply.Sequences.class)
              .with(LIMIT),
          Operation.of(Method.GET, "/v1/history/export", "Accesses as CSV")
              .with(WINDOW)
              .replyingBytes(Csv.MEDIA_TYPE),
          Operation.of(Method.PUT, "/v1/predicting", "Switch predicting on or off")
              .taking(new Field("on", "boolean", true, "whether it is to be on", List.of())),
          Operation.get("/v1/models", "What was learnt", Reply.Models.class),
          Operation.of(Method.GET, "/v1/models/{program}", "A program's model")
              .with(TENANT)
              .replyingBytes(Routes.BYTES),
          Operation.of(Method.POST, "/v1/models", "Take a model of another host")
              .takingBytes(Routes.BYTES)
              .replying(200, Reply.Imported.class),
          Operation.of(Method.POST, "/v1/models/{program}/training", "Train a program's network")
              .with(TENANT)
              .replying(202, Reply.Training.class),
          Operation.get(
                  "/v1/models/{program}/versions",
                  "The model that serves, and the earlier ones that are kept",
                  Reply.ModelVersions.class)
              .with(TENANT),
          Operation.get(
                  "/v1/models/{program}/diff", "What two of them differ in", Reply.ModelDiff.class)
              .with(
                  TENANT,
                  new Parameter("from", "integer", "the number of one; otherwise the last one"),
                  new Parameter(
                      "to", "integer", "that of the other; otherwise the one that serves")),
          Operation.of(
                  Method.POST, "/v1/models/{program}/rollback", "Have an earlier model serve again")
              .with(
                  TENANT, new Parameter("version", "integer", "its number; otherwise the last one"))
              .replying(200, Reply.ModelVersions.class),
          Operation.of(
                  Method.POST,
                  "/v1/models/{program}/rebuild",
                  "Learn again from history what is known about a program")
              .with(TENANT)
              .replying(202, Reply.Training.class),
          Operation.get(
                  "/v1/programs/{program}/rank",
                  "How much of what its start is expected to touch is on this host",
                  Reply.Rank.class)
              .with(TENANT),
          Operation.of(Method.GET, "/v1/events", "Notices as they come, as server-sent events")
              .replyingBytes("text/event-stream"),
          Operation.of(Method.GET, OpenApi.PATH, "This description")
              .replyingBytes("application/json"),
          Operation.get("/health", "Whether all parts work", Reply.Health.class),
          Operation.of(Method.HEAD, "/health", "Whether it answers").replyingBytes(""),
          Operation.of(Method.GET, "/metrics", "Counters and levels for Prometheus")
              .replyingBytes(PrometheusText.MEDIA_TYPE),
          Operation.of(Method.HEAD, "/metrics", "Whether it answers").replyingBytes(""));

  private Operations() {}

  private static Operation history(String path, String summary, Class<?> reply) {
    return Operation.get(path, summary, reply).with(WINDOW);
  }

  private static Field field(String name, String meaning) {
    return new Field(name, "string", true, meaning, List.of());
  }

  private static Field optional(String name, String meaning) {
    return new Field(name, "string", false, meaning, List.of());
  }

  /// What stands here for a route.
  ///
  /// @throws IllegalArgumentException if that is nothing
  static Operation of(Method method, String path) {
    return ALL.stream()
        .filter(each -> each.method().equals(method) && each.path().equals(path))
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("not described: " + method.text() + " " + path));
  }
}
