package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.linux.HandOver;
import dev.prestage.dataplane.linux.PageFaults;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Serves the missing pages of one VM from its restore to its end, on one thread.
///
/// Only that thread fills pages. It reads all events that there are, which frees whoever removes
/// memory; fills the pages that somebody waits for; and fills a run of what was staged only when
/// nobody waits. A page that was removed is filled with zeros from then on, as its owner expects.
final class PageServer implements PageFaults.Events, AutoCloseable {
  private static final Logger LOG = System.getLogger(PageServer.class.getName());

  private static final int PAGE = Regions.PAGE;

  // What is known of a page.
  private static final byte PRESENT = 1;
  private static final byte REMOVED = 2;

  /// A touch of it waited.
  private static final byte DEMANDED = 4;

  /// Pages of a staged run that are filled in one call, for which a fault that comes meanwhile
  /// waits: what one lease of the planner has. Longer runs take no less time for each page.
  private static final int RUN_PAGES = 16;

  /// A page that cannot be read is tried again after this time.
  private static final long RETRY_NANOS = Duration.ofMillis(100).toNanos();

  /// Failures of one page before people are told.
  private static final int PATIENCE = 3;

  private final Endpoint endpoint;
  private final HandOver socket;
  private final HandOver.Peer peer;
  private final PageFaults faults;
  private final Regions regions;
  private final Snapshot snapshot;
  private final Staging staging;
  private final Host host;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment page = arena.allocate(PAGE, PAGE);
  private final MemorySegment zeros = arena.allocate(PAGE, PAGE);

  /// A run of pages that come with one that was touched.
  private final MemorySegment run = arena.allocate((long) RUN_PAGES * PAGE, PAGE);

  /// By page of the snapshot. Of the serving thread.
  private final byte[] states;

  private final Queue<Chunk> chunks = new ConcurrentLinkedQueue<>();
  private final Counts counts;
  private final AtomicLong missing;
  private volatile boolean stopping;

  // Of the serving thread: who waits.
  private Fault[] waiting = new Fault[64];
  private int waits;
  private long readNanos;
  private boolean over;

  // Of the serving thread: what was served and is not reported yet.
  private Fault[] done = new Fault[64];
  private int dones;
  private long[] donePages = new long[64];
  private boolean[] wasReady = new boolean[64];

  // Of the serving thread: the chunk that is being filled in.
  private @Nullable Chunk current;
  private int position;
  private long filled;
  private long there;
  private long calledOff;
  private long refused;

  /// A touch of a missing page. One object for each fault lives as long as a batch.
  private static final class Fault {
    private final long page;
    private final long address;
    private final boolean write;
    private final long timeNanos;
    private long latencyNanos;
    private long retryNanos;
    private int failures;
    private boolean told;

    Fault(long page, long address, boolean write, long timeNanos) {
      this.page = page;
      this.address = address;
      this.write = write;
      this.timeNanos = timeNanos;
    }
  }

  private enum Result {
    DONE,
    AGAIN,
    FAILED
  }

  PageServer(
      Endpoint endpoint,
      HandOver socket,
      HandOver.Peer peer,
      PageFaults faults,
      Regions regions,
      Snapshot snapshot,
      Staging staging,
      Counts counts,
      Host host) {
    this.endpoint = endpoint;
    this.socket = socket;
    this.peer = peer;
    this.faults = faults;
    this.regions = regions;
    this.snapshot = snapshot;
    this.staging = staging;
    this.counts = counts;
    this.host = host;
    this.states = new byte[(int) (snapshot.sizeBytes() / PAGE)];
    this.missing = new AtomicLong(regions.pages());
  }

  Snapshot snapshot() {
    return snapshot;
  }

  long pid() {
    return peer.pid();
  }

  /// The pages of its memory that never were there.
  long missing() {
    return missing.get();
  }

  /// Takes what was read for a lease.
  ///
  /// @return whether this has the chunk now
  boolean offer(Chunk chunk) {
    chunks.add(chunk);
    socket.wake();
    // Where this ended meanwhile, either side takes it out of the queue.
    return !stopping || !chunks.remove(chunk);
  }

  /// Ends [#run], from any thread.
  void stop() {
    stopping = true;
    socket.wake();
  }

