package dev.prestage.control;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Refusal.Reason;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelStore;
import dev.prestage.control.registry.Registry;
import dev.prestage.engine.Engine;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Carries out commands on the engine thread.
final class CommandExecutor {
  private static final String DEFAULT_TENANT = "default";

  /// Names become export names, file names and labels.
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

  private final ControlPlane plane;
  private final Registry registry;
  private final Engine engine;
  private final ModelStore models;
  private final Clock clock;

  private final Map<String, Registration> registrations = new HashMap<>();

  /// A registration that the data plane has not answered yet, and who waits for it.
  private static final class Registration {
    final Vm vm;
    final List<CompletableFuture<Reply>> replies = new ArrayList<>();

    Registration(Vm vm) {
      this.vm = vm;
    }
  }

  CommandExecutor(
      ControlPlane plane, Registry registry, Engine engine, ModelStore models, Clock clock) {
    this.plane = plane;
    this.registry = registry;
    this.engine = engine;
    this.models = models;
    this.clock = clock;
  }

  /// Executes a command; the reply may come later, when the data plane has answered.
  void execute(Command command, CompletableFuture<Reply> reply) {
    if (reply.isDone()) {
      return;
    }
    try {
      switch (command) {
        case Command.RegisterVm register -> register(register, reply);
        case Command.RemoveVm(String name) -> remove(known(name), reply);
        default -> reply.complete(answer(command));
      }
    } catch (UncheckedIOException e) {
      reply.completeExceptionally(new Refusal(Reason.UNAVAILABLE, e.getMessage() + ""));
    } catch (Refusal | RuntimeException e) {
      reply.completeExceptionally(e);
    }
  }

  private Reply answer(Command command) throws Refusal {
    return switch (command) {
      case Command.ShowVms(String name) -> vms(name);
      case Command.StartProgram(String name) -> {
        engine.started(known(name).id());
        yield view(known(name));
      }
      case Command.StopProgram(String name) -> {
        engine.stopped(known(name).id());
        yield view(known(name));
      }
      case Command.Allocate(String name) -> allocate(known(name));
      case Command.ShowAllocation(long id) -> allocation(id);
      case Command.ShowLeases(String name, int limit) -> leases(name, limit);
      case Command.ShowForecast(String name, int limit) -> forecast(known(name), limit);
      case Command.ShowTiers _ -> tiers();
      case Command.SetPredicting(boolean on) -> {
        registry.keepPredicting(on);
        engine.predicting(on);
        yield new Reply.Done();
      }
      case Command.ExportModel(String program, String tenant) -> export(program, tenant);
      case Command.ImportModel(ByteBuffer model) -> importModel(model);
      case Command.ShowHealth _ -> health();
      case Command.ShowCounters _ -> new Reply.Counters(new Counters(plane, engine).all());
      case Command.RegisterVm _, Command.RemoveVm _, Command.ShowHistory _ ->
          throw new IllegalArgumentException("not answered here: " + command);
    };
  }

  // ---- VMs

  private void register(Command.RegisterVm command, CompletableFuture<Reply> reply) throws Refusal {
    String tenant = named("tenant", command.tenant() == null ? DEFAULT_TENANT : command.tenant());
    String name = named("vm", command.vm());
    String image = named("image", command.image());
    String program = named("program", command.program());
    Vm before = registry.vm(name);
    if (before != null) {
      refuseOther(before, tenant, program, image);
      reply.complete(view(before));
      return;
    }
    Registration asked = registrations.get(name);
    if (asked != null) {
      refuseOther(asked.vm, tenant, program, image);
      asked.replies.add(reply);
      return;
    }
    int number = registry.number(new Spaces.Name(tenant, ResourceType.FILE_BLOCK, image));
    Vm vm =
        new Vm(
            registry.newVm(), name, registry.program(tenant, program), registry.space(number, 0));
    // The data plane must not know numbers that a restart would give to another.
    registry.save();
    Registration registration = new Registration(vm);
    registration.replies.add(reply);
    registrations.put(name, registration);
    plane.attach(vm, outcome -> attached(registration, outcome));
  }

  private static void refuseOther(Vm vm, String tenant, String program, String image)
      throws Refusal {
    boolean same =
        vm.program().tenant().equals(tenant)
            && vm.program().name().equals(program)
            && vm.space().name().equals(image);
    if (!same) {
      throw new Refusal(
          Reason.CONFLICT,
          "VM "
              + vm.name()
              + " is registered with program "
              + vm.program().name()
              + " and image "
              + vm.space().name()
              + " of tenant "
              + vm.program().tenant()
              + "; remove it first");
    }
  }

