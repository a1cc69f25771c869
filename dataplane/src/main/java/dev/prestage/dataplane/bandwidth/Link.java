package dev.prestage.dataplane.bandwidth;

import dev.prestage.dataplane.bandwidth.TokenTree.Share;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The link to one origin, as those see it who read over it.
///
/// It is scheduled while a VM is bound to it ([BandwidthEdge]): the next read is then the one that
/// [#next] names. The caller keeps as much under way as the link was measured to hold. Where its
/// capacity is configured, reads are paced to that besides. Where it is not, only the order is
/// decided here, and promises are held against the measured rate.
public final class Link {
  /// Beyond so many, VMs that want nothing now are forgotten, which costs them nothing.
  private static final int MOST_IDLE_SHARES = 64;

  /// A link with a configured capacity has this many levels.
  private static final int LEVELS = 64;

  /// A link that is measured must have levels that do not change with the measurement: of 4 MB/s,
  /// as many as a link of 10 Gbit/s has.
  private static final long MEASURED_LEVEL_BYTES = 4_000_000;

  private static final int MEASURED_LEVELS = 312;

  private final String name;
  private final long capacity;
  private final ReentrantLock lock;
  private final TokenTree tree;
  private final Map<String, Share> shares = new HashMap<>();
  private final Map<String, Metered> metered = new HashMap<>();
  private volatile boolean scheduled;
  private volatile long measured;

  /// @param capacity in bytes per second; 0 to measure
  Link(String name, long capacity, ReentrantLock lock) {
    this.name = name;
    this.capacity = capacity;
    this.lock = lock;
    this.tree = new TokenTree(capacity, capacity > 0);
  }

  /// A link of which nothing is known, to which nobody can be bound.
  public static Link unscheduled(String name) {
    return new Link(name, 0, new ReentrantLock());
  }

  /// The name of its origin.
  public String name() {
    return name;
  }

  /// How many levels of rate it has.
  int levels() {
    return capacity > 0 ? LEVELS : MEASURED_LEVELS;
  }

  /// One of them, in bytes per second.
  long levelBytes() {
    return capacity > 0 ? Math.max(1, capacity / LEVELS) : MEASURED_LEVEL_BYTES;
  }

  // ---- for those who read

  /// Whether anybody is bound to it; else nothing is to be asked here.
  public boolean isScheduled() {
    return scheduled;
  }

  /// A VM's read waits.
  ///
  /// @param fresh whether the guest asked for it now, so that it counts as demand
  public void waits(String vm, int bytes, boolean fresh, long nowNanos) {
    lock.lock();
    try {
      TokenTree.waits(share(vm));
      Metered meter = fresh ? metered.get(vm) : null;
      if (meter != null) {
        meter.demanded(bytes, nowNanos);
      }
    } finally {
      lock.unlock();
    }
  }

  private Share share(String vm) {
    Share share = shares.get(vm);
    if (share == null) {
      if (shares.size() >= MOST_IDLE_SHARES) {
        forgetIdle();
      }
      share = tree.add(vm);
      shares.put(vm, share);
    }
    return share;
  }

  private void forgetIdle() {
    for (Iterator<Share> all = shares.values().iterator(); all.hasNext(); ) {
      Share share = all.next();
      if (share.waiting() == 0 && !metered.containsKey(share.vm)) {
        all.remove();
        tree.remove(share);
      }
    }
  }

  /// The VM whose read goes next, or null if none does now; [#waitNanos] then says for how long.
  public @Nullable String next(long nowNanos) {
    lock.lock();
    try {
      Share next = tree.next(nowNanos);
      return next == null ? null : next.vm;
    } finally {
      lock.unlock();
    }
  }

  /// The read of the VM that [#next] named goes.
  public void take(String vm, int bytes, long nowNanos) {
    lock.lock();
    try {
      Share share = shares.get(vm);
      if (share != null) {
        tree.take(share, bytes, nowNanos);
      }
    } finally {
      lock.unlock();
    }
  }

  /// A read that waited goes although nobody asked [#next]: the link is not scheduled any more.
  public void leaves(String vm) {
    lock.lock();
    try {
      Share share = shares.get(vm);
      if (share != null) {
        TokenTree.leaves(share);
      }
    } finally {
      lock.unlock();
    }
  }

  /// Whether staging may read now.
  public boolean mayStage(long nowNanos) {
    lock.lock();
    try {
      return tree.mayStage(nowNanos);
    } finally {
      lock.unlock();
    }
  }

  /// Staging reads.
  public void takeStaging(int bytes, long nowNanos) {
    lock.lock();
    try {
      tree.takeStaging(bytes, nowNanos);
    } finally {
      lock.unlock();
    }
  }

  /// For how long the last answer was no; 0 if only an event can change that.
  public long waitNanos() {
    lock.lock();
    try {
      return tree.waitNanos();
    } finally {
      lock.unlock();
    }
  }

  /// How fast the link was seen to deliver lately.
  public void measured(long bytesPerSecond) {
    measured = bytesPerSecond;
  }

  // ---- for the edge, with the lock held

  /// The rate that promises are held against, in bytes per second; 0 if it is not known.
  long rate() {
    return capacity > 0 ? capacity : measured;
  }

  /// What is promised in all, in bytes per second.
  long promised() {
    return tree.promised();
  }

  void bind(Metered meter) {
    metered.put(meter.vm(), meter);
    scheduled = true;
  }

  void unbind(Metered meter) {
    metered.remove(meter.vm(), meter);
    scheduled = !metered.isEmpty();
  }

  /// Promises one more level to a VM, if there is that much.
  boolean promise(String vm) {
    if (capacity == 0) {
      tree.measured(measured);
    }
    return tree.promise(share(vm), levelBytes());
  }

  /// The same for a run that is forecast: what is promised to others by what they asked before goes
  /// before it fails.
  boolean promiseFirst(String vm) {
    boolean promised = promise(vm);
    for (Metered other : metered.values()) {
      while (!promised && other.giveUpForetold()) {
        promised = promise(vm);
      }
    }
    return promised;
  }

  /// Takes a level back.
  void giveBack(String vm) {
    tree.giveBack(share(vm), levelBytes());
  }

  /// What is promised to a VM, in bytes per second.
  long promisedTo(String vm) {
    Share share = shares.get(vm);
    return share == null ? 0 : share.guarantee();
  }
}