  /// Serves until the VM has ended or [#stop] is called.
  void run() {
    while (!over && !stopping) {
      readNanos = host.clock().nanos();
      int events = faults.read(this);
      int before = waits;
      serve();
      report();
      if (events > 0 || waits < before) {
        continue;
      }
      if (fillNext()) {
        continue;
      }
      rest();
    }
    stopping = true;
  }

  // ---- events

  @Override
  public void fault(long address, boolean write) {
    if (waits == waiting.length) {
      waiting = Arrays.copyOf(waiting, 2 * waits);
    }
    long start = address & -PAGE;
    waiting[waits++] = new Fault(regions.page(start), start, write, readNanos);
  }

  @Override
  public void removed(long start, long end) {
    for (Regions.Region region : regions.all()) {
      long from = Math.max(start, region.base());
      long to = Math.min(end, region.end());
      for (long address = from; address < to; address += PAGE) {
        int index = (int) ((address - region.base() + region.offset()) / PAGE);
        if ((states[index] & (PRESENT | REMOVED)) == 0) {
          missing.decrementAndGet();
        }
        states[index] = REMOVED;
      }
    }
  }

  // ---- faults

  private void serve() {
    int left = 0;
    int count = waits;
    for (int i = 0; i < count; i++) {
      Fault fault = waiting[i];
      if (over || fault.retryNanos > readNanos || serve(fault) != Result.DONE) {
        waiting[left++] = fault;
      }
    }
    Arrays.fill(waiting, left, count, null);
    waits = left;
  }

  private Result serve(Fault fault) {
    if (fault.page < 0) {
      tell("it touches memory at " + fault.address + " that it did not name: that touch waits");
      return Result.DONE;
    }
    int index = (int) fault.page;
    boolean known = states[index] != 0;
    long count;
    if (known) {
      // Removed, or touched before it was filled, or gone without a word: zeros are right where it
      // is gone, and refused where it is there.
      count = faults.zero(fault.address, PAGE);
    } else if (fillAround(fault)) {
      count = PAGE;
    } else {
      try {
        snapshot.read(page, fault.page * PAGE);
      } catch (IOException e) {
        return failed(fault, IoProblem.explain(e));
      }
      count = page.mismatch(zeros) < 0 ? faults.zero(fault.address, PAGE) : fill(fault.address);
    }
    return served(fault, known, count);
  }

  /// Fills in a page that is touched together with its neighbours of the same lease: the forecast
  /// was late, and each of them would be the next to fault.
  ///
  /// @return whether the page is there now; nothing has happened otherwise
  private boolean fillAround(Fault fault) {
    Regions.Region region = regions.of(fault.page);
    Staging.Live live = staging.leaseOf(endpoint, fault.page);
    if (live == null || region == null) {
      return false;
    }
    long open = staging.open(live);
    long first = fault.page;
    long end = first + 1;
    while (end - first < RUN_PAGES && isToCome(live, open, region, end)) {
      end++;
    }
    while (end - first < RUN_PAGES && isToCome(live, open, region, first - 1)) {
      first--;
    }
    MemorySegment bytes = run.asSlice(0, (end - first) * PAGE);
    if (end - first == 1) {
      return false;
    }
    try {
      snapshot.read(bytes, first * PAGE);
    } catch (IOException _) {
      return false; // the page alone may be readable, and is tried as any other
    }
    boolean empty = isZero(bytes, fault.page - first);
    long from = fault.page;
    long to = from + 1;
    while (to < end && isZero(bytes, to - first) == empty) {
      to++;
    }
    while (from > first && isZero(bytes, from - 1 - first) == empty) {
      from--;
    }
    long address = fault.address - (fault.page - from) * PAGE;
    long length = (to - from) * PAGE;
    long count =
        empty
            ? faults.zero(address, length)
            : faults.copy(address, bytes.asSlice((from - first) * PAGE, length));
    for (long number = from; number < from + count / PAGE; number++) {
      arrived((int) number);
    }
    long come = Math.max(0, count / PAGE);
    long neighbours = bits(live, from, come) & ~(1L << (fault.page - live.first()));
    staging.filled(live, neighbours, 0, 0, 0);
    counts.staged().add(Long.bitCount(neighbours));
    return from + come > fault.page;
  }

  private static long bits(Staging.Live live, long first, long count) {
    return count == 0 ? 0 : -1L >>> (Long.SIZE - count) << (first - live.first());
  }

