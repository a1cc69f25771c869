package dev.prestage.benchmarks.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.benchmarks.network.Requests.Arrival;
import dev.prestage.benchmarks.network.Requests.Upstream;
import dev.prestage.benchmarks.network.Requests.Use;
import java.io.IOException;
import java.io.StringReader;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RequestsTest {
  private static final String HEAD =
      "# seed: 1\nopen_us,close_us,request,route,request_us,upstream,login,exchanges\n";

  private static Requests parse(String rows) throws IOException {
    return Requests.parse("shop-0", new StringReader(HEAD + rows));
  }

  @Test
  void connectionsBelongToTheirRequestsInTheOrderOfTheirOpenings() throws IOException {
    Requests requests =
        parse(
            """
            1100,1900,1,checkout,1000,cache,0,3
            1300,1800,1,checkout,1000,database,3,6
            1350,1400,2,login,1200,database,3,6
            1450,1500,2,login,1200,cache,0,2
            """);
    assertThat(requests.arrivals())
        .containsExactly(
            new Arrival(
                1000,
                "checkout",
                List.of(
                    new Use(Upstream.CACHE, 100, 0, 3, false),
                    new Use(Upstream.DATABASE, 200, 3, 6, false))),
            new Arrival(
                1200,
                "login",
                List.of(
                    new Use(Upstream.DATABASE, 150, 3, 6, true),
                    new Use(Upstream.CACHE, 100, 0, 2, false))));
    assertThat(requests.connections()).isEqualTo(4);
  }

  @Test
  void aPoolHasLoggedInAlready() {
    Use use = new Use(Upstream.DATABASE, 0, 3, 6, false);
    assertThat(use.questions(false)).isEqualTo(6);
    assertThat(use.questions(true)).isEqualTo(3);
    assertThat(new Use(Upstream.CACHE, 0, 0, 0, false).questions(false)).isEqualTo(1);
  }

  @Test
  void aLineThatIsCutShortIsNamed() {
    assertThatThrownBy(() -> parse("1,2,3\n")).hasMessageContaining("'1,2,3' has not 8 fields");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void eachRecordedRunHasTheStartAndTwentyRequests(int run) throws IOException {
    Requests requests = Requests.load(run);
    assertThat(requests.arrivals()).hasSize(21);
    assertThat(requests.arrivals().getFirst().route()).isEqualTo("start");
    assertThat(requests.arrivals())
        .allSatisfy(arrival -> {
          assertThat(arrival.atMicros()).isBetween(0L, 10_000_000L);
          assertThat(arrival.uses())
              .isNotEmpty()
              .allSatisfy(use -> assertThat(use.exchanges()).isGreaterThan(use.login()));
        });
  }
}
