package dev.prestage.simulator.replay;

import dev.prestage.simulator.policy.Fetches;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Prefetcher;
import dev.prestage.simulator.policy.Request;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.ints.IntArrayList;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/// A trace replayed as the programs would live it: a page that is not there stalls its program, and
/// everything that follows comes later.
///
/// Between two requests a program thinks as long as in the trace, within bounds; the bounds also
/// take small steps backwards in the recording. Runs of one stream follow each other, streams run
/// side by side. A request waits for the last of its pages.
public final class ClosedLoop {
  private static final long LEAST_THINK_NANOS = 1_000;
  private static final long MOST_THINK_NANOS = 50_000_000;

  private final Trace trace;
  private final Policy policy;
  private final Setup setup;
  private boolean foretells;
  private final CpuTime cpu = new CpuTime();
  private final Map<Integer, SimulatedHost> hosts = new HashMap<>();
  private final List<RunResult> results = new ArrayList<>();

  /// The host and its origin.
  ///
  /// @param capacityPages of a host's cache
  /// @param latencyNanos of the origin, for any page
  /// @param inFlight how many fetches ahead of demand may be under way at once on a host
  /// @param cold whether each run starts on a new host, which has what was learnt but not the bytes
  public record Setup(int capacityPages, long latencyNanos, int inFlight, boolean cold) {}

  /// What became of one run.
  ///
  /// @param stallNanos for how long it waited
  /// @param reads pages demanded
  /// @param waited of these, those that were waited for
  /// @param fetched pages that came from the origin for it, by demand or ahead of it
  /// @param useless of these, those that were fetched ahead and not demanded between their coming
  ///   and their leaving or the run's end; as in open loop and in the product's budget, a page that
  ///   comes late is one of them
  /// @param bitsPerAccess loss of the policy's forecast of the next access
  /// @param nextAccuracy how often its favourite was the next access
  public record RunResult(
      Trace.Run run,
      long stallNanos,
      long reads,
      long waited,
      long fetched,
      long useless,
      double bitsPerAccess,
      double nextAccuracy) {}

  /// What came of all runs, in the order in which they ended.
  ///
  /// @param foretells whether the policy ever said what comes next; without, bits and accuracy of
  ///   its runs mean nothing
  /// @param cpuMicrosPerRequest processor time of policy and simulated host together
  public record Result(
      List<RunResult> runs,
      double cpuMicrosPerRequest,
      double policyP99Micros,
      long modelBytes,
      boolean foretells) {
    /// The stall of all runs.
    public long stallNanos() {
      return runs.stream().mapToLong(RunResult::stallNanos).sum();
    }

    /// Pages fetched ahead in vain, per demanded page.
    public double uselessPerDemandPage() {
      double useless = runs.stream().mapToLong(RunResult::useless).sum();
      return useless / runs.stream().mapToLong(RunResult::reads).sum();
    }
  }

  public ClosedLoop(Trace trace, Policy policy, Setup setup) {
    this.trace = trace;
    this.policy = policy;
    this.setup = setup;
  }

  /// Replays the trace.
  public Result run() {
    PriorityQueue<Stream> due =
        new PriorityQueue<>(
            Comparator.comparingLong(Stream::timeNanos).thenComparingInt(Stream::number));
    due.addAll(streams());
    for (Stream head = due.poll(); head != null; head = due.poll()) {
      if (head.step()) {
        due.add(head);
      }
    }
    return new Result(
        List.copyOf(results),
        cpu.micros() / trace.requests(),
        cpu.p99Micros(),
        policy.modelBytes(),
        foretells);
  }

  private List<Stream> streams() {
    List<IntArrayList> requests = new ArrayList<>();
    trace.runs().forEach(_ -> requests.add(new IntArrayList()));
    for (int request = 0; request < trace.requests(); request++) {
      requests.get(trace.run(request)).add(request);
    }
    Map<Integer, List<Integer>> runsOf = new HashMap<>();
    for (int run = 0; run < requests.size(); run++) {
      if (!requests.get(run).isEmpty()) {
        int stream = trace.runs().get(run).stream();
        runsOf.computeIfAbsent(stream, _ -> new ArrayList<>()).add(run);
      }
    }
    List<Stream> streams = new ArrayList<>();
    runsOf.forEach((number, runs) -> streams.add(new Stream(number, runs, requests)));
    return streams;
  }