  private void attached(Registration registration, ControlPlane.Outcome outcome) {
    Vm asked = registration.vm;
    registrations.remove(asked.name());
    Refusal refusal = outcome.refusal();
    if (refusal == null) {
      Space space = registry.space(asked.space().id(), outcome.sizeBytes());
      Vm vm = new Vm(asked.id(), asked.name(), asked.program(), space);
      refusal = keep(vm, registration);
      if (refusal == null) {
        registration.replies.forEach(reply -> reply.complete(view(vm)));
        return;
      }
      plane.detach(vm, _ -> {});
    }
    for (CompletableFuture<Reply> reply : registration.replies) {
      reply.completeExceptionally(refusal);
    }
  }

  /// Keeps a VM that is attached, if anyone still waits for it: who was told that there was no
  /// answer must not find it registered later.
  private @Nullable Refusal keep(Vm vm, Registration registration) {
    if (registration.replies.stream().allMatch(CompletableFuture::isDone)) {
      return new Refusal(Reason.UNAVAILABLE, "nobody waits for VM " + vm.name() + " any more");
    }
    registry.keep(vm);
    try {
      registry.save();
    } catch (UncheckedIOException e) {
      registry.remove(vm);
      return new Refusal(Reason.UNAVAILABLE, e.getMessage() + "");
    }
    engine.attached(vm);
    return null;
  }

  private void remove(Vm vm, CompletableFuture<Reply> reply) {
    registry.remove(vm);
    try {
      registry.save();
    } catch (UncheckedIOException e) {
      registry.keep(vm);
      throw e;
    }
    engine.detached(vm.id());
    plane.forget(vm);
    // One that cannot be reached learns of it with the next connection.
    plane.detach(vm, _ -> reply.complete(new Reply.Done()));
  }

  private Reply vms(@Nullable String name) throws Refusal {
    Collection<Vm> chosen = name == null ? registry.vms() : List.of(known(name));
    return new Reply.Vms(chosen.stream().map(this::view).toList());
  }

  private Reply.VmView view(Vm vm) {
    ControlPlane.Options options = plane.options();
    String tcp = options.nbdTcp().isEmpty() ? null : "nbd://" + options.nbdTcp() + "/" + vm.name();
    return new Reply.VmView(
        vm.name(),
        vm.program().tenant(),
        vm.program().name(),
        vm.space().name(),
        vm.space().sizeBytes(),
        "nbd+unix:///" + vm.name() + "?socket=" + options.nbdSocket(),
        tcp,
        engine.isRunning(vm.id()));
  }

  private Vm known(String name) throws Refusal {
    Vm vm = registry.vm(name);
    if (vm == null) {
      throw new Refusal(Reason.UNKNOWN, "no VM is registered as '" + name + "'; register it first");
    }
    return vm;
  }

