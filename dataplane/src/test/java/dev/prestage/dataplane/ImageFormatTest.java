package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.block.DirectoryOrigin;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Files that are no raw images.
final class ImageFormatTest {
  private @TempDir Path directory;

  private void write(String start, int bytes) throws IOException {
    Files.write(
        directory.resolve("disk"),
        Arrays.copyOf(start.getBytes(StandardCharsets.ISO_8859_1), bytes));
  }

  private DirectoryOrigin origin(boolean anyFormat) {
    return new DirectoryOrigin("nas", directory, anyFormat);
  }

  @ParameterizedTest
  @CsvSource({
    "QFI\u00fb,qcow2",
    "KDMV,vmdk",
    "# Disk DescriptorFile,vmdk",
    "vhdxfile,vhdx",
  })
  void aFileOfAnotherFormatIsRefusedByItsNameUnlessItIsWanted(String start, String format)
      throws Exception {
    write(start, 65536);
    assertThatThrownBy(() -> origin(false).open("disk"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("image 'disk' of origin 'nas' is a " + format + " file")
        .hasMessageContaining("qemu-img convert");
    try (var image = origin(true).open("disk")) {
      assertThat(image.identity().sizeBytes()).isEqualTo(65536);
    }
  }

  @ParameterizedTest
  @CsvSource({"Q,1", "QFI,65536", "raw,20"})
  void whatOnlyBeginsLikeOneIsRaw(String start, int bytes) throws Exception {
    write(start, bytes);
    try (var image = origin(false).open("disk")) {
      assertThat(image.identity().sizeBytes()).isEqualTo(bytes);
    }
  }

  @Test
  void aFolderIsNoImage() throws Exception {
    Files.createDirectory(directory.resolve("disk"));
    assertThatThrownBy(() -> origin(false).open("disk")).hasMessageContaining("is not a file");
  }
}
