package dev.prestage.simulator.replay;

import dev.prestage.engine.predict.Forecast;
import dev.prestage.simulator.policy.Fetches;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Prefetcher;
import dev.prestage.simulator.policy.Request;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Asks for what it is told to, and writes down what it hears.
final class Scripted implements Policy, Prefetcher.Copy {
  /// In the place of a request's number: when a run starts.
  static final int START = -1;

  final List<String> heard = new ArrayList<>();
  final List<Request> requests = new ArrayList<>();
  final List<Integer> hosts = new ArrayList<>();
  private final Map<Integer, long[]> script = new HashMap<>();
  private int number;

  Scripted after(int request, long... pages) {
    script.put(request, pages);
    return this;
  }

  @Override
  public Prefetcher.Copy start(int run, Trace.Run of, long nowNanos, Fetches fetches) {
    hosts.add(fetches.host());
    ask(START, fetches);
    return this;
  }

  @Override
  public void demanded(Request request, Fetches fetches) {
    requests.add(
        new Request(
            request.timeNanos(),
            request.first(),
            request.count(),
            request.write(),
            new LongArrayList(request.missedPages())));
    ask(number++, fetches);
  }

  private void ask(int request, Fetches fetches) {
    for (long page : script.getOrDefault(request, new long[0])) {
      if (!fetches.fetch(page)) {
        heard.add(page + " refused");
      }
    }
  }

  @Override
  public void arrived(int host, long page) {
    heard.add(page + " arrived");
  }

  @Override
  public void evicted(int host, long page) {
    heard.add(page + " evicted");
  }

  @Override
  public void gone(int host) {
    heard.add("host " + host + " gone");
  }

  @Override
  public void next(Forecast into) {}

  @Override
  public void used(long page) {
    heard.add(page + " used");
  }

  @Override
  public void wasted(long page) {
    heard.add(page + " wasted");
  }

  @Override
  public void stop() {
    heard.add("stopped");
  }

  @Override
  public long modelBytes() {
    return 7;
  }
}