  private static String named(String what, @Nullable String value) throws Refusal {
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

  // ---- allocations, leases, forecasts

  private Reply allocate(Vm vm) throws Refusal {
    Engine.AllocationState state = engine.allocate(vm.id());
    if (state == null) {
      throw new Refusal(Reason.UNAVAILABLE, "VM " + vm.name() + " is not attached yet; try again");
    }
    return view(state);
  }

  private Reply allocation(long id) throws Refusal {
    Engine.AllocationState state = engine.allocation(id);
    if (state == null) {
      throw new Refusal(
          Reason.UNKNOWN,
          "no allocation "
              + id
              + ": it never was, a newer one replaced it, or its VM's program stopped");
    }
    return view(state);
  }

  private static Reply.Allocation view(Engine.AllocationState state) {
    String word = "staging";
    if (state.settled()) {
      word = state.ready() == state.planned() ? "available" : "partial";
    }
    return new Reply.Allocation(
        state.id(),
        state.vm().name(),
        state.vm().program().name(),
        state.planned(),
        state.ready() + state.leased(),
        state.ready(),
        state.waiting(),
        word);
  }

  private Reply leases(@Nullable String name, int limit) throws Refusal {
    Integer only = name == null ? null : known(name).id();
    List<LeaseLedger.Entry> entries = new ArrayList<>(engine.leases(only));
    entries.sort(Comparator.comparingLong((LeaseLedger.Entry e) -> e.lease().id()).reversed());
    List<Reply.LeaseView> views = new ArrayList<>();
    for (LeaseLedger.Entry entry : entries.subList(0, Math.clamp(limit, 0, entries.size()))) {
      Vm vm = registry.vm(entry.lease().vm());
      views.add(
          new Reply.LeaseView(
              entry.lease().id(),
              vm == null ? "" : vm.name(),
              vm == null ? "" : vm.program().name(),
              registry.name(entry.lease().space()).name(),
              entry.lease().first(),
              entry.lease().extents(),
              Long.bitCount(entry.state().ready()),
              Long.bitCount(entry.state().ended()),
              time(entry.lease().dueNanos())));
    }
    return new Reply.Leases(views, account());
  }

  private Reply.Account account() {
    LeaseLedger.Totals totals = engine.ledger().totals();
    Map<String, Long> outcomes = new LinkedHashMap<>();
    outcomes.put("useful", totals.useful());
    outcomes.put("late", totals.late());
    outcomes.put("unused", totals.unused());
    outcomes.put("redundant", totals.redundant());
    outcomes.put("failed", totals.failed());
    outcomes.put("cancelled", totals.cancelled());
    outcomes.put("unobserved", totals.unobserved());
    return new Reply.Account(totals.granted(), totals.live(), outcomes, engine.waitingRanges());
  }

  private Reply forecast(Vm vm, int limit) {
    Forecast forecast = new Forecast();
    engine.expect(vm.id(), forecast);
    long now = clock.nanos();
    List<Integer> rows = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      if (exists(forecast.resource(row), vm.space())) {
        rows.add(row);
      }
    }
    rows.sort(Comparator.comparingLong(forecast::dueNanos));
    List<Reply.Expected> expected = new ArrayList<>();
    for (int row : rows.subList(0, Math.clamp(limit, 0, rows.size()))) {
      long resource = forecast.resource(row);
      Spaces.Name space = registry.name(Resource.space(resource));
      expected.add(
          new Reply.Expected(
              space.type().text() + ":" + space.name() + "/" + Resource.index(resource),
              forecast.probability(row),
              (forecast.dueNanos(row) - now) / 1e6,
              Expert.of(forecast.experts(row)).stream().map(Expert::text).toList()));
    }
    return new Reply.ForecastView(vm.name(), vm.program().name(), expected);
  }

  /// A sequence is continued beyond the end of its space by who does not know where that is.
  private static boolean exists(long resource, Space space) {
    return Resource.space(resource) != space.id() || Resource.index(resource) < space.units();
  }

  private Reply tiers() {
    Map<String, long[]> levels = new LinkedHashMap<>();
    for (Frame.Counter counter : plane.dataPlaneCounters()) {
      int slot =
          switch (counter.name()) {
            case "tier_capacity_bytes" -> 0;
            case "tier_used_bytes" -> 1;
            default -> -1;
          };
      if (slot >= 0) {
        levels.computeIfAbsent(counter.label(), _ -> new long[2])[slot] = counter.value();
      }
    }
    List<Reply.TierView> views = new ArrayList<>();
    levels.forEach((name, level) -> views.add(new Reply.TierView(name, level[0], level[1])));
    return new Reply.Tiers(views);
  }

  // ---- models and health

  private Reply export(String program, @Nullable String tenant) throws Refusal {
    Program known =
        registry.known(
            named("tenant", tenant == null ? DEFAULT_TENANT : tenant), named("program", program));
    if (known == null) {
      throw new Refusal(Reason.UNKNOWN, "no program '" + program + "' was ever registered here");
    }
    try {
      return new Reply.Model(ByteBuffer.wrap(models.export(known)));
    } catch (ModelException e) {
      throw new Refusal(Reason.UNKNOWN, String.valueOf(e.getMessage()));
    }
  }

  private Reply importModel(ByteBuffer bytes) throws Refusal {
    ModelFile model;
    try {
      model = ModelFile.decode(bytes, registry);
    } catch (ModelException e) {
      throw new Refusal(Reason.INVALID, "the model is refused: " + e.getMessage());
    }
    Program program =
        registry.program(named("tenant", model.tenant()), named("program", model.program()));
    registry.save();
    models.replace(program, model.forecaster());
    return new Reply.Imported(
        model.tenant(), model.program(), model.forecaster().runs(), model.forecaster().resources());
  }

  private Reply health() {
    Map<String, String> parts = plane.parts();
    boolean ok = parts.values().stream().allMatch("ok"::equals);
    return new Reply.Health(ok ? "ok" : "degraded", engine.isPredicting(), parts);
  }

  private static String time(long nanos) {
    return Instant.ofEpochSecond(nanos / 1_000_000_000, nanos % 1_000_000_000).toString();
  }
}
