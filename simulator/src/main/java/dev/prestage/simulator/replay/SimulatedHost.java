package dev.prestage.simulator.replay;

import dev.prestage.simulator.policy.Fetches;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Prefetcher;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/// One host in closed loop: a cache, and an origin that answers each page after the same time.
///
/// Demand is fetched at once, whatever else is under way. Pages that were asked for ahead of demand
/// share a bounded number of fetches and queue for them in the order in which they were asked for.
/// A page is fetched once: demand takes a queued page out of the queue, and joins a fetch under
/// way.
final class SimulatedHost {
  private final int number;
  private final ClosedLoop.Setup setup;
  private final Policy policy;
  private final HostCache cache;
  private final Long2ObjectOpenHashMap<Fetch> fetches = new Long2ObjectOpenHashMap<>();
  private final Deque<Fetch> queue = new ArrayDeque<>();
  private final PriorityQueue<Fetch> underWay = new PriorityQueue<>();
  private final Map<Integer, Prefetcher.Copy> copies = new HashMap<>();
  private final Map<Integer, Account> accounts = new HashMap<>();
  private long nowNanos;
  private int ahead;
  private long sequence;

  /// What came from the origin for one run.
  static final class Account {
    private long fetched;
    private long ahead;
    private long used;

    /// Pages, by demand or ahead of it.
    long fetched() {
      return fetched;
    }

    /// Of these, those that were fetched ahead and not demanded, or demanded before they were here.
    long useless() {
      return ahead - used;
    }
  }

  /// One page on its way, or waiting for it.
  private static final class Fetch implements Comparable<Fetch> {
    final long page;
    final int run;
    final long sequence;
    boolean ahead;
    boolean demanded;
    boolean dropped;
    long dueNanos = Long.MAX_VALUE;

    Fetch(long page, int run, long sequence, boolean ahead) {
      this.page = page;
      this.run = run;
      this.sequence = sequence;
      this.ahead = ahead;
      this.demanded = !ahead;
    }

    @Override
    public int compareTo(Fetch other) {
      int byTime = Long.compare(dueNanos, other.dueNanos);
      return byTime != 0 ? byTime : Long.compare(sequence, other.sequence);
    }
  }

  SimulatedHost(int number, ClosedLoop.Setup setup, Policy policy) {
    this.number = number;
    this.setup = setup;
    this.policy = policy;
    this.cache = new HostCache(setup.capacityPages(), this::evicted);
  }

  /// Where a run asks for pages.
  Fetches way(int run) {
    return new Way(run);
  }

  /// The run's copy, which hears what became of its pages.
  void copyOf(int run, Prefetcher.Copy copy) {
    copies.put(run, copy);
  }

  /// The run is over: what it asked for and is not under way is forgotten.
  ///
  /// @return what came for it
  Account stopped(int run) {
    copies.remove(run);
    for (Fetch fetch : queue) {
      if (fetch.run == run && !fetch.dropped) {
        drop(fetch);
      }
    }
    return account(run);
  }

  /// A page leaves the queue; the queue forgets it when its turn comes.
  private void drop(Fetch fetch) {
    fetch.dropped = true;
    fetches.remove(fetch.page);
  }

  /// Time passes: pages come, and others take their place on the way.
  void advance(long toNanos) {
    boolean came = true;
    while (came) {
      came = false;
      while (!underWay.isEmpty() && underWay.element().dueNanos <= toNanos) {
        Fetch fetch = underWay.remove();
        nowNanos = Math.max(nowNanos, fetch.dueNanos);
        arrive(fetch);
        came = true;
        pump();
      }
      if (came) {
        policy.hasRoom(number, nowNanos);
      }
    }
    nowNanos = Math.max(nowNanos, toNanos);
    pump();
  }

  private void arrive(Fetch fetch) {
    fetches.remove(fetch.page);
    ahead -= fetch.ahead ? 1 : 0;
    cache.insert(fetch.page, fetch.demanded ? HostCache.PROVEN : fetch.run);
    if (fetch.ahead) {
      policy.arrived(number, fetch.page);
    }
  }

  private void pump() {
    while (ahead < setup.inFlight() && !queue.isEmpty()) {
      Fetch fetch = queue.remove();
      if (!fetch.dropped) {
        ahead++;
        depart(fetch);
      }
    }
  }

  private void depart(Fetch fetch) {
    fetch.dueNanos = nowNanos + setup.latencyNanos();
    underWay.add(fetch);
    Account account = account(fetch.run);
    account.fetched++;
    account.ahead += fetch.ahead ? 1 : 0;
  }

  private Account account(int run) {
    return accounts.computeIfAbsent(run, _ -> new Account());
  }

  /// A run needs a page now.
  ///
  /// @return when it is there; now, if it is
  long demand(int run, long page) {
    int slot = cache.find(page);
    if (slot >= 0) {
      int fetchedFor = cache.demand(slot);
      if (fetchedFor != HostCache.PROVEN) {
        account(fetchedFor).used++;
        Prefetcher.Copy copy = copies.get(fetchedFor);
        if (copy != null) {
          copy.used(page);
        }
      }
      return nowNanos;
    }
    Fetch fetch = fetches.get(page);
    if (fetch == null || fetch.dueNanos == Long.MAX_VALUE) {
      if (fetch != null) {
        drop(fetch);
      }
      fetch = new Fetch(page, run, sequence++, false);
      fetches.put(page, fetch);
      depart(fetch);
    }
    fetch.demanded = true;
    return fetch.dueNanos;
  }

  private void evicted(long page, int fetchedFor) {
    policy.evicted(number, page);
    Prefetcher.@Nullable Copy copy = fetchedFor == HostCache.PROVEN ? null : copies.get(fetchedFor);
    if (copy != null) {
      copy.wasted(page);
    }
  }

  private final class Way implements Fetches {
    private final int run;

    Way(int run) {
      this.run = run;
    }

    @Override
    public boolean fetch(long page) {
      if (page < 0 || page > Trace.MAX_PAGE || isHere(page)) {
        return false;
      }
      Fetch fetch = new Fetch(page, run, sequence++, true);
      fetches.put(page, fetch);
      queue.add(fetch);
      pump();
      return true;
    }

    @Override
    public boolean callOff(long page) {
      Fetch fetch = fetches.get(page);
      if (fetch == null || fetch.run != run || fetch.dueNanos != Long.MAX_VALUE) {
        return false;
      }
      drop(fetch);
      return true;
    }

    @Override
    public boolean isHere(long page) {
      return cache.contains(page) || fetches.containsKey(page);
    }

    @Override
    public int host() {
      return number;
    }

    @Override
    public boolean isFull() {
      return false;
    }
  }
}
