package dev.prestage.simulator.trace;

import it.unimi.dsi.fastutil.ints.IntArrayList;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Collects what a format reads, in the format's own terms, and makes the trace: turns bytes into
/// pages, lays devices one behind the other, moves the first request to time 0 where a format's
/// times are a clock's, and refuses what cannot be meant.
///
/// A device's first page lies [#GAP_PAGES] behind the last page that was touched on the one before
/// it; devices lie in the order of their names and numbers. A request of no bytes touches nothing
/// and is left out; the trace has a warning that counts them, and one that counts the requests
/// whose times step back within a run.
final class Requests {
  /// Between two devices, so that no run of pages crosses from one to the next.
  static final long GAP_PAGES = 1024;

  /// No device takes a larger request at once. A larger one is damage, and would take its time.
  static final long MAX_REQUEST_BYTES = 1L << 30;

  private static final int SECTOR_BYTES = 512;

  private final Source source;
  private final Position position;
  private final int unitBytes;
  private final Trace.Builder builder;
  private final IntArrayList deviceOf = new IntArrayList();
  private final Map<Device, Integer> devices = new HashMap<>();
  private final List<Device> deviceList = new ArrayList<>();
  private final Map<Trace.Run, Integer> runs = new HashMap<>();
  private long[] pagesOf = new long[4];
  private int lastDevice = -1;
  private long gapPages = GAP_PAGES;
  private boolean idsHaveOrder = true;
  private boolean clock;
  private boolean started;
  private long zero;
  private long empty;
  private long skipped;
  private String skippedAs = "";
  private final LongArrayList lastNanosOf = new LongArrayList();
  private long backwards;
  private long backwardsNanos;
  private String firstBackwards = "";

  private record Device(String name, long number) {}

  /// @param position where the format reads, for messages
  /// @param unitBytes the size of a page
  /// @param timed whether the format gives times
  Requests(Source source, Position position, int unitBytes, boolean timed) {
    this.source = source;
    this.position = position;
    this.unitBytes = unitBytes;
    this.builder = new Trace.Builder(source.name(), unitBytes, timed);
  }

  /// For a format that speaks of bytes or sectors.
  static Requests ofBytes(Source source, Position position, boolean timed) {
    return new Requests(source, position, source.unitBytes().orElse(Trace.PAGE_BYTES), timed);
  }

  /// The times are a clock's: the first request is to have time 0.
  Requests clock() {
    clock = true;
    return this;
  }

  /// Devices follow each other without a gap.
  Requests withoutGap() {
    gapPages = 0;
    return this;
  }

  /// Has a warning for ids that say nothing about what lies beside what.
  void idsHaveNoOrder(String warning) {
    idsHaveOrder = false;
    builder.warn(warning);
  }

  /// The one run of a format that knows none: the trace is its program.
  int onlyRun() {
    return run(source.name(), 1, 0);
  }

  /// The index of a run, new or known.
  int run(String program, int number, int stream) {
    return runs.computeIfAbsent(new Trace.Run(program, number, stream), builder::run);
  }

  /// The index of a device, new or known, in the order in which they appear.
  ///
  /// @param name may be empty
  int device(String name, long number) {
    if (lastDevice >= 0) {
      Device last = deviceList.get(lastDevice);
      if (last.number == number && last.name.equals(name)) {
        return lastDevice;
      }
    }
    Device device = new Device(name, number);
    Integer known = devices.putIfAbsent(device, deviceList.size());
    if (known == null) {
      deviceList.add(device);
      if (deviceList.size() > pagesOf.length) {
        pagesOf = Arrays.copyOf(pagesOf, 2 * pagesOf.length);
      }
    }
    lastDevice = known == null ? deviceList.size() - 1 : known;
    return lastDevice;
  }

  /// A device whose size is known.
  int device(long number, long pages) {
    int device = device("", number);
    pagesOf[device] = pages;
    return device;
  }

  /// Counts a line or record that is none of a program's reads and writes.
  ///
  /// @param as what they are, in the plural
  void skip(String as) {
    skipped++;
    skippedAs = as;
  }

  /// Adds a request in sectors of 512 bytes.
  void sectors(
      long timeNanos, int run, int stream, int device, long first, long sectors, boolean write)
      throws TraceException {
    if (first > Long.MAX_VALUE / SECTOR_BYTES) {
      throw position.wrong("block " + first + " is beyond every device");
    }
    if (sectors > MAX_REQUEST_BYTES / SECTOR_BYTES) {
      throw tooLong(sectors + " blocks");
    }
    bytes(timeNanos, run, stream, device, first * SECTOR_BYTES, sectors * SECTOR_BYTES, write);
  }

