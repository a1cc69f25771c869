package dev.prestage.control;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Refusal.Reason;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.control.model.ModelStore;
import dev.prestage.control.registry.Registered;
import dev.prestage.control.registry.Registry;
import dev.prestage.engine.Engine;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.Clock;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Carries out commands on the engine thread. What is only shown comes from [Views].
final class CommandExecutor {
  private static final System.Logger LOG = System.getLogger(CommandExecutor.class.getName());
  static final String DEFAULT_TENANT = "default";

  /// Before the name of a snapshot whose file the VM manager maps.
  private static final String MAPPED = "mapped:";

  /// Names become export names, file names and labels.
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

  /// The source of connections, which becomes a label too: a host's name, an IPv4 address or an
  /// IPv6 address in brackets, and a port; then what the data plane understands beside. Names have
  /// up to 253 characters (RFC 1035, 2.3.4).
  private static final Pattern UPSTREAM =
      Pattern.compile(
          "(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\\[[0-9A-Fa-f:.]{2,45}\\]):([0-9]{1,5})"
              + "(?:,proxy=v2)?");

  private final ControlPlane plane;
  private final Registry registry;
  private final Engine engine;
  private final ModelStore models;
  private final Views views;

  private final Map<String, Registration> registrations = new HashMap<>();

  /// A registration that the data plane has not answered yet, and who waits for it.
  private static final class Registration {
    final Registered asked;
    final Registry.Mark before;
    final Registry.Mark after;
    final List<CompletableFuture<Reply>> replies = new ArrayList<>();
    final Map<Integer, Binding> bound = new HashMap<>();
    int unanswered;
    @Nullable Refusal refusal;

    Registration(Registered asked, Registry.Mark before, Registry.Mark after) {
      this.asked = asked;
      this.unanswered = asked.bindings().size();
      this.before = before;
      this.after = after;
    }
  }

  CommandExecutor(
      ControlPlane plane, Registry registry, Engine engine, ModelStore models, Clock clock) {
    this.plane = plane;
    this.registry = registry;
    this.engine = engine;
    this.models = models;
    this.views = new Views(plane, registry, engine, clock);
  }

  /// A step towards a reply.
  @FunctionalInterface
  private interface Attempt {
    void run() throws Refusal;
  }

  /// Executes a command; the reply may come later, when the data plane has answered.
  void execute(Command command, CompletableFuture<Reply> reply) {
    attempt(() -> begin(command, reply), reply);
  }

  private void begin(Command command, CompletableFuture<Reply> reply) throws Refusal {
    switch (command) {
      case Command.RegisterVm register -> register(register, reply);
      case Command.RemoveVm remove -> remove(remove, reply);
      case Command.PurgeImage(String image, String tenant) ->
          plane.purge(
              named("tenant", tenant == null ? DEFAULT_TENANT : tenant),
              named("image", image),
              outcome -> purged(outcome, reply));
      case Command.RebuildModel(String name, String tenant) -> {
        Program program = knownProgram(name, tenant);
        plane.list(program);
        aside(() -> plane.rebuild(program), reply);
      }
      case Command.ShowModelVersions(String name, String tenant) -> {
        Program program = knownProgram(name, tenant);
        aside(() -> plane.swaps().show(program), reply);
      }
      case Command.DiffModels(String name, String tenant, Integer from, Integer to) -> {
        Program program = knownProgram(name, tenant);
        aside(() -> plane.swaps().diff(program, from, to), reply);
      }
      case Command.RollBackModel(String name, String tenant, Integer version) -> {
        Program program = knownProgram(name, tenant);
        aside(() -> plane.swaps().rollBack(program, version), reply);
      }
      case Command.ImportModel(ByteBuffer model) ->
          aside(() -> plane.swaps().importModel(model), reply);
      default -> reply.complete(answer(command));
    }
  }

  /// Makes a step if somebody still waits for the reply; what it throws is the reply.
  private static void attempt(Attempt step, CompletableFuture<Reply> reply) {
    if (reply.isDone()) {
      return;
    }
    try {
      step.run();
    } catch (UncheckedIOException e) {
      reply.completeExceptionally(new Refusal(Reason.UNAVAILABLE, e.getMessage() + ""));
    } catch (Refusal | RuntimeException e) {
      reply.completeExceptionally(e);
    }
  }

  /// What asks history or files, and may wait for the engine thread.
  @FunctionalInterface
  private interface Slow {
    Reply answer() throws Refusal, InterruptedException;
  }

