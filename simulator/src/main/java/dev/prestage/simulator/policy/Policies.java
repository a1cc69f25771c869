package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Setting.knob;
import static dev.prestage.simulator.policy.Setting.product;

import dev.prestage.simulator.cache.Arc;
import dev.prestage.simulator.cache.Belady;
import dev.prestage.simulator.cache.Lru;
import dev.prestage.simulator.cache.PageCache;
import dev.prestage.simulator.cache.S3Fifo;
import dev.prestage.simulator.cache.Unbounded;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;

/// Every policy by its name. To add one, write its class and add a line to [#ALL].
public final class Policies {
  /// All policies, in the order of reports: without prefetch, peers, ours, ceilings.
  public static final List<Entry> ALL =
      List.of(
          new Peer("none", "no prefetch", List.of(Setting.NONE), (_, _) -> new NoPrefetch()),
          new Cache("lru", "least recently used", place -> new Lru(place.mostPages())),
          new Cache("arc", "adaptive replacement", place -> new Arc(place.mostPages())),
          new Cache("s3fifo", "three queues", place -> new S3Fifo(place.mostPages())),
          new Cache(
              "belady",
              "clairvoyant replacement",
              place -> new Belady(place.trace(), place.mostPages())),
          new Peer(
              "next-n",
              "always the next n pages",
              knob("n", 8, 1, 2, 4, 16, 32),
              (_, with) -> new NextN(with.get("n"))),
          new Peer(
              "obl",
              "one block ahead of a sequential run",
              knob("confidence", Obl.CONFIDENCE, 2, 4),
              (_, with) -> new Obl(with.get("confidence"))),
          new Peer(
              "readahead",
              "as Linux does",
              product(knob("max", 32, 4, 8, 16), knob("jumps", 1, 0)),
              (_, with) -> new Readahead(with.get("max"), with.get("jumps") == 1)),
          new Peer(
              "stride",
              "the majority of recent strides",
              knob("max", Stride.LARGEST_WINDOW, 2, 4, 16, 32),
              (_, with) -> new Stride(Stride.HISTORY, Stride.SPLIT, with.get("max"))),
          new Peer(
              "amp",
              "sequential streams with adaptive degree",
              product(knob("first", Amp.FIRST_DEGREE, 2), knob("max", 32, 8, 16)),
              (_, with) -> new Amp(with.get("first"), with.get("max"))),
          new Peer(
              "pg",
              "probability graph",
              knob("percent", ProbabilityGraph.LEAST_PERCENT, 2, 10, 25, 50),
              (place, with) -> new ProbabilityGraph(place.tableBytes(), with.get("percent"))),
          new Peer(
              "mithril",
              "sporadic associations",
              knob("listed", Mithril.LISTED, 1, 4, 8),
              (place, with) -> new Mithril(place.tableBytes(), with.get("listed"))),
          new Peer(
              "markov1",
              "what followed the current request",
              knob("percent", Markov1.LEAST_PERCENT, 1, 25, 50),
              (_, with) -> new Markov1(with.get("percent"))),
          new Peer(
              "markov-lag",
              "what came most often at each of several distances",
              product(knob("lags", 4, 1, 2, 8), knob("count", 1, 2, 3)),
              (place, with) -> new MarkovLag(place.lead(), with.get("lags"), with.get("count"))),
          new Peer(
              "reap",
              "the last run, recorded and replayed",
              List.of(Setting.NONE),
              (_, _) -> new Reap()),
          new Peer(
              "reap-union",
              "all earlier runs, in order of mean first touch",
              List.of(Setting.NONE),
              (_, _) -> new ReapUnion()),
          new Peer(
              "replay",
              "tolerant replay of an earlier log",
              knob("ahead", Replay.LOOK_AHEAD, 4, 8, 16, 64),
              (_, with) -> new Replay(with.get("ahead"))),
          new Whole("prestage", "the product", Prestage::at),
          new Whole("prestage-nogru", "the product without its GRU", Prestage::at),
          new Whole(
              "lookahead",
              "the whole run known at its start",
              place -> new Lookahead(place.trace(), place.capacityPages(), place.lead())),
          new Cache("unbounded", "a cache that holds everything", _ -> new Unbounded()));

  private Policies() {}

  /// A policy by name.
  public sealed interface Entry {
    /// Its name on the command line and in JSON.
    String name();

    /// A few words for help texts.
    String summary();
  }

  /// Replacement without prefetch.
  public record Cache(String name, String summary, Function<Place, PageCache> make)
      implements Entry {}

  /// Fetches ahead for one program, into an LRU cache.
  ///
  /// @param settings the default setting, with all knobs, and then those that a search tries
  public record Peer(
      String name,
      String summary,
      List<Setting> settings,
      BiFunction<Place, Setting, Prefetcher> make)
      implements Entry {}

  /// Fetches ahead for all programs together, into an LRU cache.
  public record Whole(String name, String summary, Function<Place, Policy> make) implements Entry {}
}
