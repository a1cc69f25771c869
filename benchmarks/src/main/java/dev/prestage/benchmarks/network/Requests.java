package dev.prestage.benchmarks.network;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// What a web application was asked in one run: requests at their times, each of one of its routes.
///
/// The application keeps no connections between requests, as one on PHP does not: a request opens
/// what its route needs, one after the other, asks each once, and closes all at its end. Routes
/// come in the shares of [Route], at times of a Poisson process: a request does not wait for the
/// one before, so several are served at once.
///
/// @param seed that makes the same requests again
record Requests(long seed, List<Arrival> arrivals) {
  /// The mean time between two requests.
  private static final double GAP_MILLIS = 250;

  Requests {
    arrivals = List.copyOf(arrivals);
  }

  /// Where connections go.
  enum Upstream {
    DATABASE,
    CACHE
  }

  /// What a request needs, in this order, and how many of 10 requests are of this kind.
  enum Route {
    /// The front page comes from the cache.
    HOME(4),

    /// A product that the cache may have, and its stock.
    PRODUCT(3),

    /// A page of results, and how many there are in all.
    SEARCH(2),

    /// The session, the order's transaction, and the stock beside it.
    CHECKOUT(1);

    private final int tenths;

    Route(int tenths) {
      this.tenths = tenths;
    }

    List<Upstream> needs() {
      return switch (this) {
        case HOME -> List.of(Upstream.CACHE);
        case PRODUCT -> List.of(Upstream.CACHE, Upstream.DATABASE);
        case SEARCH -> List.of(Upstream.DATABASE, Upstream.DATABASE);
        case CHECKOUT -> List.of(Upstream.CACHE, Upstream.DATABASE, Upstream.DATABASE);
      };
    }
  }

  /// A request.
  ///
  /// @param atMillis since the first could come
  record Arrival(long atMillis, Route route) {}

  /// The run of a seed.
  static Requests of(long seed, int requests) {
    Random random = new Random(seed);
    List<Arrival> arrivals = new ArrayList<>();
    double at = 0;
    for (int i = 0; i < requests; i++) {
      at += -GAP_MILLIS * Math.log(1 - random.nextDouble());
      arrivals.add(new Arrival(Math.round(at), route(random.nextInt(10))));
    }
    return new Requests(seed, arrivals);
  }

  private static Route route(int tenth) {
    int left = tenth;
    for (Route route : Route.values()) {
      left -= route.tenths;
      if (left < 0) {
        return route;
      }
    }
    throw new IllegalArgumentException(tenth + " is no tenth");
  }

  /// What there is for an upstream, of a map that has something for all.
  static <K, T> T at(Map<K, T> each, K upstream) {
    return requireNonNull(each.get(upstream));
  }
}
