package dev.prestage.benchmarks.network;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.benchmarks.network.Requests.Arrival;
import dev.prestage.benchmarks.network.Requests.Upstream;
import dev.prestage.benchmarks.network.Requests.Use;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The service against its upstreams, without a link or Prestage between them.
class ServiceTest {
  private static final int POOL = 3;

  private static final Use DATABASE = new Use(Upstream.DATABASE, 0, 3, 6, false);
  private static final Use CACHE = new Use(Upstream.CACHE, 0, 0, 2, false);
  private static final Use CACHE_FOR_A_MOMENT = new Use(Upstream.CACHE, 0, 0, 2, true);

  private static final Requests THREE_AT_ONCE =
      new Requests(
          "three",
          List.of(
              new Arrival(0, "home", List.of(CACHE)),
              new Arrival(0, "product", List.of(CACHE_FOR_A_MOMENT, DATABASE)),
              new Arrival(0, "checkout", List.of(CACHE, DATABASE, CACHE))));

  private LineServer database;
  private LineServer cache;

  @BeforeEach
  void startUpstreams() throws IOException {
    database = new LineServer("127.0.0.1", 0, Duration.ZERO);
    cache = new LineServer("127.0.0.1", 0, Duration.ZERO);
  }

  @AfterEach
  void stopUpstreams() throws IOException {
    database.close();
    cache.close();
  }

  private Map<Upstream, String> addresses() {
    return Map.of(
        Upstream.DATABASE,
        "127.0.0.1:" + database.port(),
        Upstream.CACHE,
        "127.0.0.1:" + cache.port());
  }

  @Test
  void eachNeedOpensAConnectionOfItsOwn() throws Exception {
    List<Long> nanos;
    try (var fresh = new Connections.Fresh(addresses())) {
      nanos = Service.serve(THREE_AT_ONCE, fresh);
    }
    assertThat(nanos).hasSize(6).allMatch(each -> each > 0);
    assertThat(database.opened()).isEqualTo(2);
    assertThat(database.used()).isEqualTo(2);
    assertThat(cache.opened()).isEqualTo(4);
    assertThat(cache.used()).isEqualTo(4);
  }

  @Test
  void aPoolOpensItsConnectionsOnceAndNoMore() throws Exception {
    List<Long> nanos;
    try (var pooled = new Connections.Pooled(addresses(), POOL)) {
      nanos = Service.serve(THREE_AT_ONCE, pooled);
    }
    assertThat(nanos).hasSize(6);
    assertThat(database.used()).isBetween(1L, (long) POOL);
    assertThat(cache.used()).isBetween(1L, (long) POOL);
  }

  /// The lower bounds hold however slow the machine is.
  @Test
  void aModelledLinkTakesARoundTripToOpenAndOneToAnswer() throws Exception {
    Duration roundTrip = Duration.ofMillis(30);
    try (LineServer far = new LineServer("127.0.0.1", 0, roundTrip)) {
      long began = System.nanoTime();
      try (Line line = new Line("127.0.0.1:" + far.port())) {
        line.ask();
        assertThat(System.nanoTime() - began).isGreaterThanOrEqualTo(2 * roundTrip.toNanos());
        long again = System.nanoTime();
        line.ask();
        assertThat(System.nanoTime() - again).isGreaterThanOrEqualTo(roundTrip.toNanos());
      }
    }
  }
}
