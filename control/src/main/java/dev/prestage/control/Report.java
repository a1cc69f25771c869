package dev.prestage.control;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.allocate.ControlStarts;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.stage.Notice;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What staging did for each program and type of resource since this control plane started: every
/// unit that ended, by how it did, and the demand that waited all the same. Confined to the engine
/// thread.
final class Report {
  private final IntFunction<@Nullable Binding> bindings;
  private final Map<Key, Row> rows = new HashMap<>();

  /// By the numbers of bindings, those that are gone included: their leases may end after them.
  private final Map<Integer, Row> byBinding = new HashMap<>();

  private final Map<String, Long> unavailable = new TreeMap<>();

  private record Key(Program.Key program, ResourceType type) {}

  private static final class Row {
    final Key key;
    final Measure measure;
    final Map<Outcome, Long> units = new EnumMap<>(Outcome.class);
    final Map<Outcome, Long> amounts = new EnumMap<>(Outcome.class);
    long live;
    long leadNanos;
    long touches;
    long waited;
    long waitedNanos;

    Row(Key key, Measure measure) {
      this.key = key;
      this.measure = measure;
    }

    long units(Outcome how) {
      return units.getOrDefault(how, 0L);
    }
  }

  /// @param bindings by their numbers; null for those that are gone
  Report(IntFunction<@Nullable Binding> bindings) {
    this.bindings = bindings;
  }

  private @Nullable Row row(int binding) {
    Row known = byBinding.get(binding);
    if (known != null) {
      return known;
    }
    Binding found = bindings.apply(binding);
    if (found == null) {
      return null;
    }
    Key key = new Key(found.vm().program().key(), found.space().type());
    Measure measure = found.space().shape().measure();
    Row row = rows.computeIfAbsent(key, fresh -> new Row(fresh, measure));
    byBinding.put(binding, row);
    return row;
  }

  /// Units of a lease ended.
  ///
  /// @param leadNanosEach how long a useful one stood ready
  void ended(Lease lease, long units, Outcome how, long leadNanosEach) {
    Row row = row(lease.binding());
    if (row == null) {
      return;
    }
    int count = Long.bitCount(units);
    row.units.merge(how, (long) count, Long::sum);
    row.amounts.merge(how, amount(lease, units), Long::sum);
    row.leadNanos += how == Outcome.USEFUL ? leadNanosEach * count : 0;
  }

  private long amount(Lease lease, long units) {
    Binding binding = bindings.apply(lease.binding());
    if (binding == null) {
      return 0;
    }
    Space space = binding.space();
    long amount = 0;
    for (long left = units; left != 0; left &= left - 1) {
      amount += space.shape().amount(lease.first() + Long.numberOfTrailingZeros(left), 1);
    }
    return amount;
  }

  /// A guest asked for a unit.
  ///
  /// @param waited whether it was not there, nor would have been
  void touched(Access access, boolean waited) {
    Row row = row(access.binding());
    if (row != null) {
      row.touches++;
      row.waited += waited ? 1 : 0;
    }
  }

  /// A notice went out.
  void told(Notice notice) {
    if (notice instanceof Notice.Unavailable refused) {
      unavailable.merge(refused.reason(), 1L, Long::sum);
    }
  }

  /// How many ranges could not be had, by the reason.
  Map<String, Long> unavailable() {
    return unavailable;
  }

  /// What a guest waited for came.
  void answered(Access access) {
    Row row = row(access.binding());
    if (row != null && access.waited()) {
      row.waitedNanos += Math.max(0, access.latencyNanos());
    }
  }

  /// All rows, by tenant, program and type.
  ///
  /// @param live the units of each live lease that have not ended, by binding
  /// @param comparisons with starts without staging
  Reply.Report reply(
      String since, Map<Integer, Long> live, List<ControlStarts.Comparison> comparisons) {
    rows.values().forEach(row -> row.live = 0);
    live.forEach((binding, units) -> {
      Row row = row(binding);
      if (row != null) {
        row.live += units;
      }
    });
    List<Reply.ReportRow> views = new ArrayList<>();
    rows.values().forEach(row -> views.add(view(row)));
    views.sort(
        Comparator.comparing(Reply.ReportRow::tenant)
            .thenComparing(Reply.ReportRow::program)
            .thenComparing(Reply.ReportRow::type));
    return new Reply.Report(
        since,
        views,
        comparisons.stream()
            .map(Report::view)
            .sorted(
                Comparator.comparing(Reply.ControlRow::tenant)
                    .thenComparing(Reply.ControlRow::program))
            .toList());
  }

  private static Reply.ControlRow view(ControlStarts.Comparison comparison) {
    return new Reply.ControlRow(
        comparison.program().tenant(),
        comparison.program().name(),
        comparison.controls(),
        comparison.controlSeconds(),
        comparison.staged(),
        comparison.stagedSeconds(),
        known(comparison.savedSeconds()),
        known(comparison.marginSeconds()),
        comparison.pays());
  }

  private static @Nullable Double known(double seconds) {
    return Double.isFinite(seconds) ? seconds : null;
  }

  private static Reply.ReportRow view(Row row) {
    Map<String, Long> outcomes = new TreeMap<>();
    Stream.of(Outcome.values()).forEach(how -> outcomes.put(how.text(), row.units(how)));
    long useful = row.units(Outcome.USEFUL);
    long late = row.units(Outcome.LATE);
    long unused = row.units(Outcome.UNUSED);
    return new Reply.ReportRow(
        row.key.program().tenant(),
        row.key.program().name(),
        row.key.type().text(),
        row.live + row.units.values().stream().mapToLong(Long::longValue).sum(),
        row.live,
        outcomes,
        row.measure.text(),
        row.amounts.getOrDefault(Outcome.USEFUL, 0L),
        row.amounts.getOrDefault(Outcome.UNUSED, 0L),
        row.leadNanos / 1e9,
        row.touches,
        row.waited,
        row.waitedNanos / 1e9,
        share(useful, useful + row.waited),
        share(useful + late, useful + late + unused),
        share(useful, useful + late));
  }

  private static @Nullable Double share(long part, long whole) {
    return whole == 0 ? null : (double) part / whole;
  }
}
