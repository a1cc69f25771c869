package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.linux.PageCache;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
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
/// staged is taken for touched: more than was, because the kernel reads around a touch. While
/// several VMs map one file nothing is: nobody can say whose touch it was.
final class MappedFile implements Target {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /// The least time between two looks.
  private static final Duration PERIOD = Duration.ofMillis(20);

  /// A look takes some 15 ms for 1 GiB; at most a twentieth of a processor goes into it.
  private static final int REST = 19;

  /// More than 512 MiB, and 1 GiB a second since the last look, is no guest but somebody who reads
  /// the file, a backup or a copy.
  private static final int MOST_TOUCHED = 512 * 256;

  private static final long NANOS_PER_PAGE = 4000;

  /// Faults of other VMs wait for what is told of so many.
  private static final int SLICE = 256;

  private static final Duration AFTER_FAILURE = Duration.ofSeconds(10);
  private static final Duration NAME_PERIOD = Duration.ofSeconds(1);

  /// Whoever empties the ring does so many times in it, or not at all. It is what one look waits.
  private static final Duration RING_PATIENCE = Duration.ofSeconds(2);

  private static final Duration PATIENCE_AT_END = Duration.ofSeconds(5);

  private final String name;
  private final String tenant;
  private final String source;
  private final Snapshot snapshot;
  private final String path;
  private final PageCache cache;
  private final Staging staging;
  private final MappedFiles files;
  private final Host host;
  private final Object key;
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
  private long[] touched = new long[SLICE];

  private long namedNanos = System.nanoTime();
  private long lookedNanos = System.nanoTime();

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
      MappedFiles files,
      Host host)
      throws IOException {
    this.files = files;
    this.name = name;
    this.binding = binding;
    this.space = space;
    this.tenant = tenant;
    this.source = source;
    this.snapshot = snapshot;
    this.staging = staging;
    this.host = host;
    this.path = snapshot.file().toString();
    this.key = keyOf(snapshot.opened());
    this.thread = Thread.ofPlatform().daemon().name("mapped-" + name).unstarted(this::run);
    this.cache =
        PageCache.open(snapshot.opened(), snapshot.sizeBytes() / Regions.PAGE * Regions.PAGE);
    try {
      cache.look();
    } catch (IOException | RuntimeException e) {
      cache.close();
      throw e;
    }
    for (int page = 0; page < cache.pages(); page++) {
      known.set(page, cache.has(page));
    }
  }

  private static Object keyOf(Path file) throws IOException {
    Object key = Files.readAttributes(file, BasicFileAttributes.class).fileKey();
    return key == null ? file.toRealPath() : key;
  }

  /// Which file it is, whatever it is called.
  Object key() {
    return key;
  }

  @Override
  public void start() {
    files.add(this);
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
  public void expect(long first, int units, boolean comes) {
    int before = staged();
    files.sharing(this).forEach(each -> each.expected(first, units, comes));
    counts.staged().add(Math.max(0, staged() - before));
  }

  private synchronized int staged() {
    return staged.cardinality();
  }

  private synchronized void expected(long first, int units, boolean comes) {
    int end = (int) Math.min(first + units, cache.pages());
    for (int page = known.nextClearBit((int) first);
        page < end;
        page = known.nextClearBit(page + 1)) {
      staged.set(page, comes);
    }
  }

  @Override
  public void count(List<Frame.Counter> into) {
    into.add(new Frame.Counter("memory_faults", name, counts.faults().sum()));
    into.add(new Frame.Counter("memory_staged", name, counts.staged().sum()));
    into.add(new Frame.Counter("memory_resident", name, resident.get()));
    into.add(new Frame.Counter("accesses_dropped", name, counts.dropped().sum()));
  }

  private void run() {
    long pauseNanos = PERIOD.toNanos();
    try {
      while (!end.await(pauseNanos, TimeUnit.NANOSECONDS)) {
        long began = THREADS.getCurrentThreadCpuTime();
        try {
          look();
          checkName(System.nanoTime());
          long took = THREADS.getCurrentThreadCpuTime() - began;
          pauseNanos = Math.max(PERIOD.toNanos(), REST * took);
        } catch (IOException e) {
          tell(
              "which pages of its memory file are cached cannot be seen, so that nothing is"
                  + " learnt for a while: "
                  + IoProblem.explain(e));
          pauseNanos = AFTER_FAILURE.toNanos();
        }
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    } finally {
      cache.close();
      snapshot.close();
    }
  }

  private void tell(String what) {
    host.trouble().report("memory:" + name, "VM " + name + ": " + what);
  }

  /// VM managers map the file that has the name.
  private void checkName(long nowNanos) {
    if (nowNanos - namedNanos < NAME_PERIOD.toNanos()) {
      return;
    }
    namedNanos = nowNanos;
    try {
      if (keyOf(Path.of(path)).equals(key)) {
        return;
      }
    } catch (IOException _) {
      // Then nobody can map it by that name.
    }
    tell(
        "'"
            + path
            + "' is another file now, or none, and what is staged is of the one before; remove the"
            + " VM and add it again");
  }

  private void look() throws IOException, InterruptedException {
    cache.look();
    int count = 0;
    BitSet lost = new BitSet();
    synchronized (this) {
      for (int page = 0; page < cache.pages(); page++) {
        if (cache.has(page) == known.get(page)) {
          continue;
        }
        known.flip(page);
        if (!known.get(page)) {
          lost.set(page);
          staged.clear(page);
        } else if (!staged.get(page)) {
          count = remember(page, count);
        }
      }
    }
    resident.set(known.cardinality());
    if (!lost.isEmpty()) {
      staging.evicted(this, lost);
    }
    long now = System.nanoTime();
    long most = MOST_TOUCHED + (now - lookedNanos) / NANOS_PER_PAGE;
    lookedNanos = now;
    if (count > most || files.sharing(this).size() > 1) {
      counts.dropped().add(count);
    } else {
      report(count);
    }
    if (touched.length > MOST_TOUCHED) {
      touched = new long[SLICE];
    }
  }

  private int remember(int page, int count) {
    if (count == touched.length) {
      touched = Arrays.copyOf(touched, 2 * count);
    }
    touched[count] = page;
    return count + 1;
  }

  private void report(int count) throws InterruptedException {
    for (int at = 0; at < count; at += SLICE) {
      long[] slice = Arrays.copyOfRange(touched, at, Math.min(count, at + SLICE));
      staging.demanded(this, slice, slice.length, new boolean[slice.length]);
    }
    long now = host.clock().nanos();
    long untilNanos = System.nanoTime() + RING_PATIENCE.toNanos();
    for (int i = 0; i < count; i++) {
      counts.faults().increment();
      offer(touched[i], now, Access.PENDING, untilNanos);
      offer(touched[i], now, 0, untilNanos);
    }
  }

  /// A look may find more than the ring holds, and nobody waits for what it tells: it waits itself.
  ///
  /// @param untilNanos by which time it waits no more
  private void offer(long page, long timeNanos, long latencyNanos, long untilNanos)
      throws InterruptedException {
    while (!host.ring()
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
      if (System.nanoTime() > untilNanos || end.await(1, TimeUnit.MILLISECONDS)) {
        counts.dropped().increment();
        return;
      }
    }
  }

  @Override
  public String toString() {
    return source;
  }

  @Override
  public void close() {
    files.remove(this);
    end.countDown();
    if (thread.getState() == Thread.State.NEW) {
      cache.close();
      snapshot.close();
      return;
    }
    try {
      // It closes what it looks at, now or when it can.
      boolean _ = thread.join(PATIENCE_AT_END);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
