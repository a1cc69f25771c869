package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Two origins that have an image of the same name, in two versions of the same size.
@Timeout(60)
final class TwoOriginsTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;

  private final TestOrigin first = new TestOrigin("first");
  private final TestOrigin second = new TestOrigin("second");
  private BlockStager stager;

  @BeforeEach
  void start() throws IOException {
    first.put("disk", EXTENT, 1);
    second.put("disk", EXTENT, 2);
    second.put("disk", EXTENT, 3);
    stager =
        new BlockStager(
            List.of(first, second),
            new Tier("ssd", 64L * EXTENT, new CrashStorage(), new HostClock(), (_, _) -> {}),
            new BlockOptions(2, 2, Duration.ofSeconds(40), Duration.ofSeconds(20)),
            new HostClock(),
            (_, _) -> {},
            new Doorbell());
  }

  @AfterEach
  void stop() throws IOException {
    stager.close();
  }

  private static Image.Identity versionOf(TestOrigin origin) throws IOException {
    try (Image image = origin.open("disk")) {
      return image.identity();
    }
  }

  @Test
  void aVmThatReadTheSecondOriginsVersionGetsItAgain() throws IOException {
    BlockSpace space = stager.attach(1, "t", "disk", versionOf(second));
    assertThat(space.identity()).isEqualTo(versionOf(second));
    assertThat(space.queue.origin).isSameAs(second);
    assertThat(first.openImages()).as("images of the origin that was passed over").isZero();
  }

  @Test
  void aVmWhoseVersionIsGoneGetsTheFirstOriginsAndNothingElseStaysOpen() throws IOException {
    var gone = new Image.Identity(EXTENT, 99, 1, 1);
    BlockSpace space = stager.attach(1, "t", "disk", gone);
    assertThat(space.identity()).isEqualTo(versionOf(first));
    assertThat(first.openImages()).isOne();
    assertThat(second.openImages()).isZero();
  }

  @Test
  void vmsOfBothVersionsReadTheirsAtTheSameTimeAndShareNothing() throws IOException {
    BlockSpace ofFirst = stager.attach(1, "t", "disk");
    BlockSpace ofSecond = stager.attach(2, "t", "disk", versionOf(second));
    assertThat(ofSecond.identity()).isEqualTo(versionOf(second));
    assertThat(ofSecond.shelves[0].file()).isNotSameAs(ofFirst.shelves[0].file());
    assertThat(stager.attach(3, "t", "disk", versionOf(first))).isSameAs(ofFirst);
    assertThat(stager.attach(4, "t", "disk", versionOf(second))).isSameAs(ofSecond);
  }
}
