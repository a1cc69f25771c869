package dev.prestage.control;

import dev.prestage.control.command.Reply;
import dev.prestage.control.registry.Registered;
import dev.prestage.control.registry.Registry;
import dev.prestage.engine.Engine;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.allocate.OnHost;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What there is to see, in the words of the API. Read on the engine thread; changes nothing.
final class Views {
  private final ControlPlane plane;
  private final Registry registry;
  private final Engine engine;
  private final Clock clock;

  Views(ControlPlane plane, Registry registry, Engine engine, Clock clock) {
    this.plane = plane;
    this.registry = registry;
    this.engine = engine;
    this.clock = clock;
  }

  Reply vms(Collection<Registered> vms) {
    return new Reply.Vms(vms.stream().map(this::of).toList());
  }

  Reply.VmView of(Registered registered) {
    Vm vm = registered.vm();
    List<Reply.ResourceView> resources = registered.bindings().stream().map(this::of).toList();
    Reply.ResourceView first = resources.isEmpty() ? null : resources.getFirst();
    return new Reply.VmView(
        vm.name(),
        vm.program().tenant(),
        vm.program().name(),
        first == null ? "" : first.source(),
        first == null ? 0 : first.amount(),
        first == null ? "" : first.uri(),
        first == null ? null : first.tcpUri(),
        engine.isRunning(vm.id()),
        !plane.isUnserved(registered),
        resources);
  }

  private Reply.ResourceView of(Binding binding) {
    ControlPlane.Options options = plane.options();
    String address = Registered.address(binding);
    Shape shape = binding.space().shape();
    boolean disk = binding.space().type() == ResourceType.FILE_BLOCK;
    String told = plane.address(binding);
    return new Reply.ResourceView(
        binding.as(),
        binding.space().type().text(),
        binding.space().name(),
        shape.amount(),
        shape.unitAmount(),
        shape.measure().text(),
        disk ? "nbd+unix:///" + address + "?socket=" + options.nbdSocket() : told,
        disk && !options.nbdTcp().isEmpty() ? "nbd://" + options.nbdTcp() + "/" + address : null,
        !plane.isUnserved(binding) && (disk || !told.isEmpty()),
        plane.fills().of(binding));
  }

