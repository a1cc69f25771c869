package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.client.ApiEvent;
import dev.prestage.client.ApiException;
import dev.prestage.client.ApiResponse;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Role;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.stage.Notice;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ApiServerTest {
  /// 2026-01-01T00:00:00Z.
  private static final long NOW = 1_767_225_600_000_000_000L;

  private static final long HOUR = 3_600_000_000_000L;
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String TOKEN = "a-token-of-some-length";

  @TempDir Path folder;

  private final FakeCommands commands = new FakeCommands();
  private final NoticeHub hub = new NoticeHub(() -> NOW);
  private Path socket;
  private ApiServer server;
  private PrestageClient client;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    Path tokenFile = Files.writeString(folder.resolve("token"), TOKEN + "\n");
    Path readers = Files.writeString(folder.resolve("readers"), "read-" + TOKEN);
    Path operators = Files.writeString(folder.resolve("operators"), "operate-" + TOKEN);
    server =
        new ApiServer(
            new ApiServer.Options(
                socket,
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                List.of(
                    new ApiToken(tokenFile, Role.ADMIN),
                    new ApiToken(readers, Role.READ),
                    new ApiToken(operators, Role.OPERATE))),
            commands,
            hub,
            () -> NOW,
            Duration.ofMillis(50));
    client = PrestageClient.onSocket(socket);
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  private static Command.RequestedResource disk(String as, String image) {
    return new Command.RequestedResource(as, ResourceType.FILE_BLOCK, image);
  }

  @Test
  void webhooksAreShownAndAnAllocationCanBeWaitedFor() throws IOException {
    assertThat(JSON.readTree(client.get("/v1/webhooks").text()).path("webhooks").path(0))
        .isEqualTo(
            JSON.readTree(
                """
                {"webhook":1,"url":"https://hooks.example:8443","kinds":["available"],
                 "state":"failing","lastError":"status 500","delivered":7,"failed":12,"dead":1,
                 "deadLetters":[{"id":42,"event":"available","reason":"status 500"}]}\
                """));
    assertThat(client.get("/v1/allocations/42?wait=10ms").text()).contains("\"staging\"");
    assertThatThrownBy(() -> client.get("/v1/allocations/42?wait=26s"))
        .hasMessageContaining("'wait' is longer than 25s");
  }

  @Test
  void aVmHasAsManyResourcesAsItIsRegisteredWith() throws IOException {
    client.post(
        "/v1/vms",
        """
        {"vm":"vm1","program":"web","resources":[
         {"as":"disk0","type":"file-block","source":"a.raw"},
         {"as":"data","type":"file-block","source":"b.raw"}]}\
        """);
    assertThat(commands.last())
        .isEqualTo(
            new Command.RegisterVm(
                "vm1", "web", null, List.of(disk("disk0", "a.raw"), disk("data", "b.raw"))));
    for (String wrong :
        List.of(
            "\"image\":\"a.raw\",\"resources\":[{\"as\":\"a\",\"type\":\"file-block\",\"source\":\"a\"}]",
            "\"resources\":[]",
            "\"resources\":[{\"as\":\"a\",\"type\":\"disk\",\"source\":\"a\"}]",
            "\"resources\":[{\"as\":\"a\",\"type\":\"file-block\"}]",
            "\"resources\":[7]",
            "\"resources\":7")) {
      assertThatThrownBy(
              () -> client.post("/v1/vms", "{\"vm\":\"v\",\"program\":\"p\"," + wrong + "}"))
          .as(wrong)
          .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(400));
    }
  }

  @Test
  void aDetailIsOneLineAndSaysNothingToATerminal() {
    commands.refusal = new Refusal(Refusal.Reason.INVALID, "vm 'a\n\u001b[31mb' is no name");
    assertThatThrownBy(() -> client.get("/v1/vms"))
        .hasMessageContaining("vm 'a\\u{a}\\u{1b}[31mb' is no name");
  }

  @Test
  void eachRouteIsOneCommand() throws IOException {
    ApiResponse registered =
        client.post("/v1/vms", "{\"vm\":\"vm1\",\"program\":\"web\",\"image\":\"debian12.img\"}");
    assertThat(commands.last())
        .isEqualTo(
            new Command.RegisterVm("vm1", "web", null, List.of(disk("disk0", "debian12.img"))));
    assertThat(registered.contentType()).isEqualTo("application/json");
    assertThat(json(registered))
        .isEqualTo(
            JSON.readTree(
                """
                {"vm":"vm1","tenant":"default","program":"web","image":"debian12.img",
                 "imageBytes":1073741824,"uri":"nbd+unix:///vm1","tcpUri":null,"running":true,"served":true,
                 "resources":[{"as":"disk0","type":"file-block","source":"debian12.img","amount":1073741824,
                  "unitAmount":65536,"measure":"bytes","uri":"nbd+unix:///vm1","tcpUri":null,"served":true,
                  "fill":{"heldBytes":1048576,"totalBytes":1073741824,"bytesPerSecond":0,"etaSeconds":null,
                  "complete":false}}]}\
                """));

    client.post(
        "/v1/vms", "{\"vm\":\"vm1\",\"program\":\"web\",\"image\":\"d.img\",\"tenant\":\"blue\"}");
    assertThat(commands.last())
        .isEqualTo(new Command.RegisterVm("vm1", "web", "blue", List.of(disk("disk0", "d.img"))));

    assertThat(json(client.get("/v1/vms")).at("/vms/0/vm").textValue()).isEqualTo("vm1");
    assertThat(commands.last()).isEqualTo(new Command.ShowVms(null));

    assertThat(json(client.get("/v1/vms/vm1")).at("/vm").textValue()).isEqualTo("vm1");
    assertThat(commands.last()).isEqualTo(new Command.ShowVms("vm1"));

    assertThat(client.delete("/v1/vms/vm1").status()).isEqualTo(204);
    assertThat(commands.last()).isEqualTo(new Command.RemoveVm("vm1", false));
    client.delete("/v1/vms/vm1?force=false");
    assertThat(commands.last()).isEqualTo(new Command.RemoveVm("vm1", false));
    client.delete("/v1/vms/vm1?force=true");
    assertThat(commands.last()).isEqualTo(new Command.RemoveVm("vm1", true));

    assertThat(client.post("/v1/vms/vm1/start", "").status()).isEqualTo(200);
    assertThat(commands.last()).isEqualTo(new Command.StartProgram("vm1"));

    assertThat(client.post("/v1/vms/vm1/stop", "{}").status()).isEqualTo(200);
    assertThat(commands.last()).isEqualTo(new Command.StopProgram("vm1"));

    ApiResponse allocation = client.post("/v1/allocations", "{\"vm\":\"vm1\"}");
    assertThat(allocation.status()).isEqualTo(202);
    assertThat(json(allocation).at("/allocation").longValue()).isEqualTo(42);
    assertThat(commands.last()).isEqualTo(new Command.Allocate("vm1"));

    assertThat(json(client.get("/v1/allocations/42")).at("/state").textValue())
        .isEqualTo("staging");
    assertThat(commands.last()).isEqualTo(new Command.ShowAllocation(42));

    assertThat(json(client.get("/v1/leases")).at("/account/outcomes/useful").longValue())
        .isEqualTo(7);
    assertThat(commands.last()).isEqualTo(new Command.ShowLeases(null, 100));
    client.get("/v1/leases?vm=vm%31&limit=5");
    assertThat(commands.last()).isEqualTo(new Command.ShowLeases("vm1", 5));

    assertThat(json(client.get("/v1/vms/vm1/forecast?limit=7")).at("/resources/0/resource"))
        .isEqualTo(JSON.readTree("\"file-block:debian12/1\""));
    assertThat(commands.last()).isEqualTo(new Command.ShowForecast("vm1", 7));

    assertThat(json(client.get("/v1/tiers")).at("/tiers/0/capacityBytes").longValue()).isEqualTo(9);
    assertThat(commands.last()).isEqualTo(new Command.ShowTiers());

    JsonNode host = json(client.get("/v1/host"));
    assertThat(host.at("/nbdSocket").textValue()).isEqualTo("/run/nbd.sock");
    assertThat(host.at("/origins/0/directory").textValue()).isEqualTo("/mnt/images");
    assertThat(commands.last()).isEqualTo(new Command.ShowHost());

    assertThat(json(client.delete("/v1/images/debian12.raw?tenant=t")).at("/bytes").longValue())
        .isEqualTo(65536);
    assertThat(commands.last()).isEqualTo(new Command.PurgeImage("debian12.raw", "t"));

    assertThat(client.put("/v1/predicting", "{\"on\":false}").status()).isEqualTo(204);
    assertThat(commands.last()).isEqualTo(new Command.SetPredicting(false));

    assertThat(client.getBytes("/v1/models/web?tenant=blue")).containsExactly(1, 0, -1);
    assertThat(commands.last()).isEqualTo(new Command.ExportModel("web", "blue"));

    byte[] model = new byte[3_000_000];
    model[2_999_999] = 7;
    assertThat(json(client.postBytes("/v1/models", model)).at("/resources").intValue())
        .isEqualTo(3253);
    assertThat(commands.last()).isEqualTo(new Command.ImportModel(ByteBuffer.wrap(model)));
  }

  @Test
  void historyTakesDatesAndHowLongAgo() throws IOException {
    JsonNode row = json(client.get("/v1/history")).at("/rows/0");
    assertThat(row.at("/type").textValue()).isEqualTo("file-block");
    assertThat(row.at("/access").textValue()).isEqualTo("READ");
    assertThat(commands.last())
        .isEqualTo(new Command.ShowHistory(null, null, NOW - HOUR, NOW, 1000));

    client.get("/v1/history?program=web&vm=vm1&since=2h&until=30m&limit=10000");
    assertThat(commands.last())
        .isEqualTo(new Command.ShowHistory("web", "vm1", NOW - 2 * HOUR, NOW - HOUR / 2, 10_000));

    client.get(
        "/v1/history?since=2025-12-31T23:00:00.000000001Z&until="
            + PrestageClient.encode("2026-01-01T02:00:00+02:00"));
    assertThat(commands.last())
        .isEqualTo(new Command.ShowHistory(null, null, NOW - HOUR + 1, NOW, 1000));

    client.get("/v1/history?since=PT90M&until=500ms");
    assertThat(commands.last())
        .isEqualTo(
            new Command.ShowHistory(null, null, NOW - HOUR * 3 / 2, NOW - 500_000_000, 1000));
  }

  @Test
  void healthIs200AlsoWhenDegraded() throws IOException {
    ApiResponse health = client.get("/health");
    assertThat(health.status()).isEqualTo(200);
    assertThat(json(health).at("/status").textValue()).isEqualTo("degraded");
    assertThat(json(health).at("/parts/history").textValue()).contains("cannot be written");
  }

  @Test
  void metricsAreInPrometheusFormat() throws IOException {
    ApiResponse metrics = client.get("/metrics");
    assertThat(metrics.contentType()).startsWith("text/plain; version=0.0.4");
    assertThat(metrics.text())
        .isEqualTo(
            """
            # HELP prestage_demand_reads_total Reads of guests.
            # TYPE prestage_demand_reads_total counter
            prestage_demand_reads_total{vm="a\\"b\\\\c\\nd"} 12
            prestage_demand_reads_total{tenant="t",vm="vm2"} 10000000
            # HELP prestage_leases_live See docs/api.md.
            # TYPE prestage_leases_live gauge
            prestage_leases_live 3.5
            # HELP prestage_waits_total See docs/api.md.
            # TYPE prestage_waits_total counter
            prestage_waits_total +Inf
            """);
  }

  @ParameterizedTest
  @CsvSource({
    "INVALID, 400, urn:prestage:invalid",
    "UNKNOWN, 404, urn:prestage:unknown",
    "CONFLICT, 409, urn:prestage:conflict",
    "UNAVAILABLE, 503, urn:prestage:unavailable"
  })
  void aRefusalIsAProblem(Refusal.Reason reason, int status, String type) {
    commands.refusal = new Refusal(reason, "no \"vm1\"; register it\u00e4");
    assertThatThrownBy(() -> client.get("/v1/vms/vm1"))
        .isInstanceOfSatisfying(
            ApiException.class,
            e -> {
              assertThat(e.status()).isEqualTo(status);
              assertThat(e.type()).isEqualTo(type);
              assertThat(e.title()).isNotBlank();
              assertThat(e).hasMessage("no \"vm1\"; register it\u00e4");
            });
  }

  @Test
  void aProblemIsOneJsonDocumentOfItsOwnMediaType() throws IOException {
    String answer = raw("GET /v1/nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assertThat(answer).startsWith("HTTP/1.1 404 ").contains("application/problem+json");
    assertThat(JSON.readTree(answer.substring(answer.indexOf("\r\n\r\n") + 4)))
        .isEqualTo(
            JSON.readTree(
                """
                {"type":"urn:prestage:no-route","title":"There is no such route","status":404,
                 "detail":"no route GET /v1/nowhere; the routes are under /v1"}\
                """));
  }

  @Test
  void aBugIsA500ThatTellsNothingOfItself() {
    commands.failure = new IllegalStateException("secret detail");
    assertThatThrownBy(() -> client.get("/v1/vms"))
        .isInstanceOf(ApiException.class)
        .hasMessageContaining("guests are not affected")
        .hasMessageNotContaining("secret")
        .extracting(e -> ((ApiException) e).status())
        .isEqualTo(500);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "/v1/vms         | {\"vm\":1,\"program\":\"p\",\"image\":\"i\"} | 'vm' is not a string",
        "/v1/vms         | {\"vm\":\"v\",\"program\":\"p\"}             | either 'image'",
        "/v1/vms         | {\"vm\":\"v\",\"progam\":\"p\"}              | unknown field 'progam'",
        "/v1/vms         | {\"vm\":\"v\",\"vm\":\"w\"}                  | line 1, column",
        "/v1/vms         | []                                           | not a JSON object",
        "/v1/vms         | {\"vm\": \"a\",,}                            | line 1, column 12",
        "/v1/vms         | {\"vm\": \"a\"} x                            | not JSON",
        "/v1/vms         | ~~                                           | body is empty",
        "/v1/allocations | {}                                           | 'vm' is missing",
        "/v1/vms/v/start | {\"now\":true}                               | unknown field 'now'",
      })
  void aWrongBodyIsRefusedByWhatIsWrong(String path, String body, String detail) {
    assertInvalid(() -> client.post(path, body), detail);
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void malformedJsonIsRefusedByLineAndColumn() {
    assertInvalid(() -> client.put("/v1/predicting", "{\n  \"on\": maybe\n}"), "at line 2, column");
    assertInvalid(() -> client.put("/v1/predicting", "{\"on\": \"yes\"}"), "not true or false");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "/v1/leases?limit=0             | from 1 to 10000",
        "/v1/leases?limit=10001         | from 1 to 10000",
        "/v1/leases?limit=many          | from 1 to 10000",
        "/v1/leases?lmit=3              | unknown parameter 'lmit'",
        "/v1/tiers?x                    | takes none",
        "/v1/allocations/x              | not an allocation",
        "/v1/history?since=yesterday    | 'since' is not a time",
        "/v1/history?since=9999999999d  | 'since' is not a time",
        "/v1/history?since=999999999d   | 'since' is not a time",
        "/v1/history?until=9999-01-01T00:00:00Z | 'until' is not a time",
        "/v1/history?since=1h&until=2h  | 'since' lies after 'until'",
      })
  void aWrongParameterIsRefusedByName(String path, String detail) {
    assertInvalid(() -> client.get(path), detail);
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void aRemovalIsForcedByTrueAndByNothingElse() {
    assertInvalid(() -> client.delete("/v1/vms/vm1?force=yes"), "'force' is 'yes'");
    assertInvalid(() -> client.delete("/v1/vms/vm1?force"), "'force' is ''");
    assertInvalid(() -> client.delete("/v1/vms/vm1?forced=true"), "the parameters are force");
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void anUnknownRouteOrVmIs404() {
    for (Callable<ApiResponse> call :
        List.<Callable<ApiResponse>>of(
            () -> client.get("/"),
            () -> client.get("/v1"),
            () -> client.get("/v2/vms"),
            () -> client.delete("/v1/vms"),
            () -> client.get("/v1/vms/vm1/start"),
            () -> client.get("/v1/vms/vm7"))) {
      assertThatThrownBy(call::call)
          .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(404));
    }
  }

  @Test
  void aBodyThatIsTooLargeIsRefused() {
    for (Callable<ApiResponse> call :
        List.<Callable<ApiResponse>>of(
            () -> client.postBytes("/v1/models", new byte[Routes.MAX_MODEL_BYTES + 1]),
            () -> client.post("/v1/vms", " ".repeat(Routes.MAX_JSON_BYTES + 1)))) {
      assertThatThrownBy(call::call)
          .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(413));
    }
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void aChunkedBodyThatIsTooLargeIsRefused() throws IOException {
    String chunk = "10000\r\n" + " ".repeat(0x10000) + "\r\n";
    assertThat(
            raw(
                "POST /v1/vms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunk
                    + chunk
                    + "0\r\n\r\n"))
        .startsWith("HTTP/1.1 413 ");
  }

  @Test
  void whatIsNotHttpGetsAProblemAndHurtsNobodyElse() throws IOException {
    assertThat(raw("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"))
        .startsWith("HTTP/1.1 400 ")
        .contains("application/problem+json");
    raw("\u0000\u0001\u0002 garbage\r\n\r\n");
    raw("GET / HTTP/1.1\r\n" + "X: y\r\n".repeat(20_000) + "\r\n");
    assertThat(client.get("/v1/tiers").status()).isEqualTo(200);
  }

  @Test
  void twoHundredRequestsAtOnceAreAllAnswered() throws Exception {
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Integer>> answers = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        String path = i % 2 == 0 ? "/v1/vms" : "/metrics";
        answers.add(threads.submit(() -> client.get(path).status()));
      }
      for (Future<Integer> answer : answers) {
        assertThat(answer.get()).isEqualTo(200);
      }
    }
  }

  @Test
  void tcpServesOnlyWhoHasTheToken() throws IOException {
    InetSocketAddress tcp =
        new InetSocketAddress(InetAddress.getLoopbackAddress(), server.tcpPort());
    try (var right = PrestageClient.onTcp(tcp, TOKEN)) {
      assertThat(right.get("/v1/tiers").status()).isEqualTo(200);
    }
    commands.asked.clear();
    for (String wrong : new String[] {"wrong", TOKEN + "x", TOKEN.substring(1)}) {
      try (var other = PrestageClient.onTcp(tcp, wrong)) {
        for (String path : new String[] {"/v1/tiers", "/health", "/metrics", "/v1/nowhere"}) {
          assertThatThrownBy(() -> other.get(path))
              .isInstanceOfSatisfying(
                  ApiException.class, e -> assertThat(e.status()).isEqualTo(401));
        }
        assertThatThrownBy(() -> other.events(null, _ -> {})).isInstanceOf(ApiException.class);
      }
    }
    try (SocketChannel channel = SocketChannel.open(tcp)) {
      assertThat(exchange(channel, "GET /v1/vms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
          .startsWith("HTTP/1.1 401 ")
          .contains("WWW-Authenticate: Bearer")
          .doesNotContain(TOKEN);
    }
    assertThat(commands.asked).isEmpty();
    assertThat(server.counters())
        .anySatisfy(counter -> {
          assertThat(counter.name()).isEqualTo("api_wrong_tokens");
          assertThat(counter.value()).isEqualTo(16);
        });
  }

  @Test
  void aTokenMayDoWhatItsRoleSays() throws IOException {
    InetSocketAddress tcp =
        new InetSocketAddress(InetAddress.getLoopbackAddress(), server.tcpPort());
    try (var reader = PrestageClient.onTcp(tcp, "read-" + TOKEN);
        var operator = PrestageClient.onTcp(tcp, "operate-" + TOKEN);
        var admin = PrestageClient.onTcp(tcp, TOKEN)) {
      assertThat(reader.get("/v1/tiers").status()).isEqualTo(200);
      assertThat(operator.get("/v1/tiers").status()).isEqualTo(200);
      commands.asked.clear();
      assertForbidden(() -> reader.post("/v1/vms/vm1/start", "{}"), "needs the role operate");
      assertForbidden(
          () -> operator.put("/v1/predicting", "{\"on\":false}"), "needs the role admin");
      assertThat(commands.asked).isEmpty();
      assertThat(operator.post("/v1/vms/vm1/start", "{}").status()).isEqualTo(200);
      assertThat(admin.put("/v1/predicting", "{\"on\":false}").status()).isEqualTo(204);
    }
  }

  private static void assertForbidden(ThrowingCallable request, String why) {
    assertThatThrownBy(request)
        .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(403))
        .hasMessageContaining(why);
  }

  @Test
  void tcpWithoutATokenIsRefused() throws IOException {
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    Path other = folder.resolve("other.sock");
    Path empty = Files.writeString(folder.resolve("empty"), "\n");
    Path missing = folder.resolve("missing");
    assertCannotStart(new ApiServer.Options(other, any, List.of()), "without a token");
    assertCannotStart(
        new ApiServer.Options(other, any, List.of(new ApiToken(empty, Role.ADMIN))), "at least 16");
    assertCannotStart(
        new ApiServer.Options(other, any, List.of(new ApiToken(missing, Role.ADMIN))),
        "cannot be read");
    Path one = Files.writeString(folder.resolve("one"), TOKEN);
    assertCannotStart(
        new ApiServer.Options(
            other, any, List.of(new ApiToken(one, Role.READ), new ApiToken(one, Role.ADMIN))),
        "each role needs its own");
    assertThat(other).doesNotExist();
  }

  @Test
  void eventsCarryKindIdAndTimeAndGoOnAfterAReconnect() throws Exception {
    BlockingQueue<ApiEvent> heard = new LinkedBlockingQueue<>();
    Thread thread = listen(client, null, heard);
    eventually("listening", () -> hub.listeners() == 1);
    hub.publish(new Notice.Staged(NOW + 1, "vm1", "web", "debian12", 5, 64, 4_194_304));
    hub.publish(new Notice.Degraded(NOW, "history", "a line\nand another"));
    ApiEvent first = next(heard);
    assertThat(first.kind()).isEqualTo("staged");
    assertThat(JSON.readTree(first.data()))
        .isEqualTo(
            JSON.readTree(
                """
                {"time":"2026-01-01T00:00:00.000000001Z","vm":"vm1","program":"web",
                 "space":"debian12","leaseId":5,"units":64,"bytes":4194304}\
                """));
    ApiEvent second = next(heard);
    assertThat(second.kind()).isEqualTo("degraded");
    assertThat(JSON.readTree(second.data()).at("/text").textValue())
        .isEqualTo("a line\nand another");
    assertThat(Long.parseLong(second.id())).isEqualTo(Long.parseLong(first.id()) + 1);
    client.close();
    thread.join();
    eventually("gone", () -> hub.listeners() == 0);

    hub.publish(new Notice.Available(NOW, "vm1", "web", 42, 8, 9));
    PrestageClient again = PrestageClient.onSocket(socket);
    Thread againThread = listen(again, first.id(), heard);
    assertThat(next(heard)).isEqualTo(second);
    assertThat(next(heard).kind()).isEqualTo("available");
    again.close();
    againThread.join();
    PrestageClient stale = PrestageClient.onSocket(socket);
    Thread staleThread = listen(stale, "7", heard);
    assertThat(next(heard)).isEqualTo(new ApiEvent("", "missed", "{\"after\":\"7\"}"));
    assertThat(next(heard)).isEqualTo(first);
    stale.close();
    staleThread.join();
    assertThatThrownBy(() -> PrestageClient.onSocket(socket).events("x", _ -> {}))
        .isInstanceOf(ApiException.class)
        .hasMessageContaining("Last-Event-ID");
  }

  @Test
  void aSilentStreamIsKeptAlive() throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      send(channel, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
      StringBuilder text = new StringBuilder();
      ByteBuffer buffer = ByteBuffer.allocate(4096);
      while (text.toString().split("(?m)^:\\s*$", -1).length < 4) {
        assertThat(channel.read(buffer.clear())).isPositive();
        text.append(StandardCharsets.UTF_8.decode(buffer.flip()));
      }
      assertThat(text).contains("text/event-stream");
    }
    eventually("gone is noticed", () -> hub.listeners() == 0);
  }

  @Test
  void aClientThatNeverReadsIsCutOffAndNobodyWaitsForIt() throws Exception {
    BlockingQueue<ApiEvent> heard = new LinkedBlockingQueue<>();
    try (SocketChannel deaf = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      send(deaf, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
      Thread thread = listen(client, null, heard);
      eventually("both listen", () -> hub.listeners() == 2);
      long published = 0;
      while (hub.cutOff() == 0) {
        // The one that reads keeps up, batch by batch; the deaf one's buffers fill.
        for (int i = 0; i < 1000; i++) {
          hub.publish(new Notice.Staged(NOW, "vm1", "web", "debian12", published++, 1, 65_536));
        }
        for (int i = 0; i < 1000; i++) {
          next(heard);
        }
        assertThat(published).isLessThan(1_000_000);
      }
      eventually("one is left", () -> hub.listeners() == 1);
      assertThat(hub.cutOff()).isEqualTo(1);
      assertThat(client.get("/v1/tiers").status()).isEqualTo(200);
      // Its connection has ended: reading meets the end after what was in the buffers.
      ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
      assertThatEnds(deaf, buffer);
      hub.publish(new Notice.Degraded(NOW, "x", "y"));
      assertThat(next(heard).kind()).isEqualTo("degraded");
      client.close();
      thread.join();
    }
  }

  @Test
  void closingTheServerEndsStreamsAndRemovesTheSocket() throws Exception {
    Thread thread = listen(client, null, new LinkedBlockingQueue<>());
    eventually("listening", () -> hub.listeners() == 1);
    assertThat(server.health()).isEqualTo("ok");
    server.close();
    thread.join();
    assertThat(socket).doesNotExist();
    assertThat(hub.listeners()).isZero();
    assertThatThrownBy(() -> client.get("/health"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no Prestage at " + socket);
  }

  @Test
  void theSocketIsForThisUserOnly() throws IOException {
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
        .isEqualTo("rw-------");
  }

  @Test
  void anotherUserIsRefusedEvenWhenTheModeWouldLetItIn() throws Exception {
    assumeTrue(
        System.getProperty("user.name").equals("root")
            && Files.isExecutable(Path.of("/usr/bin/setpriv"))
            && Files.isExecutable(Path.of("/usr/bin/curl")),
        "needs root, setpriv and curl");
    Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw-rw-"));
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    // curl may meet the closed connection before the answer, so only the refusal itself is certain.
    assertThat(curlAs(65534)).doesNotContain("200").doesNotContain("tiers");
    assertThat(commands.asked).isEmpty();
    assertThat(server.counters().getFirst().value()).isEqualTo(1);
    assertThat(curlAs(0)).contains("tiers");
    assertThat(server.counters().getFirst().value()).isEqualTo(1);
    // And without the wider mode it does not even get that far.
    Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-------"));
    assertThat(curlAs(65534)).doesNotContain("403").doesNotContain("tiers");
    assertThat(server.counters().getFirst().value()).isEqualTo(1);
  }

  @Test
  void aSocketInUseIsOneClearError() {
    assertCannotStart(new ApiServer.Options(socket), "in use by a running server");
    assertThat(socket).exists();
  }

  @Test
  void aStaleSocketIsReplaced() throws IOException {
    Path stale = folder.resolve("stale.sock");
    try (ServerSocketChannel dead =
        ServerSocketChannel.open(java.net.StandardProtocolFamily.UNIX)) {
      dead.bind(UnixDomainSocketAddress.of(stale));
    }
    assertThat(stale).exists();
    try (var _ = new ApiServer(new ApiServer.Options(stale), commands, hub, () -> NOW);
        PrestageClient other = PrestageClient.onSocket(stale)) {
      assertThat(other.get("/v1/tiers").status()).isEqualTo(200);
    }
  }

  @Test
  void aFileThatIsNoSocketIsNotTouched() throws IOException {
    Path file = Files.writeString(folder.resolve("precious"), "data");
    assertCannotStart(new ApiServer.Options(file), "not a socket");
    assertThat(file).hasContent("data");
  }

  @Test
  void aPathThatTheKernelDoesNotTakeIsOneClearError() {
    Path longPath = folder.resolve("x".repeat(108 - folder.toString().length()));
    assertCannotStart(new ApiServer.Options(longPath), "unix sockets allow 107");
  }

  @Test
  void aTakenPortIsOneClearErrorAndLeavesNoSocket() throws IOException {
    Path other = folder.resolve("other.sock");
    InetSocketAddress taken =
        new InetSocketAddress(InetAddress.getLoopbackAddress(), server.tcpPort());
    assertCannotStart(
        new ApiServer.Options(
            other, taken, List.of(new ApiToken(folder.resolve("token"), Role.ADMIN))),
        "Address already in use");
    assertThat(other).doesNotExist();
  }

  private void assertCannotStart(ApiServer.Options options, String reason) {
    assertThatThrownBy(() -> new ApiServer(options, commands, hub, () -> NOW).close())
        .isInstanceOf(IOException.class)
        .hasMessageContaining(reason)
        .hasMessageNotContaining("\n");
  }

  private static void assertInvalid(Callable<ApiResponse> call, String detail) {
    assertThatThrownBy(call::call)
        .isInstanceOfSatisfying(
            ApiException.class,
            e -> {
              assertThat(e.status()).isEqualTo(400);
              assertThat(e.type()).isEqualTo("urn:prestage:invalid");
              assertThat(e).hasMessageContaining(detail).hasMessageNotContaining("\n");
            });
  }

  private static void assertThatEnds(SocketChannel channel, ByteBuffer buffer) {
    try {
      while (channel.read(buffer.clear()) >= 0) {
        // what was under way when it was cut off
      }
    } catch (IOException _) {
      // a reset is an end, too
    }
  }

  private String curlAs(int user) throws IOException, InterruptedException {
    Process curl =
        new ProcessBuilder(
                "/usr/bin/setpriv",
                "--reuid",
                Integer.toString(user),
                "--clear-groups",
                "/usr/bin/curl",
                "--silent",
                "--show-error",
                "--include",
                "--unix-socket",
                socket.toString(),
                "http://localhost/v1/tiers")
            .redirectErrorStream(true)
            .start();
    String output = new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    curl.waitFor();
    return output;
  }

  private static Thread listen(
      PrestageClient client, @Nullable String lastId, BlockingQueue<ApiEvent> heard) {
    return Thread.ofVirtual()
        .start(() -> {
          try {
            client.events(lastId, heard::add);
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        });
  }

  private static ApiEvent next(BlockingQueue<ApiEvent> heard) throws InterruptedException {
    ApiEvent event = heard.poll(30, TimeUnit.SECONDS);
    if (event == null) {
      throw new AssertionError("no event within 30 s");
    }
    return event;
  }

  private static JsonNode json(ApiResponse response) throws IOException {
    return JSON.readTree(response.body());
  }

  private String raw(String request) throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      return exchange(channel, request);
    }
  }

  private static String exchange(SocketChannel channel, String request) {
    StringBuilder text = new StringBuilder();
    ByteBuffer buffer = ByteBuffer.allocate(8192);
    try {
      send(channel, request);
    } catch (IOException _) {
      // the server has had enough; its answer is still there
    }
    try {
      while (channel.read(buffer.clear()) >= 0) {
        text.append(StandardCharsets.ISO_8859_1.decode(buffer.flip()));
      }
    } catch (IOException _) {
      // likewise
    }
    return text.toString();
  }

  private static void send(SocketChannel channel, String text) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private static void eventually(String what, BooleanSupplier holds) {
    long end = System.nanoTime() + 30_000_000_000L;
    while (!holds.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not within 30 s: " + what);
      }
      LockSupport.parkNanos(1_000_000);
    }
  }
}
