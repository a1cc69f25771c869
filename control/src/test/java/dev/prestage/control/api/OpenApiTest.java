package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import dev.prestage.client.ApiException;
import dev.prestage.client.ApiResponse;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.notice.NoticeHub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The description of the API against what the server takes and answers.
final class OpenApiTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final JsonSchemaFactory SCHEMAS =
      JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);

  /// What is sent where a body is needed.
  private static final Map<String, String> BODIES =
      Map.of(
          "POST /v1/vms",
          "{\"vm\":\"vm1\",\"program\":\"web\",\"resources\":"
              + "[{\"as\":\"disk0\",\"type\":\"file-block\",\"source\":\"a.raw\"}]}",
          "POST /v1/allocations",
          "{\"vm\":\"vm1\"}",
          "PUT /v1/predicting",
          "{\"on\":true}");

  @TempDir Path folder;

  private final NoticeHub hub = new NoticeHub(() -> 0);
  private ApiServer server;
  private PrestageClient client;
  private ObjectNode description;

  @BeforeEach
  void start() throws IOException {
    Path socket = folder.resolve("api.sock");
    server = new ApiServer(new ApiServer.Options(socket), new FakeCommands(), hub, () -> 1);
    client = PrestageClient.onSocket(socket);
    description = (ObjectNode) JSON.readTree(client.get(OpenApi.PATH).text());
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  static Stream<Operation> operations() {
    return Operations.ALL.stream();
  }

  @ParameterizedTest
  @MethodSource("operations")
  void whatIsDescribedIsTakenAndAnsweredAsDescribed(Operation operation) throws IOException {
    String key = operation.method().text() + " " + operation.path();
    String path =
        operation.path().replace("{id}", "42").replace("{vm}", "vm1").replaceAll("\\{\\w+}", "web");
    String node = "/paths/" + operation.path().replace("/", "~1") + "/" + method(operation);
    String body = BODIES.get(key);
    assertThat(body == null).as("needs no body").isEqualTo(operation.body().isEmpty());
    if (body != null) {
      assertThat(problems(node + "/requestBody/content/application~1json/schema", body)).isEmpty();
      assertThat(problems(node + "/requestBody/content/application~1json/schema", "{}"))
          .isNotEmpty();
      assertThatThrownBy(() -> send(operation, path, "{}"))
          .isInstanceOfSatisfying(
              ApiException.class, problem -> assertThat(problem.status()).isEqualTo(400));
    }
    if (method(operation).equals("head") || operation.replyType().equals("text/event-stream")) {
      return;
    }
    ApiResponse answer = send(operation, path, body == null ? "" : body);
    assertThat(answer.status()).isEqualTo(operation.status());
    if (operation.reply() != null) {
      String schema =
          node + "/responses/" + operation.status() + "/content/application~1json/schema";
      assertThat(problems(schema, answer.text())).isEmpty();
      assertThat(problems(schema, "{\"more\":1}")).isNotEmpty();
    } else if (!operation.replyType().isEmpty()) {
      assertThat(answer.contentType()).isEqualTo(operation.replyType());
    }
  }

  private static String method(Operation operation) {
    return operation.method().text().toLowerCase(Locale.ROOT);
  }

  private ApiResponse send(Operation operation, String path, String body) throws IOException {
    return switch (method(operation)) {
      case "get" -> client.get(path);
      case "post" ->
          operation.bodyType().isEmpty()
              ? client.post(path, body)
              : client.postBytes(path, new byte[] {1});
      case "put" -> client.put(path, body);
      case "delete" -> client.delete(path);
      default -> throw new IllegalArgumentException(operation.method().text());
    };
  }

  private Set<ValidationMessage> problems(String pointer, String json) throws IOException {
    assertThat(description.at(pointer).isMissingNode()).as(pointer).isFalse();
    ObjectNode root = description.deepCopy();
    root.put("$ref", "#" + pointer.replace("{", "%7B").replace("}", "%7D"));
    return SCHEMAS.getSchema(root).validate(JSON.readTree(json));
  }

  @Test
  void aProblemIsDescribedToo() throws IOException {
    assertThatThrownBy(() -> client.get("/v1/vms/nobody")).isInstanceOf(ApiException.class);
    JsonNode schema =
        description.at(
            "/paths/~1v1~1vms/get/responses/default/content/application~1problem+json/schema");
    assertThat(schema.path("$ref").asText()).isEqualTo("#/components/schemas/Problem");
  }

  @Test
  void theManualNamesTheSameRoutes() throws IOException {
    String manual = Files.readString(Path.of("../docs/api.md"));
    for (Operation operation : Operations.ALL) {
      String route =
          operation.method().text().equals("HEAD")
              ? "`HEAD` of both"
              : operation.method().text() + " " + operation.path();
      assertThat(manual).contains(route);
    }
  }
}
