package dev.prestage.cli.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipalLookupService;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DiskFilesTest {
  @TempDir private Path folder = Path.of("");
  private DiskFiles files = new DiskFiles(Path.of(""), Path.of(""), true);

  @BeforeEach
  void writeImage() throws IOException {
    Path image = folder.resolve("d.raw");
    Files.write(image, new byte[1 << 20]);
    files = new DiskFiles(image, folder.resolve("web.prestage-1.qcow2"), true);
  }

  private static void assumeQemuImg() {
    assumeThat(Path.of("/usr/bin/qemu-img")).as("package qemu-utils").exists();
  }

  @Test
  void anOverlayHasTheOwnerTheGroupAndTheModeOfItsImage() throws IOException {
    assumeQemuImg();
    PosixFileAttributeView image =
        Files.getFileAttributeView(files.image(), PosixFileAttributeView.class);
    image.setPermissions(PosixFilePermissions.fromString("rw-rw-r--"));
    if (System.getProperty("user.name").equals("root")) {
      // The owner is the same, and QEMU would be let in as its group.
      UserPrincipalLookupService names = folder.getFileSystem().getUserPrincipalLookupService();
      GroupPrincipal group = names.lookupPrincipalByGroupName("daemon");
      image.setGroup(group);
    }
    Overlay _ = files.makeOverlay();
    PosixFileAttributes like = image.readAttributes();
    PosixFileAttributes made = Files.readAttributes(files.overlay(), PosixFileAttributes.class);
    assertThat(made.owner()).isEqualTo(like.owner());
    assertThat(made.group()).isEqualTo(like.group());
    assertThat(made.permissions()).isEqualTo(like.permissions());
    assertThat(Files.readAllBytes(files.overlay())).startsWith('Q', 'F', 'I', 0xfb);
  }

  @Test
  void aFileThatIsThereIsNeverWrittenOverAndNeverRemoved() throws IOException {
    Files.writeString(files.overlay(), "what a guest wrote");
    assertThatThrownBy(files::makeOverlay)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("is there already");
    assertThat(files.overlay()).hasContent("what a guest wrote");
    Files.delete(files.overlay());

    // A link that leads nowhere would be followed.
    Files.createSymbolicLink(files.overlay(), folder.resolve("elsewhere"));
    assertThatThrownBy(files::makeOverlay).hasMessageContaining("is there already");
    assertThat(folder.resolve("elsewhere")).doesNotExist();
  }

  @Test
  void onlyTheFileThatWasMadeIsRemoved() throws IOException {
    Overlay made = Overlay.reserve(files.overlay());
    made.remove();
    assertThat(files.overlay()).doesNotExist();
    made.remove();

    Overlay replaced = Overlay.reserve(files.overlay());
    Path other = Files.writeString(folder.resolve("other"), "another's");
    Files.move(other, files.overlay(), java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    replaced.remove();
    assertThat(files.overlay()).hasContent("another's");
  }

  @Test
  void whatFailsLeavesNoOverlay() {
    assumeQemuImg();
    DiskFiles without = new DiskFiles(folder.resolve("none.raw"), files.overlay(), true);
    assertThatThrownBy(without::makeOverlay).isInstanceOf(IOException.class);
    assertThat(files.overlay()).doesNotExist();
  }
}