  private static void aside(Slow slow, CompletableFuture<Reply> reply) {
    Thread.ofVirtual()
        .name("command")
        .start(() ->
            attempt(
                () -> {
                  try {
                    reply.complete(slow.answer());
                  } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                  }
                },
                reply));
  }

  private Reply answer(Command command) throws Refusal {
    return switch (command) {
      case Command.ShowVms(String name) ->
          views.vms(name == null ? registry.vms() : List.of(known(name)));
      case Command.StartProgram(String name) -> {
        if (plane.isUnserved(known(name))) {
          throw new Refusal(
              Reason.UNAVAILABLE,
              "VM "
                  + name
                  + " has no disk now; health says why. An image that cannot be opened is tried again"
                  + " by itself; for one that has changed, remove and add the VM");
        }
        plane.started(known(name).vm());
        yield views.of(known(name));
      }
      case Command.StopProgram(String name) -> {
        engine.stopped(known(name).vm().id());
        yield views.of(known(name));
      }
      case Command.Allocate(String name) -> allocate(known(name).vm());
      case Command.ShowAllocation(long id) -> allocation(id);
      case Command.ReleaseAllocation(long id) -> {
        if (!engine.release(id)) {
          throw noAllocation(id);
        }
        yield new Reply.Done();
      }
      case Command.ShowLeases(String name, int limit) ->
          views.leases(name == null ? null : known(name).vm(), limit);
      case Command.ShowForecast(String name, int limit) -> views.forecast(known(name), limit);
      case Command.RankProgram(String program, String tenant) ->
          rank(knownProgram(program, tenant));
      case Command.ShowReport _ -> views.report();
      case Command.ShowTiers _ -> views.tiers();
      case Command.ShowWebhooks _ -> new Reply.Webhooks(plane.webhooks());
      case Command.ShowHost _ ->
          new Reply.Host(plane.options().nbdSocket().toString(), plane.origins());
      case Command.SetPredicting(boolean on) -> {
        registry.keepPredicting(on);
        engine.predicting(on);
        yield new Reply.Done();
      }
      case Command.ExportModel(String program, String tenant) -> export(program, tenant);
      case Command.ShowModels _ -> models.view(plane::training);
      case Command.TrainModel(String program, String tenant) ->
          plane.train(knownProgram(program, tenant));
      case Command.ShowHealth _ -> views.health();
      case Command.ShowCounters _ -> new Reply.Counters(new Counters(plane, engine, models).all());
      case Command.RegisterVm _,
          Command.RemoveVm _,
          Command.PurgeImage _,
          Command.RebuildModel _,
          Command.ShowModelVersions _,
          Command.DiffModels _,
          Command.RollBackModel _,
          Command.ImportModel _,
          Command.HistoryQuestion _ ->
          throw new IllegalArgumentException("not answered here: " + command);
    };
  }

  // ---- VMs

  private void register(Command.RegisterVm command, CompletableFuture<Reply> reply) throws Refusal {
    String tenant = named("tenant", command.tenant() == null ? DEFAULT_TENANT : command.tenant());
    String name = named("vm", command.vm());
    String program = named("program", command.program());
    checkResources(command.resources());
    Registered known = registry.vm(name);
    if (known != null) {
      refuseOther(known, tenant, program, command.resources());
      if (plane.isUnserved(known)) {
        bindAgain(known, reply);
      } else {
        reply.complete(views.of(known));
      }
      return;
    }
    Registration asked = registrations.get(name);
    if (asked != null) {
      refuseOther(asked.asked, tenant, program, command.resources());
      asked.replies.add(reply);
      return;
    }
    Registry.Mark before = registry.mark();
    Registered registered = numbered(name, tenant, program, command.resources());
    if (!registered.bindings().isEmpty()) {
      // The data plane must not know numbers that a restart would give to another.
      try {
        registry.save();
      } catch (UncheckedIOException e) {
        registry.takeBack(before);
        throw e;
      }
    }
    Registration registration = new Registration(registered, before, registry.mark());
    registration.replies.add(reply);
    registrations.put(name, registration);
    for (Binding binding : registered.bindings()) {
      plane.bind(binding, outcome -> answered(registration, binding, outcome));
    }
    if (registered.bindings().isEmpty()) {
      engine.added(registered.vm());
      answered(registration);
    }
  }

  private static void checkResources(List<Command.RequestedResource> resources) throws Refusal {
    Set<String> names = new HashSet<>();
    for (Command.RequestedResource resource : resources) {
      if (!names.add(named("resource", resource.as()))) {
        throw new Refusal(
            Reason.INVALID, "two resources are called '" + resource.as() + "'; each needs its own");
      }
      if (resource.type() == ResourceType.NETWORK_CONNECTION) {
        checkUpstream(resource.source());
      } else {
        named(resource.type() == ResourceType.IO_BANDWIDTH ? "origin" : "image", nameIn(resource));
      }
    }
  }

  private static void checkUpstream(String source) throws Refusal {
    Matcher parts = UPSTREAM.matcher(source);
    if (!parts.matches() || !isPort(parts.group(1))) {
      throw new Refusal(
          Reason.INVALID,
          "upstream '"
              + source
              + "' is not host:port, such as db.example.org:5432, [2001:db8::1]:5432 or"
              + " web.example.org:8080,proxy=v2");
    }
  }

  private static boolean isPort(String digits) {
    int port = Integer.parseInt(digits);
    return port >= 1 && port <= 65535;
  }

  /// The VM with numbers for it and all that it is bound to; how large that is the edge will say.
  private Registered numbered(
      String name, String tenant, String program, List<Command.RequestedResource> resources) {
    Vm vm = new Vm(registry.newNumber(), name, registry.program(tenant, program));
    List<Binding> bindings = new ArrayList<>();
    for (Command.RequestedResource resource : resources) {
      int space = registry.number(new Spaces.Name(tenant, resource.type(), resource.source()));
      bindings.add(
          new Binding(
              registry.newNumber(), vm, resource.as(), registry.space(space, Shape.blocks(1))));
    }
    return new Registered(vm, bindings);
  }

  /// Binds what cannot be used now once more, for somebody who registers a VM again.
  private void bindAgain(Registered known, CompletableFuture<Reply> reply) {
    List<Binding> unserved = known.bindings().stream().filter(plane::isUnserved).toList();
    AtomicInteger unanswered = new AtomicInteger(unserved.size());
    for (Binding binding : unserved) {
      plane.bind(
          binding,
          outcome -> {
            Refusal refusal = outcome.refusal();
            if (refusal != null) {
              reply.completeExceptionally(refusal);
            } else if (unanswered.decrementAndGet() == 0) {
              reply.complete(views.of(known));
            }
          });
    }
  }

  private static void refuseOther(
      Registered known, String tenant, String program, List<Command.RequestedResource> resources)
      throws Refusal {
    Program runs = known.vm().program();
    List<Command.RequestedResource> bound =
        known.bindings().stream()
            .map(b -> new Command.RequestedResource(b.as(), b.space().type(), b.space().name()))
            .toList();
    if (!runs.key().equals(new Program.Key(tenant, program)) || !bound.equals(resources)) {
      throw new Refusal(
          Reason.CONFLICT,
          "VM "
              + known.vm().name()
              + " is registered with program "
              + runs.name()
              + " and "
              + known.bindings().stream()
                  .map(b -> b.space().name() + " as " + b.as())
                  .collect(Collectors.joining(", "))
              + " of tenant "
              + runs.tenant()
              + "; remove it first");
    }
  }

  /// The data plane has answered for one binding; when it has for all, they are kept or all undone.
  /// The engine learns of each at once, because what is ready of its space is said next.
  private void answered(Registration registration, Binding binding, ControlPlane.Outcome outcome) {
    Shape shape = outcome.shape();
    if (shape != null) {
      Space space = registry.space(binding.space().id(), shape);
      Binding bound = new Binding(binding.id(), binding.vm(), binding.as(), space);
      registration.bound.put(binding.id(), bound);
      engine.bound(bound);
    } else if (registration.refusal == null) {
      Refusal refusal = outcome.refusal();
      registration.refusal =
          refusal == null ? new Refusal(Reason.UNAVAILABLE, "the data plane did not say") : refusal;
    }
    registration.unanswered--;
    if (registration.unanswered == 0) {
      answered(registration);
    }
  }

  private void answered(Registration registration) {
    Registered asked = registration.asked;
    registrations.remove(asked.vm().name());
    Refusal refusal = registration.refusal;
    if (refusal == null) {
      Registered registered = withShapes(registration);
      refusal = keep(registered, registration);
      if (refusal == null) {
        registration.replies.forEach(reply -> reply.complete(views.of(registered)));
        return;
      }
    }
    engine.detached(asked.vm().id());
    // The data plane would go on trying.
    asked.bindings().forEach(binding -> plane.unbind(binding, _ -> {}));
    if (refusal.reason() == Reason.INVALID && registry.isUntouchedSince(registration.after)) {
      forgetNames(registration);
    }
    for (CompletableFuture<Reply> reply : registration.replies) {
      reply.completeExceptionally(refusal);
    }
  }

  private static Registered withShapes(Registration registration) {
    Registered asked = registration.asked;
    return new Registered(
        asked.vm(),
        asked.bindings().stream()
            .map(binding -> registration.bound.getOrDefault(binding.id(), binding))
            .toList());
  }

  /// The data plane refused, so it knows no number of this registration, and neither does anybody
  /// else.
  private void forgetNames(Registration registration) {
    registry.takeBack(registration.before);
    try {
      registry.save();
    } catch (UncheckedIOException e) {
      LOG.log(WARNING, e.getMessage());
    }
  }

  /// Keeps a VM that is attached, if anyone still waits for it: who was told that there was no
  /// answer must not find it registered later.
  private @Nullable Refusal keep(Registered registered, Registration registration) {
    if (registration.replies.stream().allMatch(CompletableFuture::isDone)) {
      return new Refusal(
          Reason.UNAVAILABLE, "nobody waits for VM " + registered.vm().name() + " any more");
    }
    registry.keep(registered);
    try {
      registry.save();
    } catch (UncheckedIOException e) {
      registry.remove(registered);
      return new Refusal(Reason.UNAVAILABLE, e.getMessage() + "");
    }
    return null;
  }

  private void remove(Command.RemoveVm command, CompletableFuture<Reply> reply) throws Refusal {
    Registered registered = known(command.vm());
    Duration mayReconnect = plane.mayReconnectFor(registered.vm());
    if (!command.force() && !mayReconnect.isZero() && plane.connections(registered.vm()) == 0) {
      throw new Refusal(
          Reason.CONFLICT,
          "the data plane was started a short while ago, and a guest of VM "
              + command.vm()
              + " may come back to its disk within "
              + (mayReconnect.toSeconds() + 1)
              + " s; ask again then, or remove the VM with --force (force=true in the API)");
    }
    if (command.force()) {
      remove(registered, reply);
    } else {
      // The last report may be a second old: a guest may have ended since, or connected.
      plane.afterNextReport(() -> attempt(() -> removeUnread(command.vm(), reply), reply));
    }
  }

  private void removeUnread(String name, CompletableFuture<Reply> reply) throws Refusal {
    Registered registered = known(name);
    if (plane.hasMemory(registered.vm())) {
      throw new Refusal(
          Reason.CONFLICT,
          "the memory of VM "
              + name
              + " is being served, and its guest would hang at the next missing page; stop the"
              + " guest first, or remove the VM with --force (force=true in the API)");
    }
    long connections = plane.connections(registered.vm());
    if (connections > 0) {
      throw new Refusal(
          Reason.CONFLICT,
          "the disk of VM "
              + name
              + " has "
              + connections
              + (connections == 1 ? " open NBD connection" : " open NBD connections")
              + ", and its guest would get I/O errors; stop the guest first, or remove the VM with"
              + " --force (force=true in the API)");
    }
    remove(registered, reply);
  }

  private void remove(Registered registered, CompletableFuture<Reply> reply) throws Refusal {
    Vm vm = registered.vm();
    if (!registry.isComplete() && !plane.isLinked()) {
      // Nobody says with the next connection who is gone.
      throw new Refusal(
          Reason.UNAVAILABLE,
          "VM "
              + vm.name()
              + " cannot be removed while the data plane is away, because registrations were lost"
              + " once; try again");
    }
    registry.remove(registered);
    try {
      registry.save();
    } catch (UncheckedIOException e) {
      registry.keep(registered);
      throw e;
    }
    engine.detached(vm.id());
    plane.forget(registered);
    // One that cannot be reached learns of it with the next connection.
    AtomicInteger unanswered = new AtomicInteger(registered.bindings().size());
    for (Binding binding : registered.bindings()) {
      plane.unbind(
          binding,
          _ -> {
            if (unanswered.decrementAndGet() == 0) {
              reply.complete(new Reply.Done());
            }
          });
    }
    if (registered.bindings().isEmpty()) {
      reply.complete(new Reply.Done());
    }
  }

  private static void purged(ControlPlane.Outcome outcome, CompletableFuture<Reply> reply) {
    Refusal refusal = outcome.refusal();
    if (refusal == null) {
      reply.complete(new Reply.Purged(outcome.amount()));
    } else {
      reply.completeExceptionally(refusal);
    }
  }

  private Registered known(String name) throws Refusal {
    Registered registered = registry.vm(name);
    if (registered == null) {
      throw new Refusal(Reason.UNKNOWN, "no VM is registered as '" + name + "'; register it first");
    }
    return registered;
  }

  /// The name in what a resource comes from. A file that the VM manager maps has a word before it.
  private static String nameIn(Command.RequestedResource resource) {
    String source = resource.source();
    return resource.type() == ResourceType.MEMORY_PAGE && source.startsWith(MAPPED)
        ? source.substring(MAPPED.length())
        : source;
  }

  static String named(String what, @Nullable String value) throws Refusal {
    if (value == null || !NAME.matcher(value).matches()) {
      throw new Refusal(
          Reason.INVALID,
          what
              + " "
              + (value == null ? "is missing" : "'" + value + "' is no name")
              + ": 1 to 128 letters, digits, '.', '_' or '-', not beginning with '.'");
    }
    return value;
  }

  // ---- allocations

  private Reply allocate(Vm vm) throws Refusal {
    if (!engine.isPredicting()) {
      throw new Refusal(
          Reason.CONFLICT, "predicting is off, so nothing is staged; switch it on first");
    }
    Engine.AllocationState state = engine.allocate(vm.id());
    if (state == null) {
      throw new Refusal(Reason.UNAVAILABLE, "VM " + vm.name() + " is not attached yet; try again");
    }
    return Views.of(state);
  }

  private Reply allocation(long id) throws Refusal {
    Engine.AllocationState state = engine.allocation(id);
    if (state == null) {
      throw noAllocation(id);
    }
    return Views.of(state);
  }

  private static Refusal noAllocation(long id) {
    return new Refusal(
        Reason.UNKNOWN,
        "no allocation "
            + id
            + ": it never was, it was taken back, a newer one replaced it, or its VM's program stopped");
  }

  // ---- models

  private Program knownProgram(String program, @Nullable String tenant) throws Refusal {
    Program known =
        registry.known(
            named("tenant", tenant == null ? DEFAULT_TENANT : tenant), named("program", program));
    if (known == null) {
      throw new Refusal(Reason.UNKNOWN, "no program '" + program + "' was ever registered here");
    }
    return known;
  }

  /// Of content only: a host does not hold connections and shares of links for copies to come.
  private Reply rank(Program program) {
    return views.rank(
        program,
        Stream.of(ResourceType.FILE_BLOCK, ResourceType.MEMORY_PAGE)
            .filter(type -> models.has(program, type))
            .toList());
  }

  private Reply export(String program, @Nullable String tenant) throws Refusal {
    Program known = knownProgram(program, tenant);
    try {
      return new Reply.Model(ByteBuffer.wrap(models.export(known)));
    } catch (ModelException e) {
      throw new Refusal(Reason.UNKNOWN, String.valueOf(e.getMessage()));
    }
  }

  /// What serves a program now, or nothing.
  Optional<ModelStore.Exported> outgoing(Program.Key program) {
    Program known = registry.known(program.tenant(), program.name());
    return known == null ? Optional.empty() : models.outgoing(known);
  }

  /// Whether anything was learnt about a program.
  boolean knows(Program.Key program) {
    Program known = registry.known(program.tenant(), program.name());
    return known != null && models.runs(known) > 0;
  }

  Reply importModel(ByteBuffer bytes) throws Refusal {
    ModelBundle model = take(bytes, models::replace);
    return new Reply.Imported(model.tenant(), model.program(), model.runs(), model.resources());
  }

  /// Has models from elsewhere serve, if all of them can be read and their names be kept.
  ModelBundle take(ByteBuffer bytes, BiConsumer<Program, ModelStore.Offer> how) throws Refusal {
    Registry.Mark before = registry.mark();
    ModelStore.Offer offer;
    Program program;
    boolean taken = false;
    try {
      // The store looks for files by these names.
      ModelBundle said = ModelBundle.check(bytes);
      String tenant = named("tenant", said.tenant());
      String name = named("program", said.program());
      offer = models.decode(bytes, registry);
      program = registry.program(tenant, name);
      registry.save();
      taken = true;
    } catch (ModelException e) {
      throw new Refusal(Reason.INVALID, "the model is refused: " + e.getMessage());
    } finally {
      if (!taken) {
        registry.takeBack(before);
      }
    }
    how.accept(program, offer);
    return offer.models();
  }
}