  /// Each run has a host of its own if hosts are cold; else all share one.
  private SimulatedHost host(int run) {
    int number = setup.cold() ? run : 0;
    return hosts.computeIfAbsent(number, n -> new SimulatedHost(n, setup, policy));
  }

  /// One stream: its runs, one after the other, and where the current one stands.
  private final class Stream {
    private final int number;
    private final Iterator<Integer> runs;
    private final List<IntArrayList> requestsOf;
    private @Nullable Running current;
    private long timeNanos;

    Stream(int number, List<Integer> runs, List<IntArrayList> requestsOf) {
      this.number = number;
      this.runs = runs.iterator();
      this.requestsOf = requestsOf;
      this.timeNanos = Math.max(0, trace.timeNanos(requestsOf.get(runs.getFirst()).getInt(0)));
    }

    int number() {
      return number;
    }

    long timeNanos() {
      return timeNanos;
    }

    /// Demands the next request.
    ///
    /// @return whether there are more
    boolean step() {
      Running running = current;
      if (running == null) {
        int run = runs.next();
        running = new Running(run, requestsOf.get(run), timeNanos);
        current = running;
      }
      timeNanos = running.step(timeNanos);
      if (running.hasEnded()) {
        running.stop();
        current = null;
      }
      return current != null || runs.hasNext();
    }
  }

  /// One run under way.
  private final class Running {
    private final int run;
    private final IntArrayList requests;
    private final SimulatedHost host;
    private final Fetches way;
    private final Prefetcher.Copy copy;
    private final NextAccess next = new NextAccess();
    private int position;
    private final LongArrayList missed = new LongArrayList();
    private long lastPage = -1;
    private long stallNanos;
    private long reads;
    private long waited;

    Running(int run, IntArrayList requests, long nowNanos) {
      this.run = run;
      this.requests = requests;
      this.host = host(run);
      host.advance(nowNanos);
      this.way = host.way(run);
      this.copy = policy.start(run, trace.runs().get(run), nowNanos, way);
      host.copyOf(run, copy);
    }

    /// @return when the next request comes
    long step(long nowNanos) {
      int request = requests.getInt(position++);
      host.advance(nowNanos);
      long first = trace.first(request);
      int count = trace.count(request);
      if (first != lastPage) {
        next.score(copy, first);
        lastPage = first;
      }
      long until = nowNanos;
      missed.clear();
      for (int i = 0; i < count; i++) {
        long ready = host.demand(run, first + i);
        if (ready > nowNanos) {
          missed.add(first + i);
        }
        until = Math.max(until, ready);
      }
      reads += count;
      waited += missed.size();
      stallNanos += until - nowNanos;
      Request demanded = new Request(nowNanos, first, count, trace.isWrite(request), missed);
      cpu.time(() -> copy.demanded(demanded, way));
      return until + think(request);
    }

    private long think(int request) {
      if (hasEnded()) {
        return LEAST_THINK_NANOS;
      }
      long gap = trace.timeNanos(requests.getInt(position)) - trace.timeNanos(request);
      return Math.clamp(gap, LEAST_THINK_NANOS, MOST_THINK_NANOS);
    }

    boolean hasEnded() {
      return position == requests.size();
    }

    void stop() {
      copy.stop();
      foretells |= next.hasOpinion();
      SimulatedHost.Account account = host.stopped(run);
      results.add(
          new RunResult(
              trace.runs().get(run),
              stallNanos,
              reads,
              waited,
              account.fetched(),
              account.useless(),
              next.bitsPerAccess(),
              next.accuracy()));
      if (setup.cold()) {
        hosts.remove(run);
        policy.gone(run);
      }
    }
  }
}