  private boolean isToCome(Staging.Live live, long open, Regions.Region region, long number) {
    long index = number - live.first();
    return index >= 0
        && index < live.units()
        && (open & 1L << index) != 0
        && number < states.length
        && states[(int) number] == 0
        && region.equals(regions.of(number));
  }

  private long fill(long address) {
    return faults.copy(address, page);
  }

  private Result served(Fault fault, boolean known, long count) {
    if (count == PageFaults.AGAIN) {
      return Result.AGAIN;
    }
    if (count == PageFaults.NO_SUCH_PROCESS) {
      over = true;
      return Result.DONE;
    }
    if (count == PageFaults.NO_SUCH_RANGE) {
      return Result.DONE;
    }
    if (count == PageFaults.EXISTS) {
      faults.wake(fault.address, PAGE);
    } else if (count < 0) {
      return failed(fault, "errno " + -count);
    }
    // One that came with a neighbour, or was staged, between the touch and now was waited for.
    boolean cameMeanwhile =
        count == PageFaults.EXISTS && (states[(int) fault.page] & (REMOVED | DEMANDED)) == 0;
    if (known && !cameMeanwhile) {
      states[(int) fault.page] |= PRESENT;
      counts.zeroFaults().increment();
    } else {
      arrived((int) fault.page);
      states[(int) fault.page] |= DEMANDED;
      counts.faults().increment();
      fault.latencyNanos = Math.max(0, host.clock().nanos() - fault.timeNanos);
      remember(fault);
    }
    return Result.DONE;
  }

  private void arrived(int index) {
    if (states[index] == 0) {
      missing.decrementAndGet();
    }
    states[index] |= PRESENT;
  }

  /// The guest waits, and has the page once it can be read.
  private Result failed(Fault fault, String why) {
    counts.failures().increment();
    fault.failures++;
    fault.retryNanos = readNanos + RETRY_NANOS;
    if (fault.failures == 1) {
      offer(fault, true, Access.PENDING);
      fault.told = true;
    }
    if (fault.failures >= PATIENCE) {
      tell(
          "page "
              + fault.page
              + " of snapshot '"
              + snapshot.name()
              + "' cannot be filled ("
              + why
              + "); the guest waits for it, and it is tried again until it can");
    }
    return Result.FAILED;
  }

  private void tell(String what) {
    host.trouble()
        .report(endpoint.kind(), "VM " + endpoint.name() + ", process " + peer.pid() + ": " + what);
  }

  // ---- reports

  private void remember(Fault fault) {
    if (dones == done.length) {
      done = Arrays.copyOf(done, 2 * dones);
      donePages = Arrays.copyOf(donePages, 2 * dones);
      wasReady = new boolean[2 * dones];
    }
    donePages[dones] = fault.page;
    done[dones++] = fault;
  }

  /// One that waited for the snapshot's disk is told twice, as the link wants it.
  private void report() {
    if (dones == 0) {
      return;
    }
    staging.demanded(endpoint, donePages, dones, wasReady);
    for (int i = 0; i < dones; i++) {
      Fault fault = done[i];
      boolean waited = !wasReady[i];
      if (waited && !fault.told) {
        offer(fault, true, Access.PENDING);
      }
      offer(fault, waited, fault.latencyNanos);
    }
    Arrays.fill(done, 0, dones, null);
    dones = 0;
  }

  private void offer(Fault fault, boolean waited, long latencyNanos) {
    if (!host.ring()
        .offer(
            endpoint.binding(),
            endpoint.space(),
            fault.page * PAGE,
            PAGE,
            fault.timeNanos,
            fault.write ? AccessType.WRITE : AccessType.READ,
            Cause.DEMAND,
            waited,
            latencyNanos)) {
      counts.dropped().increment();
    }
  }

  // ---- what was staged

  /// Fills one run of what was staged; false if there is nothing to fill.
  private boolean fillNext() {
    Chunk chunk = current;
    if (chunk == null) {
      chunk = chunks.poll();
      if (chunk == null) {
        return false;
      }
      current = chunk;
      position = 0;
      filled = 0;
      there = 0;
      calledOff = 0;
      refused = 0;
    }
    long open = staging.open(chunk.live());
    int units = chunk.live().units();
    while (position < units && !isToFill(chunk, open, position)) {
      position++;
    }
    if (position < units && !fillRun(chunk, open)) {
      return false;
    }
    if (position >= units) {
      finish(chunk);
    }
    return true;
  }

