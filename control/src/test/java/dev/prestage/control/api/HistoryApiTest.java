package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.client.ApiException;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The routes under `/v1/history`.
final class HistoryApiTest {
  /// 2026-01-01T00:00:00Z.
  private static final long NOW = 1_767_225_600_000_000_000L;

  private static final long SECOND = 1_000_000_000;
  private static final long HOUR = 3600 * SECOND;
  private static final AccessHistory.Selection LAST_HOUR =
      new AccessHistory.Selection(null, null, null, NOW - HOUR, NOW);
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private final FakeCommands commands = new FakeCommands();
  private final NoticeHub hub = new NoticeHub(() -> NOW);
  private ApiServer server;
  private PrestageClient client;

  @BeforeEach
  void start() throws IOException {
    Path socket = folder.resolve("api.sock");
    server = new ApiServer(new ApiServer.Options(socket), commands, hub, () -> NOW);
    client = PrestageClient.onSocket(socket);
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  private JsonNode get(String path) throws IOException {
    return JSON.readTree(client.get(path).text());
  }

  @Test
  void eachQuestionHasItsWindowAndItsDefaults() throws IOException {
    JsonNode top = get("/v1/history/top");
    assertThat(commands.last())
        .isEqualTo(new Command.ShowTop(LAST_HOUR, Command.By.RESOURCE, SECOND, 100));
    assertThat(top.at("/rows/0/name").asText()).isEqualTo("file-block:debian12/1");
    assertThat(top.at("/rows/0/inUseNanos").asLong()).isEqualTo(7);
    get(
        "/v1/history/top?by=vm&burstGap=250ms&program=web&vm=vm1&type=file-block&since=2h&until=1h"
            + "&limit=3");
    assertThat(commands.last())
        .isEqualTo(
            new Command.ShowTop(
                new AccessHistory.Selection(
                    "web", "vm1", ResourceType.FILE_BLOCK, NOW - 2 * HOUR, NOW - HOUR),
                Command.By.VM,
                SECOND / 4,
                3));
    JsonNode transitions = get("/v1/history/transitions");
    assertThat(commands.last()).isEqualTo(new Command.ShowTransitions(LAST_HOUR, 100));
    assertThat(transitions.at("/rows/0/probability").asDouble()).isEqualTo(0.75);
    JsonNode sequences = get("/v1/history/sequences?limit=5");
    assertThat(commands.last()).isEqualTo(new Command.ShowSequences(LAST_HOUR, 5));
    assertThat(sequences.at("/ngrams/0/resources/2").asText()).isEqualTo("c");
    assertThat(sequences.at("/stretches/0/toUnits").asInt()).isEqualTo(7);
  }

  @ParameterizedTest
  @CsvSource({"10s, 1", "1h, 60", "3h, 300", "1d, 3600", "30d, 86400", "365d, 604800"})
  void aTimelineHasBucketsThatFitAScreenUnlessTheyAreGiven(String since, long seconds)
      throws IOException {
    get("/v1/history/timeline?since=" + since);
    assertThat(((Command.ShowTimeline) commands.last()).bucketNanos()).isEqualTo(seconds * SECOND);
    get("/v1/history/timeline?bucket=2h&since=" + since);
    assertThat(((Command.ShowTimeline) commands.last()).bucketNanos()).isEqualTo(2 * HOUR);
  }

  @Test
  void timeBeginsIn1970() throws IOException {
    get("/v1/history/timeline?since=1700-01-01T00:00:00Z");
    assertThat(((Command.ShowTimeline) commands.last()).selection().fromNanos()).isZero();
    get("/v1/history/top?since=1700-01-01T00:00:00Z&until=1800-01-01T00:00:00Z");
    assertThat(((Command.ShowTop) commands.last()).selection().toNanos()).isZero();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "top?by=colour           | 'by' is 'colour'; send one of resource, program, vm, type",
        "top?type=disk           | 'type': unknown resource type 'disk'; one of file-block",
        "top?burstGap=0s         | 'burstGap' is not a length of time",
        "top?burstGap=soon       | 'burstGap' is not a length of time",
        "top?since=1h&until=2h   | 'since' lies after 'until'",
        "top?since=yesterday     | 'since' is not a time",
        "top?bucket=1m           | unknown parameter 'bucket'",
        "timeline?bucket=1ms     | more than 10000 buckets; send a longer 'bucket'",
        "timeline?bucket=-1m     | 'bucket' is not a length of time",
        "timeline?limit=1        | unknown parameter 'limit'",
        "transitions?limit=0     | 'limit' is '0'",
        "export?limit=1          | unknown parameter 'limit'",
        "export?until=PT         | 'until' is not a time",
      })
  void aWrongQuestionIsRefusedInOneLine(String question, String detail) {
    assertThatThrownBy(() -> client.get("/v1/history/" + question))
        .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(400))
        .hasMessageContaining(detail)
        .hasMessageNotContaining("\n");
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void anExportIsEveryRowAsCsvWhateverTheNames() throws IOException {
    commands.stored =
        List.of(FakeCommands.row(NOW - 2, "debian12"), FakeCommands.row(NOW - 1, "a,\"b\"\nc"));
    assertThat(export())
        .isEqualTo(
            """
            timeNanos,tenant,program,vm,type,space,resource,access,sizeBytes,cause,waited,latencyNanos,run
            1767225599999999998,default,web,vm1,file-block,debian12,4711,READ,4096,DEMAND,true,5,7
            1767225599999999999,default,web,vm1,file-block,"a,""b""
            c",4711,READ,4096,DEMAND,true,5,7
            """);
    assertThat(client.get("/v1/history/export").contentType()).startsWith("text/csv");
  }

  @Test
  void anExportOfManyPagesHasEachRowOnce() throws IOException {
    List<AccessHistory.Row> rows = new ArrayList<>();
    for (int i = 0; i < 3 * HistoryRoutes.PAGE_ROWS; i++) {
      // Ten of one time, and a page that lies within one time.
      boolean inOne = i / HistoryRoutes.PAGE_ROWS == 1;
      rows.add(FakeCommands.row(NOW - HOUR + (inOne ? 15_000 : i / 10 * 10), "i" + i));
    }
    rows.sort(Comparator.comparingLong(AccessHistory.Row::timeNanos));
    commands.stored = rows;
    List<String> spaces = export().lines().skip(1).map(line -> line.split(",")[5]).toList();
    assertThat(spaces).isEqualTo(rows.stream().map(AccessHistory.Row::space).toList());
    assertThat(commands.asked).hasSize(4);
  }

  @Test
  void anExportThatFailsBeforeItsBeginIsAProblem() {
    commands.refusal = new Refusal(Refusal.Reason.UNAVAILABLE, "history is being opened");
    assertThatThrownBy(this::export)
        .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(503))
        .hasMessageContaining("history is being opened");
  }

  @Test
  void anExportThatFailsInTheMiddleDoesNotLookWhole() {
    List<AccessHistory.Row> rows = new ArrayList<>();
    for (int i = 0; i < HistoryRoutes.PAGE_ROWS; i++) {
      rows.add(FakeCommands.row(NOW - HOUR + i, "i" + i));
    }
    commands.stored = rows;
    commands.refuseFrom = 2;
    ByteArrayOutputStream some = new ByteArrayOutputStream();
    assertThatThrownBy(() -> client.download("/v1/history/export", some))
        .isInstanceOf(IOException.class);
    assertThat(some.size()).isPositive();
  }

  private String export() throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    client.download("/v1/history/export", all);
    return all.toString(StandardCharsets.UTF_8);
  }
}