  static Reply.Allocation of(Engine.AllocationState state) {
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

  /// Live leases of one VM, or of all, newest first.
  Reply leases(@Nullable Vm only, int limit) {
    List<LeaseLedger.Entry> entries =
        new ArrayList<>(engine.leases(only == null ? null : only.id()));
    entries.sort(Comparator.comparingLong((LeaseLedger.Entry e) -> e.lease().id()).reversed());
    List<Reply.LeaseView> views = new ArrayList<>();
    for (LeaseLedger.Entry entry : entries.subList(0, Math.clamp(limit, 0, entries.size()))) {
      Binding binding = registry.binding(entry.lease().binding());
      views.add(
          new Reply.LeaseView(
              entry.lease().id(),
              binding == null ? "" : binding.vm().name(),
              binding == null ? "" : binding.vm().program().name(),
              binding == null ? "" : binding.as(),
              registry.name(entry.lease().space()).name(),
              entry.lease().first(),
              entry.lease().units(),
              Long.bitCount(entry.state().ready()),
              Long.bitCount(entry.state().ended()),
              time(entry.lease().dueNanos())));
    }
    return new Reply.Leases(views, account());
  }

  private Reply.Account account() {
    LeaseLedger.Totals totals = engine.ledger().totals();
    return new Reply.Account(
        totals.granted(), totals.live(), totals.outcomes(), engine.waitingRanges());
  }

  /// How much of a program's predicted working set is here, for each of some types.
  Reply rank(Program program, List<ResourceType> types) {
    List<Reply.RankRow> rows = new ArrayList<>();
    long bytes = 0;
    long here = 0;
    double seconds = 0;
    for (ResourceType type : types) {
      OnHost held = engine.onHost(program, type);
      if (held.units() + held.unknown() > 0) {
        rows.add(
            new Reply.RankRow(
                type.text(),
                held.units(),
                held.here(),
                held.unknown(),
                held.bytes(),
                held.bytesHere(),
                held.seconds()));
        bytes += held.bytes();
        here += held.bytesHere();
        seconds += held.seconds();
      }
    }
    return new Reply.Rank(program.tenant(), program.name(), bytes, here, seconds, rows);
  }

  Reply forecast(Registered registered, int limit) {
    Vm vm = registered.vm();
    Forecast forecast = new Forecast();
    engine.expect(vm.id(), forecast);
    long now = clock.nanos();
    List<Integer> rows = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      if (exists(forecast.resource(row), registered)) {
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

  /// Other VMs of the program may have other disks, and a sequence is continued beyond the end of
  /// its space by who does not know where that is.
  private static boolean exists(long resource, Registered registered) {
    return registered.bindings().stream()
        .map(Binding::space)
        .anyMatch(space ->
            space.id() == Resource.space(resource) && Resource.index(resource) < space.units());
  }

  Reply report() {
    Map<Integer, Long> live = new HashMap<>();
    for (LeaseLedger.Entry entry : engine.leases(null)) {
      long open = Long.bitCount(entry.lease().mask() & ~entry.state().ended());
      live.merge(entry.lease().binding(), open, Long::sum);
    }
    return plane.report().reply(time(plane.startedNanos()), live, engine.comparisons());
  }

  Reply tiers() {
    Map<String, Map<String, Long>> numbers = new LinkedHashMap<>();
    for (Frame.Counter counter : plane.dataPlaneCounters()) {
      if (counter.name().startsWith("tier_")) {
        numbers
            .computeIfAbsent(counter.label(), _ -> new HashMap<>())
            .put(counter.name(), counter.value());
      }
    }
    if (numbers.isEmpty()) {
      return new Reply.Tiers(List.of());
    }
    Map<String, String> kinds = new LinkedHashMap<>(plane.tierKinds());
    numbers.keySet().forEach(name -> kinds.putIfAbsent(name, ""));
    List<Reply.TierView> views = new ArrayList<>();
    kinds.forEach(
        (name, kind) -> views.add(tier(name, kind, numbers.getOrDefault(name, Map.of()))));
    return new Reply.Tiers(views);
  }

  private static Reply.TierView tier(String name, String kind, Map<String, Long> numbers) {
    return new Reply.TierView(
        name,
        kind,
        numbers.getOrDefault("tier_capacity_bytes", 0L),
        numbers.getOrDefault("tier_used_bytes", 0L),
        numbers.getOrDefault("tier_hits", 0L),
        numbers.getOrDefault("tier_promoted_bytes", 0L),
        numbers.getOrDefault("tier_demoted_bytes", 0L),
        numbers.getOrDefault("tier_found_bytes", 0L),
        numbers.getOrDefault("tier_staged_bytes", 0L),
        numbers.getOrDefault("tier_demanded_bytes", 0L),
        numbers.getOrDefault("tier_filled_bytes", 0L),
        numbers.getOrDefault("tier_moved_in_bytes", 0L),
        numbers.getOrDefault("tier_moved_out_bytes", 0L),
        numbers.getOrDefault("tier_evicted_bytes", 0L),
        numbers.getOrDefault("tier_removed_bytes", 0L));
  }

  Reply health() {
    Map<String, String> parts = plane.parts();
    boolean ok = parts.values().stream().allMatch("ok"::equals);
    return new Reply.Health(ok ? "ok" : "degraded", engine.isPredicting(), plane.isDryRun(), parts);
  }

  static String time(long nanos) {
    return Instant.ofEpochSecond(nanos / 1_000_000_000, nanos % 1_000_000_000).toString();
  }
}
