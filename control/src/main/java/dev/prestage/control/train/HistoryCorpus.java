package dev.prestage.control.train;

import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/// What a program asked for in a part of its history: the units at which its requests began, as a
/// forecaster sees them, apart for each run, VM and space. Units that follow each other and were
/// asked for at the same time are one request, and repeats are one.
///
/// A ring: of more than a bounded number of requests the newest are kept.
final class HistoryCorpus implements AccessHistory.Visitor {
  private final String tenant;
  private final Map<Key, Stream> streams = new HashMap<>();
  private final List<Spaces.Name> spaces = new ArrayList<>();
  private final long[] unit;
  private final int[] stream;
  private long requests;

  private record Key(long run, String vm, ResourceType type, String space) {
    // Written out, because a record's own takes several times as long and there is one a row.
    @Override
    public int hashCode() {
      return ((vm.hashCode() * 31 + space.hashCode()) * 31 + type.hashCode()) * 31
          + Long.hashCode(run);
    }
  }

  private static final class Stream {
    final int number;
    long lastNanos;
    long lastUnit = -1;
    long lastFirst = -1;

    Stream(int number) {
      this.number = number;
    }
  }

  /// @param tenant whose program it is
  /// @param most requests that are kept
  HistoryCorpus(String tenant, int most) {
    this.tenant = tenant;
    this.unit = new long[most];
    this.stream = new int[most];
  }

  @Override
  public boolean visit(AccessHistory.Row row) {
    if (row.cause() != Cause.DEMAND || !row.tenant().equals(tenant)) {
      return true;
    }
    Stream touched =
        streams.computeIfAbsent(
            new Key(row.run(), row.vm(), row.type(), row.space()),
            key -> open(new Spaces.Name(tenant, key.type(), key.space())));
    boolean goesOn = row.resource() == touched.lastUnit + 1 && row.timeNanos() == touched.lastNanos;
    touched.lastUnit = row.resource();
    touched.lastNanos = row.timeNanos();
    if (!goesOn && row.resource() != touched.lastFirst) {
      touched.lastFirst = row.resource();
      int slot = (int) (requests++ % unit.length);
      unit[slot] = row.resource();
      stream[slot] = touched.number;
    }
    return true;
  }

  private Stream open(Spaces.Name space) {
    spaces.add(space);
    return new Stream(spaces.size() - 1);
  }

  /// How many requests are kept.
  int size() {
    return (int) Math.min(requests, unit.length);
  }

  /// One stream of requests: the units at which they began.
  static final class Part {
    private final Spaces.Name space;
    private final long[] units;
    private int filled;

    private Part(Spaces.Name space, int size) {
      this.space = space;
      this.units = new long[size];
    }

    Spaces.Name space() {
      return space;
    }

    LongStream units() {
      return LongStream.of(units);
    }
  }

  /// All streams, in the order of their oldest requests.
  List<Part> parts() {
    int[] sizes = new int[spaces.size()];
    for (int i = 0; i < size(); i++) {
      sizes[stream[i]]++;
    }
    Map<Integer, Part> parts = new LinkedHashMap<>();
    for (long i = requests - size(); i < requests; i++) {
      int slot = (int) (i % unit.length);
      Part part = parts.computeIfAbsent(stream[slot], n -> new Part(spaces.get(n), sizes[n]));
      part.units[part.filled++] = unit[slot];
    }
    return List.copyOf(parts.values());
  }
}
