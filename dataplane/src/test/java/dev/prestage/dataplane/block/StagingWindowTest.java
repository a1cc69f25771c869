package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.Queue;
import org.junit.jupiter.api.Test;

/// The window against a link in simulated time.
final class StagingWindowTest {
  private static final double BYTES_PER_NANO = 200e6 / 1e9;
  private static final long LATENCY_NANOS = 10_000_000;
  private static final long PRODUCT_BYTES = (long) (BYTES_PER_NANO * LATENCY_NANOS);

  private record Flight(long startNanos, long doneNanos, long movedBefore, int bytes) {}

  /// Keeps the window full for a while; returns the share of the link that was used at last.
  private static double run(StagingWindow window, int fetchBytes, int fetches) {
    Queue<Flight> flights = new ArrayDeque<>();
    long now = 1;
    long linkFree = 0;
    long inFlight = 0;
    long measuredFrom = 0;
    long measuredBytes = 0;
    for (int i = 0; i < fetches; i++) {
      while (inFlight < window.bytes()) {
        linkFree = Math.max(linkFree, now) + (long) (fetchBytes / BYTES_PER_NANO);
        flights.add(new Flight(now, linkFree + LATENCY_NANOS, window.begin(), fetchBytes));
        inFlight += fetchBytes;
      }
      Flight done = flights.remove();
      now = done.doneNanos;
      inFlight -= done.bytes;
      window.end(done.movedBefore, done.bytes, done.startNanos, now);
      if (i == fetches / 2) {
        measuredFrom = now;
      } else if (i > fetches / 2) {
        measuredBytes += done.bytes;
      }
    }
    return measuredBytes / ((now - measuredFrom) * BYTES_PER_NANO);
  }

  @Test
  void largeFetchesFillTheLinkAndQueueForNoMoreThanOneLatency() {
    var window = new StagingWindow();
    assertThat(run(window, Fetch.MAX_BYTES, 400)).isGreaterThan(0.9);
    assertThat(window.bytes()).isBetween(PRODUCT_BYTES, 2 * PRODUCT_BYTES + Fetch.MAX_BYTES);
  }

  @Test
  void smallFetchesFillTheLinkToo() {
    var window = new StagingWindow();
    assertThat(run(window, TierFile.EXTENT_BYTES, 4000)).isGreaterThan(0.9);
    assertThat(window.bytes()).isBetween(PRODUCT_BYTES, 2 * PRODUCT_BYTES + Fetch.MAX_BYTES);
  }

  @Test
  void oneLargestFetchIsAlwaysPossible() {
    assertThat(new StagingWindow().bytes()).isEqualTo(Fetch.MAX_BYTES);
  }
}
