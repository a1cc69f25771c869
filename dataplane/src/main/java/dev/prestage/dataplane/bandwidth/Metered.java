package dev.prestage.dataplane.bandwidth;

import dev.prestage.dataplane.bandwidth.Leases.Ending;
import dev.prestage.dataplane.bandwidth.Leases.Unit;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// One binding: a VM's demand on a link, in levels, and what is promised to it. Guarded by the
/// links' lock.
///
/// A promise that a lease made stands until its level was used and left again, or until the lease
/// gives it back.
final class Metered {
  private final String name;
  private final String tenant;
  private final Link link;
  private final Leases leases;
  private final Host host;
  private final Meter meter;

  /// Levels that are promised, in use or not.
  private final BitSet promised = new BitSet();

  /// Of these, those that wait for their demand.
  private final Map<Integer, Unit> ready = new HashMap<>();

  /// Of these, those that are promised for the next window by what the VM asked before.
  private final BitSet foretold = new BitSet();

  private final @Nullable BurstPromise bursts;
  private int binding;
  private int space;
  private int inUse;
  private long reactAtNanos;
  private long demandBytes;
  private long reached;
  private long unpromised;
  private long dropped;

  /// @param name the binding's, which begins with the VM's and a slash
  /// @param bursts whether bursts that come by themselves are foretold
  Metered(
      String name,
      int binding,
      int space,
      String tenant,
      Link link,
      Leases leases,
      Host host,
      boolean bursts) {
    this.name = name;
    this.binding = binding;
    this.space = space;
    this.tenant = tenant;
    this.link = link;
    this.leases = leases;
    this.host = host;
    this.meter = new Meter(link.levelBytes(), link.levels());
    long level = Math.max(1, link.levelBytes() * Meter.WINDOW_NANOS / 1_000_000_000L);
    this.bursts = bursts ? new BurstPromise(level, host.clock().nanos()) : null;
    if (this.bursts != null) {
      BurstPromise forecast = this.bursts;
      meter.onEnd(bytes -> {
        forecast.ended(bytes);
        foretell(forecast.levels());
      });
    }
  }

  String name() {
    return name;
  }

  /// Whose it is.
  String vm() {
    int slash = name.indexOf('/');
    return slash < 0 ? name : name.substring(0, slash);
  }

  String tenant() {
    return tenant;
  }

  Link link() {
    return link;
  }

  int binding() {
    return binding;
  }

  int space() {
    return space;
  }

  /// The control plane counts anew.
  void renumber(int newBinding, int newSpace) {
    binding = newBinding;
    space = newSpace;
  }

  /// Levels in use, or promised to forecasts of runs.
  BitSet levels() {
    BitSet levels = (BitSet) promised.clone();
    // What is promised for half a second only is nothing to count on.
    levels.andNot(foretold);
    levels.set(0, inUse);
    return levels;
  }

  int inUse() {
    return inUse;
  }

  int ready() {
    return ready.size();
  }

  long demandBytes() {
    return demandBytes;
  }

  long reached() {
    return reached;
  }

  long unpromised() {
    return unpromised;
  }

  long dropped() {
    return dropped;
  }

  // ---- demand

  /// The VM asks for so much of the link.
  void demanded(int bytes, long nowNanos) {
    demandBytes += bytes;
    meter.add(bytes, nowNanos);
    follow(nowNanos);
  }

  /// Time passes.
  void turn(long nowNanos) {
    meter.turn(nowNanos);
    follow(nowNanos);
  }

  private void follow(long nowNanos) {
    int level = meter.level();
    while (inUse < level) {
      Unit unit = ready.remove(inUse);
      boolean stood = promised.get(inUse);
      reached++;
      unpromised += stood ? 0 : 1;
      if (!stood) {
        // What waits is told twice: when it comes, and when it is answered.
        offer(inUse, AccessType.READ, true, Access.PENDING, nowNanos);
      }
      offer(inUse, AccessType.READ, !stood, 0, nowNanos);
      inUse++;
      if (unit != null) {
        leases.useful(unit, nowNanos);
      }
    }
    while (inUse > level) {
      inUse--;
      if (!foretold.get(inUse)) {
        giveBack(inUse);
      }
      offer(inUse, AccessType.RELEASE, false, 0, nowNanos);
    }
  }

  private void offer(int level, AccessType type, boolean waited, long latencyNanos, long nowNanos) {
    if (!host.ring()
        .offer(
            binding,
            space,
            level * link.levelBytes(),
            (int) link.levelBytes(),
            nowNanos,
            type,
            Cause.DEMAND,
            waited,
            latencyNanos)) {
      dropped++;
    }
  }

  private void giveBack(int level) {
    if (promised.get(level)) {
      promised.clear(level);
      foretold.clear(level);
      link.giveBack(vm());
    }
  }

  /// The next window is foretold to ask for so many levels.
  private void foretell(int levels) {
    for (int level = foretold.nextSetBit(levels);
        level >= 0;
        level = foretold.nextSetBit(level + 1)) {
      giveBack(level);
    }
    for (int level = promised.nextClearBit(0);
        level < Math.min(levels, link.levels()) && link.promise(vm());
        level = promised.nextClearBit(level + 1)) {
      promised.set(level);
      foretold.set(level);
    }
  }

  /// Gives up the highest level that is promised by nothing but what the VM asked before, in use or
  /// not; false if there is none.
  boolean giveUpForetold() {
    int highest = foretold.length() - 1;
    if (highest < 0) {
      return false;
    }
    giveBack(highest);
    return true;
  }

  @Nullable BurstPromise bursts() {
    return bursts;
  }

  /// The rule that forecasts are compared with: what was in use for two windows is promised.
  void react(long nowNanos) {
    if (inUse == 0) {
      reactAtNanos = nowNanos + 2 * Meter.WINDOW_NANOS;
    }
    for (int level = 0; level < inUse && nowNanos >= reactAtNanos; level++) {
      if (!promised.get(level) && link.promise(vm())) {
        promised.set(level);
      }
    }
  }

  // ---- leases

  /// Promises the level of a unit.
  ///
  /// @return how that ended, or null if the level waits for its demand now
  @Nullable Ending stage(Unit unit) {
    int level = unit.level();
    if (level >= link.levels()) {
      return Ending.FAILED;
    }
    if (promised.get(level) && !foretold.get(level)) {
      return Ending.REDUNDANT;
    }
    if (!foretold.get(level) && !link.promiseFirst(vm())) {
      return Ending.FAILED;
    }
    foretold.clear(level);
    promised.set(level);
    if (level < inUse) {
      return Ending.LATE;
    }
    ready.put(level, unit);
    return null;
  }

  /// The unit's level is not promised any more.
  void giveBack(Unit unit) {
    if (ready.remove(unit.level(), unit)) {
      giveBack(unit.level());
    }
  }

  /// All that is promised is given back; leases have ended.
  void clear() {
    for (int level = promised.nextSetBit(0); level >= 0; level = promised.nextSetBit(level + 1)) {
      giveBack(level);
    }
    ready.clear();
  }
}
