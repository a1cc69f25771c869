package dev.prestage.benchmarks.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SeededImageTest {
  private static final SeededImage IMAGE = new SeededImage(7, (1 << 20) + 4096);

  @TempDir Path folder;

  private byte[] written() throws IOException {
    Path file = folder.resolve("image");
    IMAGE.write(file);
    return Files.readAllBytes(file);
  }

  @Test
  void everyByteOfTheFileIsTheImages() throws IOException {
    byte[] bytes = written();
    assertThat(bytes).hasSize((1 << 20) + 4096);
    assertThat(IMAGE.firstWrong(0, ByteBuffer.wrap(bytes))).isEqualTo(-1);
    assertThat(IMAGE.firstWrong(13, ByteBuffer.wrap(bytes, 13, 999).slice())).isEqualTo(-1);
  }

  @Test
  void oneWrongBitIsFoundWhereItIs() throws IOException {
    byte[] bytes = written();
    bytes[70_001] ^= 4;
    assertThat(IMAGE.firstWrong(0, ByteBuffer.wrap(bytes))).isEqualTo(70_001);
  }

  @Test
  void bytesOfAnotherPlaceAreWrong() throws IOException {
    byte[] bytes = written();
    assertThat(IMAGE.firstWrong(4096, ByteBuffer.wrap(bytes, 0, 512).slice())).isEqualTo(4096);
  }

  @Test
  void anotherSeedIsAnotherImage() throws IOException {
    byte[] bytes = written();
    assertThat(new SeededImage(8, bytes.length).firstWrong(0, ByteBuffer.wrap(bytes))).isZero();
  }

  @Test
  void aFileThatIsNotTheImageIsWrittenAnew() throws IOException {
    Path file = folder.resolve("image");
    IMAGE.write(file);
    byte[] right = Files.readAllBytes(file);
    Files.write(file, new byte[right.length]);
    IMAGE.write(file);
    assertThat(Arrays.mismatch(Files.readAllBytes(file), right)).isEqualTo(-1);
  }
}
