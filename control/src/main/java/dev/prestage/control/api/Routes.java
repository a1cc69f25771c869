package dev.prestage.control.api;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.command.Role;
import dev.prestage.control.registry.Registered;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.time.Clock;
import io.helidon.common.buffers.DataReader;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.Method;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Every route of the API, each a translation of a request to a [Command] and of its [Reply] to a
/// response.
final class Routes {
  /// Larger than any request that names something; a model has its own limit.
  static final int MAX_JSON_BYTES = 64 * 1024;

  /// A model of a program with 100,000 resources is about 4 MB.
  static final int MAX_MODEL_BYTES = 16 * 1024 * 1024;

  /// An answer of 10,000 rows is about 2.5 MB of JSON.
  static final int MAX_LIMIT = 10_000;

  static final String BYTES = "application/octet-stream";

  private static final int LIMIT = 100;
  private static final System.Logger LOG = System.getLogger(Routes.class.getName());

  private final Commands commands;
  private final EventStreams events;
  private final AllocationWait waits;
  private final Clock clock;

  Routes(Commands commands, EventStreams events, AllocationWait waits, Clock clock) {
    this.commands = commands;
    this.waits = waits;
    this.events = events;
    this.clock = clock;
  }

  /// Ends the connection after a response when either side said `Connection: close`. Helidon 4.5.0
  /// sends that field and goes on reading: a client that waits for the end waits for ever, and a
  /// body that was refused unread would be taken for the next request. Must be a listener's first
  /// filter.
  static void closing(HttpRouting.Builder routing) {
    routing.addFilter((chain, request, response) -> {
      chain.proceed();
      if (response.isSent()
          && (request.headers().containsToken(HeaderValues.CONNECTION_CLOSE)
              || response.headers().containsToken(HeaderValues.CONNECTION_CLOSE))) {
        throw new CloseConnectionException("as announced");
      }
    });
  }

