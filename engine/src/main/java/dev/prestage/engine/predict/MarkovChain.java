package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// The first-order Markov model: which resource followed the current one, and how often.
///
/// Each state keeps its most frequent successors (the table of Joseph and Grunwald, "Prefetching
/// using Markov Predictors", ISCA 1997). Looking further ahead than one step follows the likeliest
/// successor and multiplies the probabilities.
final class MarkovChain {
  /// Beyond this many, those states are forgotten that were left the longest time ago: some 8 MiB
  /// of a program's memory at the most.
  private static final int MAX_STATES = 64 * 1024;

  private static final int SUCCESSORS = 4;

  /// Counts are halved when their total reaches this, so that the chain follows a program that
  /// changes.
  private static final int MAX_COUNT = 200;

  /// A path less likely than this is not followed: no threshold that makes sense is lower.
  private static final double NEGLIGIBLE = 0.05;

  /// As many steps as fit the default of 32 fetches in flight.
  private static final int MAX_STEPS = 32;

  private final SequencedMap<Long, State> states =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, State> eldest) {
          return size() > MAX_STATES;
        }
      };

  /// The successors of one resource, in no order. The total also counts those that were displaced.
  private static final class State {
    final long[] next = new long[SUCCESSORS];
    final int[] counts = new int[SUCCESSORS];
    int total;

    void count(long resource) {
      if (++total >= MAX_COUNT) {
        halve();
      }
      int least = 0;
      for (int i = 0; i < SUCCESSORS; i++) {
        if (counts[i] > 0 && next[i] == resource) {
          counts[i]++;
          return;
        }
        if (counts[i] < counts[least]) {
          least = i;
        }
      }
      next[least] = resource;
      counts[least] = 1;
    }

    private void halve() {
      total /= 2;
      for (int i = 0; i < SUCCESSORS; i++) {
        counts[i] /= 2;
      }
    }

    int likeliest() {
      int best = 0;
      for (int i = 1; i < SUCCESSORS; i++) {
        if (counts[i] > counts[best]) {
          best = i;
        }
      }
      return best;
    }

    /// The share of this successor, with half a count for what was never seen.
    double probability(int i) {
      return counts[i] / (total + 0.5);
    }
  }

  int size() {
    return states.size();
  }

  Set<Long> resources() {
    Set<Long> all = new HashSet<>(states.keySet());
    for (State state : states.values()) {
      for (int i = 0; i < SUCCESSORS; i++) {
        if (state.counts[i] > 0) {
          all.add(state.next[i]);
        }
      }
    }
    return all;
  }

  void learn(long from, long to) {
    State state = states.get(from);
    if (state == null) {
      state = new State();
    }
    state.count(to);
    states.putLast(from, state);
  }

  /// Adds what may follow `from`, one step each `gapNanos`.
  void forecast(long from, long nowNanos, long gapNanos, long horizonNanos, Forecast into) {
    double path = 1;
    long at = from;
    for (int step = 1; step <= MAX_STEPS && step * gapNanos <= horizonNanos; step++) {
      State state = states.get(at);
      if (state == null) {
        return;
      }
      long due = nowNanos + step * gapNanos;
      for (int i = 0; i < SUCCESSORS; i++) {
        double probability = path * state.probability(i);
        if (probability >= NEGLIGIBLE) {
          into.add(state.next[i], probability, due, Expert.MARKOV);
        }
      }
      int best = state.likeliest();
      path *= state.probability(best);
      at = state.next[best];
      if (path < NEGLIGIBLE) {
        return;
      }
    }
  }

  void write(DataOutput out, ResourceCodec codec) throws IOException {
    out.writeInt(states.size());
    for (Map.Entry<Long, State> entry : states.entrySet()) {
      codec.write(entry.getKey(), out);
      State state = entry.getValue();
      out.writeInt(state.total);
      for (int i = 0; i < SUCCESSORS; i++) {
        out.writeInt(state.counts[i]);
        if (state.counts[i] > 0) {
          codec.write(state.next[i], out);
        }
      }
    }
  }

  static MarkovChain read(DataInput in, ResourceCodec codec) throws IOException {
    MarkovChain chain = new MarkovChain();
    int size = ResourceCodec.checkedSize(in.readInt(), MAX_STATES);
    for (int s = 0; s < size; s++) {
      long from = codec.read(in);
      State state = new State();
      state.total = ResourceCodec.checkedSize(in.readInt(), MAX_COUNT);
      int left = state.total;
      for (int i = 0; i < SUCCESSORS; i++) {
        state.counts[i] = ResourceCodec.checkedSize(in.readInt(), left);
        left -= state.counts[i];
        if (state.counts[i] > 0) {
          state.next[i] = codec.read(in);
        }
      }
      if (chain.states.put(from, state) != null) {
        throw new ModelException("it has two states for one resource");
      }
    }
    return chain;
  }

  /// Where one stream stands in the chain. Immediate repeats are one touch.
  final class Position {
    private @Nullable Long last;

    void observe(long resource) {
      Long before = last;
      if (before != null && before != resource) {
        learn(before, resource);
      }
      last = resource;
    }

    /// Adds the successors of the last touch.
    void next(long dueNanos, Forecast into) {
      State state = last == null ? null : states.get(last);
      for (int i = 0; state != null && i < SUCCESSORS; i++) {
        if (state.counts[i] > 0) {
          into.add(state.next[i], state.probability(i), dueNanos, Expert.MARKOV);
        }
      }
    }

    void forecast(long nowNanos, long gapNanos, long horizonNanos, Forecast into) {
      Long at = last;
      if (at != null) {
        MarkovChain.this.forecast(at, nowNanos, gapNanos, horizonNanos, into);
      }
    }
  }
}
