package dev.prestage.benchmarks.network;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.benchmarks.network.Requests.Arrival;
import dev.prestage.benchmarks.network.Requests.Route;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class RequestsTest {
  private static final int MANY = 10_000;

  @Test
  void theSameSeedMakesTheSameRequests() {
    assertThat(Requests.of(7, 100))
        .isEqualTo(Requests.of(7, 100))
        .isNotEqualTo(Requests.of(8, 100));
  }

  @Test
  void routesComeInTheirShares() {
    Map<Route, Long> counts =
        Requests.of(1, MANY).arrivals().stream()
            .collect(Collectors.groupingBy(Arrival::route, Collectors.counting()));
    assertThat(counts.get(Route.HOME)).isBetween(3_800L, 4_200L);
    assertThat(counts.get(Route.PRODUCT)).isBetween(2_800L, 3_200L);
    assertThat(counts.get(Route.SEARCH)).isBetween(1_800L, 2_200L);
    assertThat(counts.get(Route.CHECKOUT)).isBetween(800L, 1_200L);
  }

  @Test
  void requestsComeFourTimesASecond() {
    assertThat(Requests.of(1, MANY).arrivals().getLast().atMillis())
        .isBetween(2_400_000L, 2_600_000L);
  }

  @Test
  void eachRouteOpensWhatItNeeds() {
    Requests requests = Requests.of(1, MANY);
    int connections =
        requests.arrivals().stream().mapToInt(arrival -> arrival.route().needs().size()).sum();
    // 0.4 · 1 + 0.3 · 2 + 0.2 · 2 + 0.1 · 3
    assertThat(connections).isBetween(16_700, 17_300);
  }
}
