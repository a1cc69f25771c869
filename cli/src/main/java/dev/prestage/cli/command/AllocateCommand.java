package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.cli.config.Quantities;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Has staged what the start of a VM's program is expected to touch, and can wait until it is here.
@Command(
    name = "allocate",
    mixinStandardHelpOptions = true,
    description = {
      "Stage what the start of a VM's program is expected to touch, ahead of it.",
      "With --wait the exit code is 0 when all of it is here, 3 when only a part could be had, and 4"
          + " when the time is over; a VM can be started in each case."
    })
public final class AllocateCommand implements Callable<Integer> {
  private static final int PARTIAL = 3;
  private static final int TIME_OVER = 4;

  /// The API answers within half a minute at the latest, so a longer time is waited in parts.
  private static final Duration PART = Duration.ofSeconds(20);

  @Parameters(paramLabel = "VM")
  private String vm = "";

  @Option(names = "--wait", description = "Wait until it is here, or cannot be had.")
  private boolean wait;

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      defaultValue = "60s",
      description = "How long to wait at most, such as 500ms or 2m. Default: 60s.")
  private String timeout = "60s";

  @Mixin private ApiOptions api = new ApiOptions();

  @Override
  public Integer call() throws IOException {
    Duration longest;
    try {
      longest = Quantities.duration(timeout);
    } catch (IllegalArgumentException e) {
      System.err.println("prestage: --timeout: " + e.getMessage());
      return 2;
    }
    try (PrestageClient client = api.client()) {
      String request = Json.MAPPER.createObjectNode().put("vm", vm).toString();
      String text = client.post("/v1/allocations", request).text();
      JsonNode answer = Json.MAPPER.readTree(text);
      if (!wait) {
        System.out.println(api.json() ? text : begun(answer));
        return 0;
      }
      if (!api.json()) {
        System.out.println(begun(answer));
      }
      String last = await(client, answer.path("allocation").asLong(), longest);
      return end(client, last, longest);
    }
  }

  private static String begun(JsonNode answer) {
    return "allocation %d: %d units planned, %d granted, %d queued"
        .formatted(
            answer.path("allocation").asLong(),
            answer.path("planned").asInt(),
            answer.path("granted").asInt(),
            answer.path("queued").asInt());
  }

  private static String await(PrestageClient client, long allocation, Duration longest)
      throws IOException {
    long end = System.nanoTime() + longest.toNanos();
    while (true) {
      long left = Math.clamp((end - System.nanoTime()) / 1_000_000, 1, PART.toMillis());
      String text = client.get("/v1/allocations/" + allocation + "?wait=" + left + "ms").text();
      boolean staging = Json.MAPPER.readTree(text).path("state").asText().equals("staging");
      if (!staging || System.nanoTime() - end >= 0) {
        return text;
      }
    }
  }

  private int end(PrestageClient client, String text, Duration longest) throws IOException {
    JsonNode answer = Json.MAPPER.readTree(text);
    String state = answer.path("state").asText();
    if (api.json()) {
      System.out.println(text);
    } else {
      System.out.printf(
          "%s: %d of %d units are here%n",
          state, answer.path("ready").asInt(), answer.path("planned").asInt());
    }
    if (state.equals("available")) {
      return 0;
    }
    boolean partial = state.equals("partial");
    int queued = answer.path("queued").asInt();
    System.err.println(
        partial
            ? "prestage: the rest was given up: no capacity, a failure, or it was due too long ago"
            : "prestage: not all is here after "
                + longest.toMillis()
                + " ms"
                + (queued > 0 ? "; " + queued + " units wait for capacity" : "")
                + "; it goes on");
    // What does not work now is the likely reason.
    JsonNode parts = Json.MAPPER.readTree(client.get("/health").text()).path("parts");
    for (Map.Entry<String, JsonNode> part : parts.properties()) {
      if (!part.getValue().asText().equals("ok")) {
        System.err.println("prestage: " + part.getKey() + ": " + part.getValue().asText());
      }
    }
    return partial ? PARTIAL : TIME_OVER;
  }
}
