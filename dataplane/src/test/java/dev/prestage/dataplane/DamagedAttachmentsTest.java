package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.Attachments.Attachment;
import dev.prestage.dataplane.block.Image;
import dev.prestage.link.host.PutAside;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A record of attachments that is damaged never names another disk and never stops the data plane.
class DamagedAttachmentsTest {
  private static final Attachment ONE =
      new Attachment(
          1, "vm 1/ä", 0, "default", "web1.raw", new Image.Identity(4096, -5, 7, 1L << 40));
  private static final Attachment TWO = new Attachment(2, "vm2", 1, "default", "web3.raw", null);

  /// Thousands of damaged files would be thousands of lines. Held here because the JDK forgets the
  /// level of a logger that nobody holds.
  private static final Logger QUIET = Logger.getLogger(Attachments.class.getName());

  @TempDir Path state;
  private Path file = Path.of("");
  private Attachments attachments = new Attachments(Path.of(""));

  @BeforeAll
  static void beQuiet() {
    QUIET.setLevel(Level.OFF);
  }

  @AfterAll
  static void speakAgain() {
    QUIET.setLevel(null);
  }

  @BeforeEach
  void save() throws IOException {
    file = state.resolve("attachments");
    attachments = new Attachments(state);
    attachments.save(List.of(ONE, TWO));
  }

  @Test
  void whatWasSavedIsLoadedAndNothingIsPutAside() throws IOException {
    assertThat(attachments.load()).containsExactly(ONE, TWO);
    assertThat(PutAside.in(state)).isEmpty();
  }

  @Test
  void noFlippedBitMakesAnotherAttachment() throws IOException {
    byte[] good = Files.readAllBytes(file);
    for (int bit = 0; bit < good.length * 8; bit++) {
      byte[] bad = good.clone();
      bad[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(file, bad);
      assertThat(List.of(ONE, TWO)).as("bit " + bit).containsAll(attachments.load());
    }
  }

  @Test
  void noTruncationMakesAnotherAttachment() throws IOException {
    byte[] good = Files.readAllBytes(file);
    for (int length = 0; length < good.length - 1; length++) {
      Files.write(file, Arrays.copyOf(good, length));
      assertThat(List.of(ONE, TWO)).as("length " + length).containsAll(attachments.load());
    }
  }

  @Test
  void aDamagedFileIsPutAsideAndWhatIsWholeIsServedAndRememberedAnew() throws IOException {
    String bad = Files.readString(file).replace("web1.raw", "web3.raw");
    Files.writeString(file, bad);
    assertThat(attachments.load()).containsExactly(TWO);
    assertThat(state.resolve("attachments.damaged-1")).hasContent(bad);
    assertThat(attachments.load()).containsExactly(TWO);
    assertThat(PutAside.in(state)).containsOnlyKeys("attachments.damaged-1");
  }

  @Test
  void bytesThatAreNoTextAreDamageLikeAnyOther() throws IOException {
    Files.write(file, new byte[] {(byte) 0xc3, 0x28, (byte) 0xff, '\n'});
    assertThat(attachments.load()).isEmpty();
    assertThat(PutAside.in(state)).hasSize(1);
  }

  @Test
  void aFileOfTheFirstFormatIsReadAndServesNothingWhereItIsDamaged() throws IOException {
    Files.writeString(
        file,
        "prestage-attachments 1\n1 vm+1%2F%C3%A4 0 default web1.raw\n2 vm2 1 default web3.raw");
    assertThat(attachments.load()).containsExactly(ONE.of(null), TWO);
    Files.writeString(
        file, "prestage-attachments 1\n1 vm+1%2F%C3%A4 0 default web1.raw\n2 vm2 1 default");
    assertThat(attachments.load()).isEmpty();
    assertThat(PutAside.in(state)).hasSize(1);
  }

  @Test
  void aFileOfANewerVersionIsRefusedAndStays() throws IOException {
    String title = "prestage-attachments 3 what";
    Files.writeString(
        file, title + " " + PutAside.checksum(title.getBytes(StandardCharsets.UTF_8)) + "\n");
    assertThatThrownBy(attachments::load).hasMessageContaining("written by a newer Prestage");
    assertThat(file).exists();
  }
}
