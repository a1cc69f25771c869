package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.linux.PageCache;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// One binding to a memory file that a VM manager maps by itself: what is staged is read into the
/// system's page cache, from where the guest has it without waiting for the disk.
///
/// Nobody is told of a touch. What has come into the page cache since the last look and was not
/// staged is taken for touched: more than was, because the kernel reads around a touch.
final class MappedFile implements Target {
  /// Between two looks. One takes a tenth of a millisecond for 1 GiB.
  private static final Duration PERIOD = Duration.ofMillis(20);

  private static final Duration PATIENCE_AT_END = Duration.ofSeconds(5);

  private final String name;
  private final String tenant;
  private final String source;
  private final Snapshot snapshot;
  private final String path;
  private final PageCache cache;
  private final Staging staging;
  private final Host host;
  private final CountDownLatch end = new CountDownLatch(1);
  private final Thread thread;
  private final Counts counts = new Counts();
  private final AtomicLong resident = new AtomicLong();
  private volatile int binding;
  private volatile int space;

  /// What was in the page cache at the last look. Of the thread.
  private final BitSet known = new BitSet();

  // Guarded by this.
  private final BitSet staged = new BitSet();

  /// Of the thread: what was touched since the last look.
  private long[] touched = new long[64];

  /// Begins with what the page cache has: that was touched by nobody.
  ///
  /// @throws IOException with one line that says why not
  MappedFile(
      String name,
      int binding,
      int space,
      String tenant,
      String source,
      Snapshot snapshot,
      Staging staging,
      Host host)
      throws IOException {
    this.name = name;
    this.binding = binding;
    this.space = space;
    this.tenant = tenant;
    this.source = source;
    this.snapshot = snapshot;
    this.staging = staging;
    this.host = host;
    this.path = snapshot.file().toString();
    this.cache =
        PageCache.open(snapshot.file(), snapshot.sizeBytes() / Regions.PAGE * Regions.PAGE);
    this.thread = Thread.ofPlatform().daemon().name("mapped-" + name).unstarted(this::run);
    cache.look();
    for (int page = 0; page < cache.pages(); page++) {
      known.set(page, cache.has(page));
    }
  }

  @Override
  public void start() {
    thread.start();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String tenant() {
    return tenant;
  }

  @Override
  public String source() {
    return source;
  }

  @Override
  public int binding() {
    return binding;
  }

  @Override
  public int space() {
    return space;
  }

  @Override
  public long sizeBytes() {
    return snapshot.sizeBytes();
  }

  @Override
  public Snapshot snapshot() {
    return snapshot;
  }

  @Override
  public @Nullable PageServer server() {
    return null;
  }

  @Override
  public boolean isMapped() {
    return true;
  }

  /// The file to map.
  @Override
  public String address() {
    return path;
  }

  @Override
  public void renumber(int newBinding, int newSpace) {
    binding = newBinding;
    space = newSpace;
  }

  @Override
  public synchronized void expect(long first, int units) {
    staged.set((int) first, (int) Math.min(first + units, cache.pages()));
    counts.staged().add(units);
  }

  @Override
  public void count(List<Frame.Counter> into) {
    into.add(new Frame.Counter("memory_faults", name, counts.faults().sum()));
    into.add(new Frame.Counter("memory_staged", name, counts.staged().sum()));
    into.add(new Frame.Counter("memory_resident", name, resident.get()));
    into.add(new Frame.Counter("accesses_dropped", name, counts.dropped().sum()));
  }

  private void run() {
    try {
      while (!end.await(PERIOD.toMillis(), TimeUnit.MILLISECONDS)) {
        look();
      }
    } catch (IOException e) {
      host.trouble()
          .report(
              "memory:" + name,
              "VM "
                  + name
                  + ": which pages of its memory file are cached cannot be seen, so that nothing"
                  + " is learnt: "
                  + IoProblem.explain(e));
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private void look() throws IOException {
    cache.look();
    int count = 0;
    boolean lost = false;
    synchronized (this) {
      for (int page = 0; page < cache.pages(); page++) {
        if (cache.has(page) == known.get(page)) {
          continue;
        }
        known.flip(page);
        if (!known.get(page)) {
          lost = true;
          staged.clear(page);
        } else if (!staged.get(page)) {
          count = remember(page, count);
        }
      }
    }
    resident.set(known.cardinality());
    if (lost) {
      staging.ended(this);
    }
    report(count);
  }

  private int remember(int page, int count) {
    if (count == touched.length) {
      touched = Arrays.copyOf(touched, 2 * count);
    }
    touched[count] = page;
    return count + 1;
  }

  private void report(int count) {
    staging.demanded(this, touched, count, new boolean[count]);
    long now = host.clock().nanos();
    for (int i = 0; i < count; i++) {
      counts.faults().increment();
      offer(touched[i], now, Access.PENDING);
      offer(touched[i], now, 0);
    }
  }

  private void offer(long page, long timeNanos, long latencyNanos) {
    if (!host.ring()
        .offer(
            binding,
            space,
            page * Regions.PAGE,
            Regions.PAGE,
            timeNanos,
            AccessType.READ,
            Cause.DEMAND,
            true,
            latencyNanos)) {
      counts.dropped().increment();
    }
  }

  @Override
  public String toString() {
    return source;
  }

  @Override
  public void close() {
    end.countDown();
    try {
      if (thread.isAlive() && !thread.join(PATIENCE_AT_END)) {
        return; // what it looks at stays open for it
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    }
    cache.close();
    snapshot.close();
  }
}
