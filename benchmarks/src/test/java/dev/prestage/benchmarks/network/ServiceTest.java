package dev.prestage.benchmarks.network;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.benchmarks.network.Requests.Arrival;
import dev.prestage.benchmarks.network.Requests.Route;
import dev.prestage.benchmarks.network.Requests.Upstream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The service against its upstreams, without a link or Prestage between them.
class ServiceTest {
  private static final int POOL = 3;

  private static final Requests EACH_ROUTE_AT_ONCE =
      new Requests(0, Arrays.stream(Route.values()).map(route -> new Arrival(0, route)).toList());

  private LineServer database;
  private LineServer cache;

  @BeforeEach
  void startUpstreams() throws IOException {
    database = new LineServer("127.0.0.1", 0);
    cache = new LineServer("127.0.0.1", 0);
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
      nanos = Service.serve(EACH_ROUTE_AT_ONCE, fresh);
    }
    assertThat(nanos).hasSize(8).allMatch(each -> each > 0);
    assertThat(database.opened()).isEqualTo(5);
    assertThat(database.used()).isEqualTo(5);
    assertThat(cache.opened()).isEqualTo(3);
    assertThat(cache.used()).isEqualTo(3);
  }

  /// The two routes that need two connections of the database at once could wait for each other in
  /// a pool of two.
  @Test
  void aPoolOpensItsConnectionsOnceAndNoMore() throws Exception {
    List<Long> nanos;
    try (var pooled = new Connections.Pooled(addresses(), POOL)) {
      nanos = Service.serve(EACH_ROUTE_AT_ONCE, pooled);
    }
    assertThat(nanos).hasSize(8);
    assertThat(database.used()).isBetween(2L, (long) POOL);
    assertThat(cache.used()).isBetween(1L, (long) POOL);
  }
}