  private boolean isToFill(Chunk chunk, long open, int unit) {
    long bit = 1L << unit;
    if ((open & bit) == 0) {
      return false;
    }
    long number = chunk.live().first() + unit;
    byte state = number < states.length ? states[(int) number] : 0;
    if (number >= states.length || regions.of(number) == null) {
      refused |= bit;
    } else if ((state & REMOVED) != 0) {
      calledOff |= bit;
    } else if ((state & PRESENT) != 0) {
      there |= bit;
    } else {
      return true;
    }
    return false;
  }

  /// Fills neighbours that are alike; false if the process is changing its memory just now.
  private boolean fillRun(Chunk chunk, long open) {
    long first = chunk.live().first() + position;
    Regions.Region region = regions.of(first);
    if (region == null) {
      throw new IllegalStateException("page " + first + " is in no region");
    }
    boolean empty = isZero(chunk.bytes(), position);
    int end = position + 1;
    while (end < chunk.live().units()
        && end - position < RUN_PAGES
        && region.equals(regions.of(chunk.live().first() + end))
        && isToFill(chunk, open, end)
        && isZero(chunk.bytes(), end) == empty) {
      end++;
    }
    long address = region.base() + first * PAGE - region.offset();
    long bytes = (long) (end - position) * PAGE;
    long count =
        empty
            ? faults.zero(address, bytes)
            : faults.copy(address, chunk.bytes().asSlice((long) position * PAGE, bytes));
    if (count > 0) {
      for (long i = 0; i < count / PAGE; i++, position++) {
        arrived((int) chunk.live().first() + position);
        filled |= 1L << position;
        counts.staged().increment();
      }
      return true;
    }
    if (count == PageFaults.AGAIN) {
      return false;
    }
    if (count == PageFaults.EXISTS) {
      // Somebody else filled it, whose it is to wake who waits.
      faults.wake(address, PAGE);
      arrived((int) first);
      there |= 1L << position;
    } else {
      over |= count == PageFaults.NO_SUCH_PROCESS;
      refused |= 1L << position;
    }
    position++;
    return true;
  }

  private boolean isZero(MemorySegment bytes, long unit) {
    return bytes.asSlice(unit * PAGE, PAGE).mismatch(zeros) < 0;
  }

  private void finish(Chunk chunk) {
    current = null;
    staging.filled(chunk.live(), filled, there, calledOff, refused);
    staging.giveBack(chunk);
  }

  // ---- waiting

  /// Waits for whatever comes next. With a fault that could not be served, not for long.
  private void rest() {
    int patience = -1;
    if (current != null) {
      patience = 1;
    }
    for (int i = 0; i < waits; i++) {
      long left = waiting[i].retryNanos - host.clock().nanos();
      int millis = Math.clamp(left / 1_000_000, 1, 1000);
      patience = patience < 0 ? millis : Math.min(patience, millis);
    }
    HandOver.Found found = socket.await(peer, faults, patience);
    if (found.peerEnded()) {
      int said = peer.receiveNothing(page);
      over |= said == 0 || (said < 0 && said != PageFaults.AGAIN);
    }
    // Who comes as this one ends is for the next to serve.
    if (found.arrived() && !over) {
      turnAway();
    }
  }

  private void turnAway() {
    try (HandOver.Peer other = socket.accept()) {
      if (other != null) {
        host.trouble()
            .report(
                endpoint.kind(),
                "process "
                    + other.pid()
                    + " wants the memory of VM "
                    + endpoint.name()
                    + ", which process "
                    + peer.pid()
                    + " has: each VM needs a socket of its own");
      }
    }
  }

  /// After [#run] has returned. What was not filled in ends.
  @Override
  public void close() {
    stopping = true;
    Chunk chunk = current;
    if (chunk != null) {
      finish(chunk, Math.max(position, 0));
    }
    for (Chunk next = chunks.poll(); next != null; next = chunks.poll()) {
      staging.filled(next.live(), 0, 0, -1L, 0);
      staging.giveBack(next);
    }
    LOG.log(
        Level.INFO,
        "VM {0}: process {1} is not served any more",
        endpoint.name(),
        Long.toString(peer.pid()));
    faults.close();
    peer.close();
    snapshot.close();
    arena.close();
  }

  private void finish(Chunk chunk, int from) {
    calledOff |= from >= Long.SIZE ? 0 : -1L << from;
    finish(chunk);
  }
}
