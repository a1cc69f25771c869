package dev.prestage.simulator.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.luben.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

class TraceFilesTest {
  private static final byte[] LIS = "8 16 0 0\n0 1 0 1\n".getBytes(StandardCharsets.US_ASCII);

  @TempDir private Path folder;

  private interface Compressor {
    OutputStream on(OutputStream out) throws IOException;
  }

  private static final Compressor ZSTD = ZstdOutputStream::new;
  private static final Compressor GZIP = GZIPOutputStream::new;
  private static final Compressor XZ = out -> new XZOutputStream(out, new LZMA2Options(0));

  private static byte[] compressed(Compressor compressor, byte[] plain) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = compressor.on(bytes)) {
      out.write(plain);
    }
    return bytes.toByteArray();
  }

  private static byte[] joined(byte[] one, byte[] other) {
    byte[] both = Arrays.copyOf(one, one.length + other.length);
    System.arraycopy(other, 0, both, one.length, other.length);
    return both;
  }

  /// Lines that do not compress well, so that a cut file is cut within them.
  private static byte[] manyLines() {
    Random random = new Random(7);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 40_000; i++) {
      text.append(random.nextInt(1 << 30)).append(" 8 0 ").append(i).append('\n');
    }
    return text.toString().getBytes(StandardCharsets.US_ASCII);
  }

  private Path file(String name, byte[] bytes) throws IOException {
    return Files.write(folder.resolve(name), bytes);
  }

  private Trace read(String name, byte[] bytes) throws IOException {
    return TraceFiles.read(file(name, bytes), TraceFiles.AUTO, Progress.NONE);
  }

  @Test
  void compressionIsSeenInTheBytesNotInTheName() throws IOException {
    for (Compressor compressor : List.of(ZSTD, GZIP, XZ)) {
      Trace trace = read("misnamed.lis", compressed(compressor, LIS));
      assertThat(trace.requests()).isEqualTo(2);
      assertThat(trace.pages()).isEqualTo(3);
      assertThat(trace.first(0)).isEqualTo(1);
      assertThat(trace.count(0)).isEqualTo(2);
    }
    assertThat(read("plain.lis.zst", LIS).requests()).isEqualTo(2);
  }

  @Test
  void filesOfSeveralMembersAreReadToTheirEnd() throws IOException {
    for (Compressor compressor : List.of(ZSTD, GZIP, XZ)) {
      byte[] member = compressed(compressor, LIS);
      assertThat(read("several.lis", joined(member, member)).requests()).isEqualTo(4);
    }
  }

  @Test
  void aFileThatIsCutOffIsAnErrorWithItsName() throws IOException {
    byte[] lines = manyLines();
    for (Compressor compressor : List.of(ZSTD, GZIP, XZ)) {
      byte[] whole = compressed(compressor, lines);
      for (int length : new int[] {9, 50, whole.length / 2, whole.length - 1}) {
        assertThatThrownBy(() -> read("cut.lis", Arrays.copyOf(whole, length)))
            .isInstanceOf(TraceException.class)
            .hasMessageStartingWith("cut.lis: compressed, and ")
            .hasMessageContaining(" of " + length + " bytes");
      }
    }
  }

  @Test
  void aSecondMemberThatIsCutOffIsAnError() throws IOException {
    byte[] lines = manyLines();
    for (Compressor compressor : List.of(ZSTD, GZIP, XZ)) {
      byte[] member = compressed(compressor, lines);
      byte[] both = joined(member, member);
      byte[] cut = Arrays.copyOf(both, both.length - member.length / 2);
      assertThatThrownBy(() -> read("cut.lis", cut)).isInstanceOf(TraceException.class);
    }
  }

  /// A frame that pzstd writes before each frame of data, or another program for its own ends.
  private static byte[] skippable(int kind, int bytes) {
    byte[] frame = new byte[8 + bytes];
    frame[0] = (byte) (0x50 + kind);
    frame[1] = 0x2a;
    frame[2] = 0x4d;
    frame[3] = 0x18;
    frame[4] = (byte) bytes;
    return frame;
  }

  @Test
  void zstdsSkippableFramesAreSkippedWhereverTheyStand() throws IOException {
    byte[] frame = compressed(ZSTD, LIS);
    for (int kind : new int[] {0, 15}) {
      byte[] first = joined(skippable(kind, 4), frame);
      assertThat(read("first.txt", first).requests()).isEqualTo(2);
      byte[] between =
          joined(joined(first, skippable(kind, 100)), joined(first, skippable(kind, 0)));
      assertThat(read("between.txt", between).requests()).isEqualTo(4);
    }
    byte[] cut = joined(frame, Arrays.copyOf(skippable(0, 100), 50));
    assertThatThrownBy(() -> read("cut.txt", cut))
        .isInstanceOf(TraceException.class)
        .hasMessageStartingWith("cut.txt: compressed, and cut off");
  }

  @Test
  void aFileThatIsCutOffAnywhereBehindItsFirstMemberIsAnError() throws IOException {
    for (Compressor compressor : List.of(ZSTD, GZIP, XZ)) {
      byte[] member = compressed(compressor, LIS);
      for (int more = 1; more < member.length; more++) {
        byte[] cut = Arrays.copyOf(joined(member, member), member.length + more);
        assertThatThrownBy(() -> read("cut.lis", cut))
            .as(more + " bytes of the second member")
            .isInstanceOf(TraceException.class)
            .hasMessageStartingWith("cut.lis: compressed, and cut off");
      }
    }
  }

  @Test
  void whatFollowsAGzipFilesLastMemberIsZerosOrAnError() throws IOException {
    byte[] member = compressed(GZIP, LIS);
    assertThat(read("padded.lis", joined(member, new byte[70_000])).requests()).isEqualTo(2);
    byte[] padding = new byte[70_000];
    padding[padding.length - 1] = 1;
    for (byte[] tail : List.of(LIS, padding)) {
      assertThatThrownBy(() -> read("tail.lis", joined(member, tail)))
          .isInstanceOf(TraceException.class)
          .hasMessageStartingWith("tail.lis: compressed, and ");
    }
  }

  @Test
  void everyPartThatAGzipHeaderMayHaveIsPassedOver() throws IOException {
    byte[] plain = compressed(GZIP, LIS);
    byte[] parts = {3, 0, 1, 2, 3, 'n', 'a', 'm', 'e', 0, 'c', 0, 7, 7};
    byte[] header = Arrays.copyOf(plain, 10);
    header[3] = 2 | 4 | 8 | 16;
    byte[] named = joined(joined(header, parts), Arrays.copyOfRange(plain, 10, plain.length));
    assertThat(read("named.lis", joined(plain, named)).requests()).isEqualTo(4);
    byte[] wrong = named.clone();
    wrong[wrong.length - 5] = (byte) ~wrong[wrong.length - 5];
    assertThatThrownBy(() -> read("wrong.lis", wrong))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("checksum");
  }

  @Test
  void damageIsAnErrorWithTheFilesName() throws IOException {
    byte[] lines = manyLines();
    for (Compressor compressor : List.of(ZSTD, GZIP, XZ)) {
      byte[] damaged = compressed(compressor, lines);
      Arrays.fill(damaged, damaged.length / 2, damaged.length / 2 + 200, (byte) 0x55);
      assertThatThrownBy(() -> read("damaged.lis", damaged))
          .isInstanceOf(TraceException.class)
          .hasMessageStartingWith("damaged.lis");
    }
  }

  @Test
  void progressEndsAtTheFilesLength() throws IOException {
    byte[] bytes = compressed(ZSTD, manyLines());
    List<Long> seen = new ArrayList<>();
    TraceFiles.read(
        file("long.lis.zst", bytes),
        TraceFiles.AUTO,
        (read, total) -> {
          assertThat(total).isEqualTo(bytes.length);
          seen.add(read);
        });
    assertThat(seen).isSorted().endsWith((long) bytes.length);
  }

  @Test
  void theNameIsTheFilesWithoutCompressionAndFormat() throws IOException {
    assertThat(read("P6.lis.zst", LIS).name()).isEqualTo("P6");
    assertThat(read("wsrch-small.trace.xz", LIS).name()).isEqualTo("wsrch-small");
    assertThat(read("a.b.LIS", LIS).name()).isEqualTo("a.b");
    assertThat(read("noending", LIS).name()).isEqualTo("noending");
  }

  @Test
  void textFormatsAreRecognisedByTheirLines() throws IOException {
    assertThat(read("a.trace", "5 0 8 8 1\n".getBytes(StandardCharsets.US_ASCII)).isTimed())
        .isTrue();
    assertThat(read("b.txt", LIS).isTimed()).isFalse();
    assertThat(read("c", "0,8,512,r,0.5".getBytes(StandardCharsets.US_ASCII)).first(0))
        .isEqualTo(1);
  }

  @Test
  void anUnknownFormatNamesWhatWasTriedAndTheOption() {
    assertThatThrownBy(() -> read("x.txt", "hello\n".getBytes(StandardCharsets.US_ASCII)))
        .isInstanceOf(TraceException.class)
        .hasMessageStartingWith("x.txt: neither its name nor its beginning")
        .hasMessageContaining("vscsi")
        .hasMessageContaining("oracle-general")
        .hasMessageEndingWith("give --format");
    assertThatThrownBy(() -> TraceFiles.read(file("x.lis", LIS), "list", Progress.NONE))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("no trace format \"list\"; expected auto, vscsi");
  }

  @Test
  void whatIsNoFileOrHoldsNothingIsAnError() {
    assertThatThrownBy(
            () -> TraceFiles.read(folder.resolve("gone.lis"), TraceFiles.AUTO, Progress.NONE))
        .isInstanceOf(TraceException.class)
        .hasMessageEndingWith("gone.lis: no such file");
    assertThatThrownBy(() -> TraceFiles.read(folder, TraceFiles.AUTO, Progress.NONE))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("a directory");
    assertThatThrownBy(() -> TraceFiles.read(Path.of("/dev/null"), "lis", Progress.NONE))
        .isInstanceOf(TraceException.class)
        .hasMessageStartingWith("/dev/null: a pipe or a device; expected a trace file");
    assertThatThrownBy(() -> read("empty", new byte[0]))
        .isInstanceOf(TraceException.class)
        .hasMessage("empty: empty; expected a trace");
    for (TraceFiles.Description format : TraceFiles.formats()) {
      assertThatThrownBy(
              () -> TraceFiles.read(file("none", new byte[0]), format.name(), Progress.NONE))
          .as(format.name())
          .isInstanceOf(TraceException.class)
          .hasMessageStartingWith("none");
    }
  }

  @Test
  void aPipeIsRefusedBeforeItIsOpened() throws IOException, InterruptedException {
    Path pipe = folder.resolve("pipe.lis");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    assertThatThrownBy(() -> TraceFiles.read(pipe, TraceFiles.AUTO, Progress.NONE))
        .isInstanceOf(TraceException.class)
        .hasMessageStartingWith(pipe + ": a pipe or a device; expected a trace file");
  }

  @Test
  void noFormatFailsOnNoiseOtherwiseThanWithATraceException() throws IOException {
    long seed = 20261122;
    Random random = new Random(seed);
    for (int round = 0; round < 200; round++) {
      byte[] noise = new byte[1 + random.nextInt(400)];
      random.nextBytes(noise);
      if (round % 2 == 0) {
        for (int i = 0; i < noise.length; i++) {
          noise[i] = (byte) "0123456789 ,-+.rRwWQ\n\n:=x".charAt((noise[i] & 0xff) % 25);
        }
      }
      Path file = file("noise", noise);
      for (TraceFiles.Description format : TraceFiles.formats()) {
        try {
          assertThat(TraceFiles.read(file, format.name(), Progress.NONE).requests()).isPositive();
        } catch (TraceException e) {
          assertThat(e.getMessage()).as("seed " + seed).startsWith("noise").doesNotContain("\n");
        }
      }
    }
  }

  @Test
  void theSizeOfAPageCanBeGiven() throws IOException {
    Path file = file("a.lis", "120 16 0 0\n".getBytes(StandardCharsets.US_ASCII));
    Trace trace = TraceFiles.read(file, TraceFiles.AUTO, OptionalInt.of(65536), Progress.NONE);
    assertThat(trace.unitBytes()).isEqualTo(65536);
    assertThat(trace.first(0)).isZero();
    assertThat(trace.count(0)).isEqualTo(2);
    assertThatThrownBy(
            () -> TraceFiles.read(file, TraceFiles.AUTO, OptionalInt.of(1000), Progress.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("power of two");
  }
}