  /// Puts the routes on a listener.
  void on(HttpRouting.Builder routing) {
    route(routing, Method.POST, "/v1/vms", this::register);
    route(routing, Method.GET, "/v1/vms", query -> new Command.ShowVms(null));
    route(routing, Method.GET, "/v1/vms/{vm}", query -> new Command.ShowVms(query.vm()));
    route(
        routing,
        Method.DELETE,
        "/v1/vms/{vm}",
        query -> new Command.RemoveVm(query.vm(), query.flag("force")));
    route(
        routing,
        Method.POST,
        "/v1/vms/{vm}/start",
        query -> new Command.StartProgram(query.noBody().vm()));
    route(
        routing,
        Method.POST,
        "/v1/vms/{vm}/stop",
        query -> new Command.StopProgram(query.noBody().vm()));
    route(
        routing,
        Method.GET,
        "/v1/vms/{vm}/forecast",
        query -> new Command.ShowForecast(query.vm(), query.limit(LIMIT)));
    route(
        routing,
        Method.POST,
        "/v1/allocations",
        query -> new Command.Allocate(query.json().text("vm")));
    Operation waiting = Operations.of(Method.GET, "/v1/allocations/{id}");
    routing.get(
        waiting.path(),
        (request, response) -> {
          Query query = new Query(request, waiting).only();
          Command.ShowAllocation command = allocation(query);
          send(response, command, waits.await(command, query.wait(AllocationWait.LONGEST)));
        });
    route(
        routing,
        Method.DELETE,
        "/v1/allocations/{id}",
        query -> new Command.ReleaseAllocation(allocation(query).allocation()));
    route(
        routing,
        Method.GET,
        "/v1/leases",
        query -> new Command.ShowLeases(query.optional("vm"), query.limit(LIMIT)));
    route(
        routing,
        Method.DELETE,
        "/v1/images/{image}",
        query -> new Command.PurgeImage(query.segment("image"), query.optional("tenant")));
    route(routing, Method.GET, "/v1/report", query -> new Command.ShowReport());
    route(routing, Method.GET, "/v1/webhooks", query -> new Command.ShowWebhooks());
    route(routing, Method.GET, "/v1/tiers", query -> new Command.ShowTiers());
    route(routing, Method.GET, "/v1/host", query -> new Command.ShowHost());
    new HistoryRoutes(commands, clock).on(routing, this);
    route(
        routing,
        Method.PUT,
        "/v1/predicting",
        query -> new Command.SetPredicting(query.json().flag("on")));
    route(
        routing,
        Method.GET,
        "/v1/models/{program}",
        query -> new Command.ExportModel(query.segment("program"), query.optional("tenant")));
    route(
        routing,
        Method.GET,
        "/v1/programs/{program}/rank",
        query -> new Command.RankProgram(query.segment("program"), query.optional("tenant")));
    route(routing, Method.GET, "/v1/models", query -> new Command.ShowModels());
    route(
        routing,
        Method.POST,
        "/v1/models/{program}/training",
        query ->
            new Command.TrainModel(query.noBody().segment("program"), query.optional("tenant")));
    route(
        routing,
        Method.GET,
        "/v1/models/{program}/versions",
        query -> new Command.ShowModelVersions(query.segment("program"), query.optional("tenant")));
    route(
        routing,
        Method.GET,
        "/v1/models/{program}/diff",
        query ->
            new Command.DiffModels(
                query.segment("program"),
                query.optional("tenant"),
                query.optionalNumber("from"),
                query.optionalNumber("to")));
    route(
        routing,
        Method.POST,
        "/v1/models/{program}/rollback",
        query ->
            new Command.RollBackModel(
                query.noBody().segment("program"),
                query.optional("tenant"),
                query.optionalNumber("version")));
    route(
        routing,
        Method.POST,
        "/v1/models/{program}/rebuild",
        query ->
            new Command.RebuildModel(query.noBody().segment("program"), query.optional("tenant")));
    route(
        routing,
        Method.POST,
        "/v1/models",
        query -> new Command.ImportModel(ByteBuffer.wrap(query.body(MAX_MODEL_BYTES))));
    route(routing, Method.GET, "/health", query -> new Command.ShowHealth());
    route(routing, Method.GET, "/metrics", query -> new Command.ShowCounters());
    head(routing, "/health", new Command.ShowHealth());
    head(routing, "/metrics", new Command.ShowCounters());
    byte[] description = Json.write(OpenApi.document());
    Operation describing = Operations.of(Method.GET, OpenApi.PATH);
    routing.get(
        describing.path(),
        (request, response) -> {
          new Query(request, describing).only();
          response.header(HeaderNames.CONTENT_TYPE, "application/json").send(description);
        });
    Operation listening = Operations.of(Method.GET, "/v1/events");
    routing.get(
        listening.path(),
        (request, response) -> {
          new Query(request, listening).only();
          SilentClients.streaming(request);
          events.serve(request, response);
        });
    routing.any((request, _) -> {
      throw new Problem.Thrown(
          Problem.noRoute(request.prologue().method().text(), request.path().rawPath()));
    });
    routing.error(Refusal.class, (_, response, e) -> send(response, Problem.of(e)));
    routing.error(Problem.Thrown.class, (_, response, e) -> send(response, e.problem()));
    routing.error(
        Exception.class,
        (request, response, e) -> {
          LOG.log(
              System.Logger.Level.ERROR,
              "request failed: " + request.prologue().method() + " " + request.path().rawPath(),
              e);
          send(response, Problem.unexpected());
        });
  }

  static void send(ServerResponse response, Problem problem) {
    response
        .status(Status.create(problem.status()))
        .header(HeaderNames.CONTENT_TYPE, Problem.MEDIA_TYPE);
    if (problem.status() == Status.UNAUTHORIZED_401.code()) {
      response.header(HeaderNames.WWW_AUTHENTICATE, "Bearer");
      response.header(HeaderValues.CONNECTION_CLOSE); // the body is not read
    }
    if (problem.status() == Status.REQUEST_ENTITY_TOO_LARGE_413.code()) {
      response.header(HeaderValues.CONNECTION_CLOSE); // nor is the rest of this one
    }
    response.send(Json.write(problem));
  }

  /// Makes a command of a request.
  @FunctionalInterface
  interface Translation {
    Command of(Query query) throws Problem.Thrown, IOException;
  }

  void route(HttpRouting.Builder routing, Method method, String path, Translation translation) {
    Operation operation = Operations.of(method, path);
    routing.route(
        method,
        path,
        (request, response) -> {
          Query query = new Query(request, operation).only();
          Command command = translation.of(query);
          checkRole(request, command);
          send(response, command, commands.execute(command));
        });
  }

