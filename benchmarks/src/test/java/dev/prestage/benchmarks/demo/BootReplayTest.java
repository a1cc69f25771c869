package dev.prestage.benchmarks.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.benchmarks.demo.Recording.Read;
import dev.prestage.dataplane.DataPlane;
import dev.prestage.dataplane.Options;
import dev.prestage.dataplane.Options.OriginOptions;
import dev.prestage.dataplane.Options.TierOptions;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Replays of made-up boots against a real data plane whose origin is 20 ms away.
class BootReplayTest {
  private static final SeededImage IMAGE = new SeededImage(3, 8 << 20);
  private static final int EXTENT = 64 * 1024;
  private static final double LATENCY_SECONDS = 0.02;

  private Path folder = Path.of("");
  private DataPlane plane;
  private Link link;

  @BeforeEach
  void serve() throws IOException {
    folder = Files.createTempDirectory("psreplay");
    IMAGE.write(folder.resolve("images").resolve("image"));
    plane =
        DataPlane.start(
            Options.of(
                folder.resolve("state"),
                folder.resolve("link.sock"),
                folder.resolve("nbd.sock"),
                List.of(
                    new OriginOptions(
                        "far",
                        folder.resolve("images"),
                        Faults.link(Duration.ofNanos((long) (LATENCY_SECONDS * 1e9)), 0))),
                new TierOptions("tier", folder.resolve("tier"), 64 << 20, "ssd")),
            new HostClock());
    link = Link.connect(folder.resolve("link.sock"), new Frame.Hello(FrameCodec.VERSION, 1, 1));
    link.send(new Frame.Bind(1, 1, "vm", 1, ResourceType.FILE_BLOCK, "default", "image"));
    while (!(link.receive() instanceof Frame.Answer)) {
      // Until the export is there.
    }
  }

  @AfterEach
  void stop() throws IOException {
    link.close();
    plane.close();
    Folders.delete(folder);
  }

  private BootReplay.Result replay(List<Read> reads, SeededImage image) throws IOException {
    return BootReplay.run(
        new Recording("made-up", reads),
        image,
        folder.resolve("nbd.sock"),
        "vm",
        () -> {},
        _ -> {});
  }

  private static Read read(int n, long start, long end) {
    return new Read(start, end, (long) n * EXTENT, 4096);
  }

  @Test
  void readsThatFollowedEachOtherStallOneAfterTheOther() throws IOException {
    List<Read> reads = new ArrayList<>();
    for (int n = 0; n < 20; n++) {
      reads.add(read(n, 100L * n, 100L * n + 50));
    }
    BootReplay.Result result = replay(reads, IMAGE);
    assertThat(result.stallSeconds()).isGreaterThan(20 * LATENCY_SECONDS);
    assertThat(result.bytesVerified()).isEqualTo(20 * 4096);
  }

  @Test
  void readsThatOverlappedOverlapAgain() throws IOException {
    List<Read> reads = new ArrayList<>();
    for (int n = 0; n < 20; n++) {
      reads.add(read(n, n, 1000));
    }
    assertThat(replay(reads, IMAGE).stallSeconds()).isLessThan(15 * LATENCY_SECONDS);
  }

  @Test
  void thinkTimeIsADividedGapAndNoStall() throws IOException {
    List<Read> reads =
        List.of(read(0, 0, 50), read(1, 50 + BootReplay.THINK_DIVISOR * 200_000, 5_000_000));
    BootReplay.Result result = replay(reads, IMAGE);
    assertThat(result.runSeconds() - result.stallSeconds()).isGreaterThan(0.199);
  }

  @Test
  void aWrongByteEndsTheReplay() {
    assertThatThrownBy(() -> replay(List.of(read(2, 0, 50)), new SeededImage(4, 8 << 20)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("byte 131072 of the image is wrong");
  }
}
