package dev.prestage.control.train;

import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.Spaces;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;

/// What a program asked for, from history: for each run, VM and space the units at which its
/// requests began, as a forecaster sees them. Units that follow each other and were asked for at
/// the same time are one request, and repeats are one.
///
/// Of more than a bounded number of requests the oldest streams are forgotten.
final class HistoryCorpus implements AccessHistory.Visitor {
  private final String tenant;
  private final int most;
  private final Map<Key, Stream> streams = new LinkedHashMap<>();
  private long requests;

  private record Key(long run, String vm, Spaces.Name space) {}

  private static final class Stream {
    private long[] first = new long[16];
    private int size;
    private long lastNanos;
    private long lastUnit = -1;

    /// @return whether a request began
    boolean touch(long unit, long nanos) {
      boolean goesOn = unit == lastUnit + 1 && nanos == lastNanos;
      lastUnit = unit;
      lastNanos = nanos;
      if (goesOn || (size > 0 && first[size - 1] == unit)) {
        return false;
      }
      if (size == first.length) {
        first = Arrays.copyOf(first, 2 * size);
      }
      first[size++] = unit;
      return true;
    }
  }

  /// @param tenant whose program it is
  /// @param most requests that are kept
  HistoryCorpus(String tenant, int most) {
    this.tenant = tenant;
    this.most = most;
  }

  @Override
  public boolean visit(AccessHistory.Row row) {
    if (row.cause() == Cause.DEMAND && row.tenant().equals(tenant)) {
      Key key =
          new Key(row.run(), row.vm(), new Spaces.Name(row.tenant(), row.type(), row.space()));
      Stream stream = streams.computeIfAbsent(key, _ -> new Stream());
      if (stream.touch(row.resource(), row.timeNanos())) {
        requests++;
        forgetOldest(key);
      }
    }
    return !Thread.currentThread().isInterrupted();
  }

  private void forgetOldest(Key current) {
    Iterator<Map.Entry<Key, Stream>> oldestFirst = streams.entrySet().iterator();
    while (requests > most) {
      Map.Entry<Key, Stream> oldest = oldestFirst.next();
      if (oldest.getKey().equals(current)) {
        return;
      }
      requests -= oldest.getValue().size;
      oldestFirst.remove();
    }
  }

  /// All of it, with this host's numbers of spaces.
  Corpus corpus(ToIntFunction<Spaces.Name> numbers) {
    List<long[]> read = new ArrayList<>();
    streams.forEach((key, stream) -> {
      int space = numbers.applyAsInt(key.space());
      long[] resources = new long[stream.size];
      for (int i = 0; i < stream.size; i++) {
        resources[i] = Resource.of(space, stream.first[i]);
      }
      read.add(resources);
    });
    return new Corpus(read);
  }
}
