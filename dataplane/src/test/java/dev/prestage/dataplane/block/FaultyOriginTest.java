package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.fault.Faults;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class FaultyOriginTest {
  private static final int BYTES = 1 << 20;

  private final TestOrigin inner = new TestOrigin();
  private final byte[] content = inner.put("disk", BYTES, 1);

  private static ByteBuffer read(Image image, int offset, int length) throws IOException {
    ByteBuffer into = ByteBuffer.allocate(length);
    image.read(offset, into);
    return into.flip();
  }

  /// How long reads take that begin together, each of the next part of the disk.
  private static long nanosOf(Image image, int reads, int bytes) {
    long start = System.nanoTime();
    List<CompletableFuture<Void>> begun = new ArrayList<>();
    for (int i = 0; i < reads; i++) {
      begun.add(inBackground(image, i * bytes, bytes));
    }
    begun.forEach(CompletableFuture::join);
    return System.nanoTime() - start;
  }

  private static CompletableFuture<Void> inBackground(Image image, int offset, int length) {
    var done = new CompletableFuture<Void>();
    Thread.ofPlatform()
        .start(() -> {
          try {
            read(image, offset, length);
            done.complete(null);
          } catch (IOException e) {
            done.completeExceptionally(e);
          }
        });
    return done;
  }

  @Test
  void noFaultsMeansTheOriginItself() {
    assertThat(FaultyOrigin.of(inner, Faults.NONE)).isSameAs(inner);
  }

  @Test
  void latencyIsAddedToEachReadAndNotToTheirSum() throws Exception {
    // The sum would be 20 s; half of that is far from what any machine takes for one latency.
    Duration latency = Duration.ofMillis(400);
    Image image = FaultyOrigin.of(inner, Faults.link(latency, 0)).open("disk");
    assertThat(nanosOf(image, 50, 100)).isBetween(latency.toNanos(), 25 * latency.toNanos());
  }

  @Test
  void bandwidthIsSharedByAllReads() throws Exception {
    // 4 × 256 KiB at 4 MiB/s: a quarter of a second together.
    Image image = FaultyOrigin.of(inner, Faults.link(Duration.ZERO, 4 << 20)).open("disk");
    assertThat(nanosOf(image, 4, 1 << 18)).isGreaterThanOrEqualTo(250_000_000L);
  }

  @Test
  void errorsAndWrongBitsComeAtTheirRateAndRepeatWithTheSeed() throws Exception {
    var faults = new Faults(Duration.ZERO, 0, 0.3, 0, 0.5, 42);
    assertThat(fates(faults)).isEqualTo(fates(faults));
    String fates = fates(faults);
    assertThat(fates.chars().filter(c -> c == 'e').count()).isBetween(200L, 400L);
    assertThat(fates.chars().filter(c -> c == 'w').count()).isBetween(250L, 450L);
  }

  private String fates(Faults faults) throws IOException {
    var fates = new StringBuilder();
    Image image = FaultyOrigin.of(inner, faults).open("disk");
    ByteBuffer right = ByteBuffer.wrap(Arrays.copyOfRange(content, 100, 200));
    for (int i = 0; i < 1000; i++) {
      try {
        fates.append(read(image, 100, 100).equals(right) ? 'r' : 'w');
      } catch (IOException _) {
        fates.append('e');
      }
    }
    return fates.toString();
  }

  @Test
  void aReadThatHangsEndsWhenTheOriginIsClosed() throws Exception {
    Origin origin = FaultyOrigin.of(inner, new Faults(Duration.ZERO, 0, 0, 1, 0, 1));
    CompletableFuture<Void> read = inBackground(origin.open("disk"), 0, 1);
    assertThat(read.isDone()).isFalse();
    origin.close();
    assertThatThrownBy(() -> read.get(20, TimeUnit.SECONDS)).hasMessageContaining("was closed");
  }
}