  private static void checkRole(ServerRequest request, Command command) throws Problem.Thrown {
    Role role = request.context().get(Role.class).orElseThrow();
    Role needed = Role.needed(command);
    if (!role.includes(needed)) {
      throw new Problem.Thrown(Problem.forbidden(role, needed));
    }
  }

  /// The same question as with GET, without the answer's body.
  private void head(HttpRouting.Builder routing, String path, Command command) {
    Operation operation = Operations.of(Method.HEAD, path);
    routing.route(
        Method.HEAD,
        path,
        (request, response) -> {
          new Query(request, operation).only();
          commands.execute(command);
          response.status(Status.OK_200).send();
        });
  }

  private Command register(Query query) throws Problem.Thrown, IOException {
    Json.Fields fields = query.json();
    return new Command.RegisterVm(
        fields.text("vm"),
        fields.text("program"),
        fields.optionalText("tenant"),
        resources(query, fields));
  }

  /// What a VM is to be bound to: `resources`, or `image` for a VM with one disk.
  private static List<Command.RequestedResource> resources(Query query, Json.Fields fields)
      throws Problem.Thrown {
    List<Json.Fields> listed =
        fields.objects("resources", query.operation().fieldNames("resources"));
    String image = fields.optionalText("image");
    if ((image == null) == listed.isEmpty()) {
      throw new Problem.Thrown(
          Problem.invalid(
              "send either 'image', the file name of the VM's only disk, or 'resources', an array of"
                  + " {\"as\", \"type\", \"source\"}"));
    }
    if (image != null) {
      return List.of(
          new Command.RequestedResource(Registered.FIRST_DISK, ResourceType.FILE_BLOCK, image));
    }
    List<Command.RequestedResource> resources = new ArrayList<>();
    for (Json.Fields resource : listed) {
      try {
        resources.add(
            new Command.RequestedResource(
                resource.text("as"),
                ResourceType.of(resource.text("type")),
                resource.text("source")));
      } catch (IllegalArgumentException e) {
        throw new Problem.Thrown(Problem.invalid(e.getMessage() + ""));
      }
    }
    return resources;
  }

  private static Command.ShowAllocation allocation(Query query) throws Problem.Thrown {
    String id = query.segment("id");
    try {
      return new Command.ShowAllocation(Long.parseLong(id));
    } catch (NumberFormatException _) {
      throw new Problem.Thrown(
          Problem.invalid("'" + id + "' is not an allocation; send the number that POST returned"));
    }
  }

  private static void send(ServerResponse response, Command command, Reply reply)
      throws Problem.Thrown {
    switch (reply) {
      case Reply.Done _ -> response.status(Status.NO_CONTENT_204).send();
      case Reply.Counters counters ->
          response
              .header(HeaderNames.CONTENT_TYPE, PrometheusText.MEDIA_TYPE)
              .send(PrometheusText.of(counters.counters()).getBytes(StandardCharsets.UTF_8));
      case Reply.Model model ->
          response.header(HeaderNames.CONTENT_TYPE, BYTES).send(bytes(model.bytes()));
      case Reply.Vms vms when command instanceof Command.ShowVms(String vm) && vm != null ->
          json(response, one(vm, vms.vms()));
      case Reply.Allocation allocation when command instanceof Command.Allocate ->
          json(response.status(Status.ACCEPTED_202), allocation);
      case Reply.Training training -> json(response.status(Status.ACCEPTED_202), training);
      case Reply.Vms _,
          Reply.VmView _,
          Reply.Allocation _,
          Reply.Leases _,
          Reply.ForecastView _,
          Reply.Tiers _,
          Reply.Host _,
          Reply.Webhooks _,
          Reply.ModelVersions _,
          Reply.ModelDiff _,
          Reply.History _,
          Reply.Aggregate _,
          Reply.Imported _,
          Reply.Models _,
          Reply.Report _,
          Reply.Rank _,
          Reply.Purged _,
          Reply.Health _ ->
          json(response, reply);
    }
  }

  private static void json(ServerResponse response, Object value) {
    response.header(HeaderNames.CONTENT_TYPE, "application/json").send(Json.write(value));
  }

  private static Reply.VmView one(String vm, List<Reply.VmView> vms) throws Problem.Thrown {
    for (Reply.VmView view : vms) {
      if (view.vm().equals(vm)) {
        return view;
      }
    }
    throw new Problem.Thrown(
        Problem.of(
            new Refusal(
                Refusal.Reason.UNKNOWN, "no VM '" + vm + "'; register it with POST /v1/vms")));
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }

