package dev.prestage.control.aggregate;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import java.time.Duration;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What the touches of one hour, or of a part of one, add up to: for each VM and space as a whole,
/// and for the units that were touched most.
///
/// An hour is counted apart from others, so that hours can be added up in any window; a burst that
/// goes on over a full hour is two. Wholes are exact. Of units, [#UNITS] are counted, and what may
/// be missed of the others is known; see [FrequentKeys].
///
/// Threading: confined to one thread.
public final class Usage {
  /// Nanoseconds in an hour.
  public static final long HOUR_NANOS = Duration.ofHours(1).toNanos();

  /// The pause that ends a burst where nothing else is asked for.
  public static final long BURST_GAP_NANOS = Duration.ofSeconds(1).toNanos();

  /// Units of all VMs that are counted at the same time: some 10 MB.
  static final int UNITS = 1 << 15;

  /// Units that are written down: half a MB.
  static final int WRITTEN_UNITS = 1 << 14;

  private static final long MAGIC = 0x70_73_75_31; // "psu1"

  private final long startNanos;
  private final long burstGapNanos;
  private final Map<Owner, Part> parts = new HashMap<>();
  private final IdentityHashMap<Binding, Part> byBinding = new IdentityHashMap<>();
  private final FrequentKeys<UnitOf, Uses> units;
  private @Nullable Part last;

  /// Who touches what.
  record Owner(String tenant, String program, String vm, ResourceType type, String space) {
    // As in Unit.
    @Override
    public int hashCode() {
      return ((vm.hashCode() * 31 + space.hashCode()) * 31 + type.hashCode()) * 31
          + program.hashCode();
    }

    boolean matches(AccessHistory.Selection selection) {
      return (selection.program() == null || program.equals(selection.program()))
          && (selection.vm() == null || vm.equals(selection.vm()))
          && (selection.type() == null || type == selection.type());
    }
  }

  /// One unit of an owner's space.
  record UnitOf(Part part, long index) {
    @Override
    public int hashCode() {
      return Long.hashCode((index * 31 + part.number) * 0x9E37_79B9_7F4A_7C15L);
    }
  }

  /// An owner, with all that it did.
  static final class Part {
    final Owner owner;
    final Uses uses;
    private final int number;

    private Part(Owner owner, Uses uses, int number) {
      this.owner = owner;
      this.uses = uses;
      this.number = number;
    }
  }

  /// Of an hour with the usual burst gap.
  public static Usage ofHour(long timeNanos) {
    return new Usage(hourOf(timeNanos), BURST_GAP_NANOS, UNITS);
  }

  /// @param startNanos the hour's
  /// @param units how many are counted
  Usage(long startNanos, long burstGapNanos, int units) {
    this.startNanos = startNanos;
    this.burstGapNanos = burstGapNanos;
    this.units = new FrequentKeys<>(units, Uses::new);
  }

  /// The begin of the hour that a time lies in.
  public static long hourOf(long timeNanos) {
    return Math.floorDiv(timeNanos, HOUR_NANOS) * HOUR_NANOS;
  }

  /// The hour's begin.
  public long startNanos() {
    return startNanos;
  }

  /// The time of the last touch, or `Long.MIN_VALUE`.
  public long lastNanos() {
    long latest = Long.MIN_VALUE;
    for (Part part : parts.values()) {
      latest = Math.max(latest, part.uses.lastNanos);
    }
    return latest;
  }

  /// Adds an access if it is a touch.
  public void add(Access access, Binding binding) {
    if (access.cause() != Cause.DEMAND || access.type() == AccessType.RELEASE) {
      return;
    }
    Part part = byBinding.get(binding);
    if (part == null) {
      part =
          part(
              new Owner(
                  binding.vm().program().tenant(),
                  binding.vm().program().name(),
                  binding.vm().name(),
                  binding.space().type(),
                  binding.space().name()));
      byBinding.put(binding, part);
    }
    add(
        part,
        Resource.index(access.resource()),
        access.timeNanos(),
        access.waited(),
        access.latencyNanos());
  }

  /// Adds a row if it is a touch.
  public void add(AccessHistory.Row row) {
    if (!Touches.isTouch(row)) {
      return;
    }
    Part part = last;
    if (part == null || !isOf(part.owner, row)) {
      part = part(new Owner(row.tenant(), row.program(), row.vm(), row.type(), row.space()));
      last = part;
    }
    add(part, row.resource(), row.timeNanos(), row.waited(), row.latencyNanos());
  }

