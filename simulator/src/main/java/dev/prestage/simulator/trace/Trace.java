package dev.prestage.simulator.trace;

import it.unimi.dsi.fastutil.longs.LongOpenHashSet;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntToLongFunction;

/// Recorded accesses in the order in which they were asked for, in columns: one row a request.
///
/// A request touches consecutive pages of one address space. Formats that know several devices or
/// files lay them out in it one behind the other.
public final class Trace {
  /// The page of a trace whose format speaks of bytes or sectors.
  public static final int PAGE_BYTES = 4096;

  /// The largest page: the bits that a resource leaves for its index.
  public static final long MAX_PAGE = (1L << 40) - 1;

  private final String name;
  private final int unitBytes;
  private final boolean timed;
  private final List<Run> runs;
  private final List<String> warnings;
  private final long[] timeNanos;
  private final long[] first;
  private final int[] count;
  private final int[] run;
  private final int[] stream;
  private final boolean[] write;
  private final long pages;
  private final int distinctPages;

  /// One run of a program, from its start to its end.
  ///
  /// @param program the program's name
  /// @param number the run's number in the trace
  /// @param stream the VM or device it ran on; runs of one stream follow each other
  public record Run(String program, int number, int stream) {}

  private Trace(Builder builder) {
    int requests = builder.requests;
    this.name = builder.name;
    this.unitBytes = builder.unitBytes;
    this.timed = builder.timed;
    this.runs = List.copyOf(builder.runs);
    this.warnings = List.copyOf(builder.warnings);
    this.timeNanos = Arrays.copyOf(builder.timeNanos, requests);
    this.first = Arrays.copyOf(builder.first, requests);
    this.count = Arrays.copyOf(builder.count, requests);
    this.run = Arrays.copyOf(builder.run, requests);
    this.stream = Arrays.copyOf(builder.stream, requests);
    this.write = Arrays.copyOf(builder.write, requests);
    this.pages = Arrays.stream(count).asLongStream().sum();
    this.distinctPages = countDistinct();
  }

  private int countDistinct() {
    long end = 0;
    for (int request = 0; request < first.length; request++) {
      end = Math.max(end, first[request] + count[request]);
    }
    // A hash set takes some hundred bits for a page that was touched, a bit set one for each there
    // is.
    return end <= Math.min(Integer.MAX_VALUE, 64 * pages) ? countInBits() : countInHashSet();
  }

  private int countInBits() {
    BitSet touched = new BitSet();
    for (int request = 0; request < first.length; request++) {
      touched.set((int) first[request], (int) first[request] + count[request]);
    }
    return touched.cardinality();
  }

  private int countInHashSet() {
    LongOpenHashSet touched = new LongOpenHashSet();
    for (int request = 0; request < first.length; request++) {
      for (int page = 0; page < count[request]; page++) {
        touched.add(first[request] + page);
      }
    }
    return touched.size();
  }

  /// The trace's name: its file's, without what names the format or the compression.
  public String name() {
    return name;
  }

  /// The size of a page in bytes: 4 KiB, or the trace's own extent.
  public int unitBytes() {
    return unitBytes;
  }

  /// Whether the requests have times. Without, all times are 0.
  public boolean isTimed() {
    return timed;
  }

  /// The runs in the order of their first requests; at least one unless the trace is empty.
  public List<Run> runs() {
    return runs;
  }

  /// What a reader of results should know, one sentence each.
  public List<String> warnings() {
    return warnings;
  }

  /// The number of requests; they are numbered from 0.
  public int requests() {
    return first.length;
  }

  /// The pages of all requests together.
  public long pages() {
    return pages;
  }

  /// The pages that were touched at least once.
  public int distinctPages() {
    return distinctPages;
  }

  /// When it was asked for, in nanoseconds since the trace's own zero. Steps back where the
  /// recording did; the trace then has a warning.
  public long timeNanos(int request) {
    return timeNanos[request];
  }

  /// The first page.
  public long first(int request) {
    return first[request];
  }

  /// How many pages, at least 1.
  public int count(int request) {
    return count[request];
  }

  /// The run, as an index into [#runs].
  public int run(int request) {
    return run[request];
  }

  /// The VM, device or process that asked, as far as the format tells.
  public int stream(int request) {
    return stream[request];
  }

  /// Whether it wrote.
  public boolean isWrite(int request) {
    return write[request];
  }

  /// Collects requests.
  public static final class Builder {
    private final String name;
    private final int unitBytes;
    private final boolean timed;
    private final List<Run> runs = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();
    private int requests;
    private long[] timeNanos = new long[1024];
    private long[] first = new long[1024];
    private int[] count = new int[1024];
    private int[] run = new int[1024];
    private int[] stream = new int[1024];
    private boolean[] write = new boolean[1024];

    /// @param timed whether the format gives times
    public Builder(String name, int unitBytes, boolean timed) {
      this.name = name;
      this.unitBytes = unitBytes;
      this.timed = timed;
    }

    /// Adds a run.
    ///
    /// @return its index
    public int run(Run added) {
      runs.add(added);
      return runs.size() - 1;
    }

    /// Adds a warning.
    public void warn(String warning) {
      warnings.add(warning);
    }

    /// Adds a request.
    ///
    /// @param run an index that [#run(Run)] gave
    /// @throws IllegalArgumentException if there is no such run or there are no such pages
    public void add(long timeNanos, int run, int stream, long first, int count, boolean write) {
      if (run < 0 || run >= runs.size()) {
        throw new IllegalArgumentException("no run " + run);
      }
      if (first < 0 || count < 1 || first > MAX_PAGE - count) {
        throw new IllegalArgumentException("no " + count + " pages from " + first);
      }
      if (requests == this.first.length) {
        grow();
      }
      this.timeNanos[requests] = timeNanos;
      this.first[requests] = first;
      this.count[requests] = count;
      this.run[requests] = run;
      this.stream[requests] = stream;
      this.write[requests] = write;
      requests++;
    }

    /// Moves each request by so many pages: a format that knows several devices learns only at its
    /// end where they lie.
    void moveBy(IntToLongFunction pages) {
      for (int request = 0; request < requests; request++) {
        first[request] += pages.applyAsLong(request);
      }
    }

    private void grow() {
      int capacity = 2 * requests;
      timeNanos = Arrays.copyOf(timeNanos, capacity);
      first = Arrays.copyOf(first, capacity);
      count = Arrays.copyOf(count, capacity);
      run = Arrays.copyOf(run, capacity);
      stream = Arrays.copyOf(stream, capacity);
      write = Arrays.copyOf(write, capacity);
    }

    /// The trace of what was added.
    public Trace build() {
      return new Trace(this);
    }
  }
}