  /// Adds a request in bytes.
  void bytes(
      long timeNanos, int run, int stream, int device, long offset, long bytes, boolean write)
      throws TraceException {
    if (bytes == 0) {
      empty++;
      return;
    }
    if (offset < 0 || offset > Long.MAX_VALUE - MAX_REQUEST_BYTES) {
      throw position.wrong("byte " + Long.toUnsignedString(offset) + " is beyond every device");
    }
    if (bytes < 0 || bytes > MAX_REQUEST_BYTES) {
      throw tooLong(Long.toUnsignedString(bytes) + " bytes");
    }
    long first = offset / unitBytes;
    long last = (offset + bytes - 1) / unitBytes;
    pages(timeNanos, run, stream, device, first, last - first + 1, write);
  }

  /// Adds a request in pages.
  void pages(long timeNanos, int run, int stream, int device, long first, long count, boolean write)
      throws TraceException {
    if (count == 0) {
      empty++;
      return;
    }
    // One page more than the limit: a request need not begin at a page's beginning.
    if (count < 0 || count > MAX_REQUEST_BYTES / unitBytes + 1) {
      throw tooLong(Long.toUnsignedString(count) + " pages");
    }
    if (first < 0 || first > Trace.MAX_PAGE - count) {
      throw position.wrong(
          "page " + Long.toUnsignedString(first) + " is beyond the largest, " + Trace.MAX_PAGE);
    }
    if (!started) {
      started = true;
      zero = clock ? timeNanos : 0;
    }
    noteOrder(run, timeNanos);
    builder.add(timeNanos - zero, run, stream, first, (int) count, write);
    deviceOf.add(device);
    pagesOf[device] = Math.max(pagesOf[device], first + count);
  }

  /// A run's times are those between which its program thought. Runs of other streams lie between
  /// them in any order.
  private void noteOrder(int run, long timeNanos) {
    while (lastNanosOf.size() <= run) {
      lastNanosOf.add(Long.MIN_VALUE);
    }
    long last = lastNanosOf.getLong(run);
    if (timeNanos < last) {
      if (backwards == 0) {
        firstBackwards = position.place();
      }
      backwards++;
      backwardsNanos = Math.max(backwardsNanos, last - timeNanos);
    }
    lastNanosOf.set(run, timeNanos);
  }

  private TraceException tooLong(String what) {
    return position.wrong("a request of " + what + " cannot be meant; expected at most 1 GiB");
  }

  /// Whether nothing was added yet.
  boolean isEmpty() {
    return deviceOf.isEmpty();
  }

  /// The trace of what was added.
  ///
  /// @throws TraceException if that is nothing, or too large for one space of pages
  Trace toTrace() throws TraceException {
    if (isEmpty()) {
      throw new TraceException(
          source.fileName()
              + ": no accesses; expected at least one"
              + (skipped > 0 ? " (left out, " + skippedAs + ": " + skipped + ")" : ""));
    }
    if (empty > 0) {
      builder.warn("Left out, requests of no bytes: " + empty + ".");
    }
    if (skipped > 0) {
      builder.warn("Left out, " + skippedAs + ": " + skipped + ".");
    }
    if (backwards > 0) {
      builder.warn(
          String.format(
              Locale.ROOT,
              "Times are not in order: they step back before %,d of %,d requests, first in %s, by at"
                  + " most %s s. The file's order is kept.",
              backwards,
              deviceOf.size(),
              firstBackwards,
              BigDecimal.valueOf(backwardsNanos, 9).stripTrailingZeros().toPlainString()));
    }
    if (deviceList.size() > 1) {
      long[] bases = bases();
      builder.moveBy(request -> bases[deviceOf.getInt(request)]);
    }
    Trace trace = builder.build();
    if (idsHaveOrder && Renumbering.isLikely(trace)) {
      builder.warn(Renumbering.WARNING);
      trace = builder.build();
    }
    return trace;
  }

  private long[] bases() throws TraceException {
    List<Integer> order = new ArrayList<>(devices.values());
    order.sort(
        Comparator.<Integer, String>comparing(device -> deviceList.get(device).name)
            .thenComparingLong(device -> deviceList.get(device).number));
    long[] bases = new long[deviceList.size()];
    long next = 0;
    for (int device : order) {
      bases[device] = next;
      if (pagesOf[device] > Trace.MAX_PAGE - next) {
        throw new TraceException(
            source.fileName()
                + ": its "
                + order.size()
                + " devices have more than "
                + Trace.MAX_PAGE
                + " pages together");
      }
      next += pagesOf[device] + gapPages;
    }
    return bases;
  }
}