  private static boolean isOf(Owner owner, AccessHistory.Row row) {
    return owner.vm().equals(row.vm())
        && owner.space().equals(row.space())
        && owner.type() == row.type()
        && owner.program().equals(row.program())
        && owner.tenant().equals(row.tenant());
  }

  private void add(Part part, long index, long timeNanos, boolean waited, long latencyNanos) {
    part.uses.touch(timeNanos, waited, latencyNanos, burstGapNanos);
    units.add(new UnitOf(part, index)).touch(timeNanos, waited, latencyNanos, burstGapNanos);
  }

  private Part part(Owner owner) {
    return parts.computeIfAbsent(owner, _ -> new Part(owner, new Uses(), parts.size()));
  }

  /// Adds what another part of the same hour adds up to.
  public void add(Usage other) {
    for (Part part : other.parts.values()) {
      part(part.owner).uses.add(part.uses);
    }
    for (var unit : other.units.all()) {
      units
          .add(
              new UnitOf(part(unit.key().part().owner), unit.key().index()),
              unit.seen(),
              unit.missedUpTo() - other.units.missedUpTo())
          .add(unit.value());
    }
    units.missed(other.units.missedUpTo());
  }

  /// Whether every unit was counted.
  boolean exact() {
    return units.exact();
  }

  /// How often a unit that is not among [#units] may have been touched.
  long missedUpTo() {
    return units.missedUpTo();
  }

  Iterable<Part> parts() {
    return parts.values();
  }

  Iterable<FrequentKeys.Counted<UnitOf, Uses>> units() {
    return units.all();
  }

  /// Packs it; of the units, those that were touched most.
  public byte[] toBytes() {
    var out = new Packed.Writer();
    out.number(MAGIC);
    out.number(startNanos);
    IdentityHashMap<Part, Integer> numbers = new IdentityHashMap<>();
    out.number(parts.size());
    for (Part part : parts.values()) {
      numbers.put(part, numbers.size());
      out.text(part.owner.tenant());
      out.text(part.owner.program());
      out.text(part.owner.vm());
      out.text(part.owner.type().text());
      out.text(part.owner.space());
      part.uses.write(out, startNanos);
    }
    var most = units.top(WRITTEN_UNITS + 1, (_, _) -> 0);
    long missed = units.missedUpTo();
    if (most.size() > WRITTEN_UNITS) {
      var left = most.getLast();
      missed = Math.max(missed, left.seen() + units.missedUpTo());
      most = most.subList(0, WRITTEN_UNITS);
    }
    out.number(missed);
    out.number(most.size());
    for (var counted : most) {
      out.number(numbers.getOrDefault(counted.key().part(), 0));
      out.number(counted.key().index());
      out.number(counted.missedUpTo());
      counted.value().write(out, startNanos);
    }
    return out.bytes();
  }

  /// Unpacks what [#toBytes] gave.
  ///
  /// @throws IllegalArgumentException if these are no such bytes
  public static Usage of(byte[] bytes) {
    var in = new Packed.Reader(bytes);
    if (in.number() != MAGIC) {
      throw new IllegalArgumentException("not an hour's usage, or of another version");
    }
    long startNanos = in.number();
    int count = in.count();
    Part[] numbered = new Part[count];
    var usage = new Usage(startNanos, BURST_GAP_NANOS, Math.max(1, WRITTEN_UNITS));
    for (int i = 0; i < count; i++) {
      Owner owner =
          new Owner(in.text(), in.text(), in.text(), ResourceType.of(in.text()), in.text());
      numbered[i] = new Part(owner, Uses.read(in, startNanos), i);
      usage.parts.put(owner, numbered[i]);
    }
    long missed = in.positive();
    usage.units.missed(missed);
    int units = in.count();
    for (int i = 0; i < units; i++) {
      long number = in.number();
      if (number < 0 || number >= count) {
        throw new IllegalArgumentException("a unit of nobody");
      }
      long index = in.number();
      long missedOfIt = in.positive();
      Uses uses = Uses.read(in, startNanos);
      usage
          .units
          .add(new UnitOf(numbered[(int) number], index), uses.touches, missedOfIt - missed)
          .add(uses);
    }
    in.end();
    return usage;
  }
}