  /// What a request says: path, parameters and body.
  ///
  /// @param operation what it may say
  record Query(ServerRequest request, Operation operation) {
    /// Refuses parameters with other names, so that a slip of the pen is not silently ignored.
    Query only() throws Problem.Thrown {
      String[] known = operation.parameterNames();
      for (String name : request.query().names()) {
        if (!Arrays.asList(known).contains(name)) {
          throw new Problem.Thrown(
              Problem.invalid(
                  "unknown parameter '"
                      + name
                      + "'; "
                      + (known.length == 0
                          ? "this route takes none"
                          : "the parameters are " + String.join(", ", known))));
        }
      }
      return this;
    }

    Query noBody() throws Problem.Thrown, IOException {
      byte[] body = body(MAX_JSON_BYTES);
      if (body.length > 0) {
        Json.Fields fields = Json.read(body);
        if (!fields.object().isEmpty()) {
          throw new Problem.Thrown(Problem.invalid("this route takes no body"));
        }
      }
      return this;
    }

    String segment(String name) {
      return request.path().pathParameters().get(name);
    }

    String vm() {
      return segment("vm");
    }

    @Nullable String optional(String name) {
      return request.query().first(name).orElse(null);
    }

    /// Whether a parameter is `true`; one that is absent is `false`.
    boolean flag(String name) throws Problem.Thrown {
      if (!request.query().contains(name)) {
        return false;
      }
      String text = request.query().first(name).orElse("");
      return switch (text) {
        case "true" -> true;
        case "false" -> false;
        default ->
            throw new Problem.Thrown(
                Problem.invalid("'" + name + "' is '" + text + "'; send true or false"));
      };
    }

    /// How long the answer may be waited for; no time if nothing is said.
    Duration wait(Duration longest) throws Problem.Thrown {
      String text = optional("wait");
      if (text == null) {
        return Duration.ZERO;
      }
      Duration wait = Duration.ofNanos(Times.lengthNanos("wait", text));
      if (wait.compareTo(longest) > 0) {
        throw new Problem.Thrown(
            Problem.invalid(
                "'wait' is longer than " + longest.toSeconds() + "s; ask again after that"));
      }
      return wait;
    }

    int limit(int otherwise) throws Problem.Thrown {
      return number("limit", otherwise);
    }

    /// A number from 1, or null if there is none.
    @Nullable Integer optionalNumber(String name) throws Problem.Thrown {
      return optional(name) == null ? null : number(name, 1);
    }

    int number(String name, int otherwise) throws Problem.Thrown {
      String text = optional(name);
      if (text == null) {
        return otherwise;
      }
      try {
        int number = Integer.parseInt(text);
        if (number >= 1 && number <= MAX_LIMIT) {
          return number;
        }
      } catch (NumberFormatException _) {
        // said below
      }
      throw new Problem.Thrown(
          Problem.invalid(
              "'" + name + "' is '" + text + "'; send a number from 1 to " + MAX_LIMIT));
    }

    Json.Fields json() throws Problem.Thrown, IOException {
      return Json.read(body(MAX_JSON_BYTES), operation.fieldNames());
    }

    byte[] body(int limitBytes) throws Problem.Thrown, IOException {
      if (!request.content().hasEntity()) {
        return new byte[0];
      }
      if (request.headers().contentLength().orElse(0) > limitBytes) {
        throw new Problem.Thrown(Problem.tooLarge(limitBytes));
      }
      try {
        // It is not closed: closing reads on to the end of a body, and a malformed one has none.
        InputStream in = request.content().inputStream();
        byte[] body = in.readNBytes(limitBytes + 1);
        if (body.length > limitBytes) {
          throw new Problem.Thrown(Problem.tooLarge(limitBytes));
        }
        SilentClients.received(request);
        return body;
      } catch (IllegalArgumentException
          | IllegalStateException
          | UncheckedIOException
          | DataReader.InsufficientDataAvailableException
          | ServerConnectionException e) {
        // Helidon's words for a chunk whose size is no number, or that ends too early, and for a
        // connection that ended. It cannot answer such a request: before it flushes an answer it
        // reads the rest of the body.
        throw new CloseConnectionException("the body cannot be read", e);
      }
    }
  }
}
