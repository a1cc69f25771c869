package dev.prestage.control.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.resource.Program;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelVersionsTest {
  private static final Program.Key WEB = new Program.Key("default", "web");

  @TempDir Path folder;

  private ModelVersions versions() {
    return new ModelVersions(folder);
  }

  private Path file(String name) {
    return folder.resolve("default").resolve("web.versions").resolve(name);
  }

  /// A model took the place of one that had so many runs.
  private void replace(String how, int runs) throws IOException {
    versions().keep(WEB, new byte[] {(byte) runs}, runs);
    versions().replaced(WEB, new Provenance(how, 5, 1, 4, 9L, "why " + runs));
  }

  private byte[] earlier(@Nullable Integer number) throws IOException {
    return versions().earlier(WEB, number).model().array();
  }

  @Test
  void aModelThatWasNeverReplacedIsTheFirst() throws IOException {
    assertThat(versions().kept(WEB)).isEmpty();
    assertThat(versions().serving(WEB))
        .isEqualTo(new ModelVersions.Version(1, Provenance.of(Provenance.LEARNT, 0, ""), 0, 0, ""));
    assertThatThrownBy(() -> versions().earlier(WEB, null))
        .isInstanceOf(ModelException.class)
        .hasMessage("no earlier model of web is kept");
  }

  @Test
  void newestThreeAreKeptWithWhereTheyCameFrom() throws IOException {
    for (int runs = 1; runs <= 5; runs++) {
      replace(Provenance.IMPORTED, runs);
    }
    assertThat(versions().serving(WEB).number()).isEqualTo(6);
    assertThat(versions().kept(WEB))
        .extracting(ModelVersions.Version::number)
        .containsExactly(5, 4, 3);
    assertThat(versions().kept(WEB).getFirst().provenance())
        .isEqualTo(new Provenance(Provenance.IMPORTED, 5, 1, 4, 9L, "why 4"));
    assertThat(versions().kept(WEB).getFirst().runs()).isEqualTo(5);
    assertThat(earlier(null)).containsExactly(5);
    assertThat(earlier(3)).containsExactly(3);
    assertThatThrownBy(() -> versions().earlier(WEB, 1))
        .hasMessage("version 1 of web is not kept; kept: [5, 4, 3]");
  }

  @Test
  void aKillBetweenKeepingAndServingLeavesBothAndSaysSo() throws IOException {
    replace(Provenance.REBUILT, 1);
    versions().keep(WEB, new byte[] {2}, 2);
    // Another process goes on.
    ModelVersions.Version serving = versions().serving(WEB);
    assertThat(serving.number()).isEqualTo(3);
    assertThat(serving.provenance())
        .isEqualTo(
            Provenance.of(
                Provenance.UNKNOWN, 0, "the process ended while it took the place of version 2"));
    assertThat(earlier(2)).containsExactly(2);
    replace(Provenance.IMPORTED, 3);
    assertThat(versions().serving(WEB).number()).isEqualTo(4);
    assertThat(earlier(3)).containsExactly(3);
  }

  @Test
  void whatWasNotReplacedIsTakenBack() throws IOException {
    replace(Provenance.REBUILT, 1);
    versions().takeBack(WEB, versions().keep(WEB, new byte[] {2}, 2));
    assertThat(versions().serving(WEB).number()).isEqualTo(2);
    assertThat(versions().serving(WEB).provenance()).isNotNull();
    assertThat(versions().kept(WEB)).hasSize(1);
  }

  @Test
  void damagedAndNewerFilesAreRefusedInOneLineAndListed() throws IOException {
    replace(Provenance.IMPORTED, 1);
    byte[] good = Files.readAllBytes(file("1.version"));
    byte[] newer = good.clone();
    newer[11] = 2;
    Files.write(file("1.version"), newer);
    assertThatThrownBy(() -> earlier(1))
        .hasMessage(
            "version 1 of web cannot be used: it has format version 2, this Prestage reads 1");
    assertThat(versions().kept(WEB).getFirst().trouble()).contains("format version 2");
    for (int at = 0; at < good.length; at++) {
      byte[] damaged = good.clone();
      damaged[at] ^= 0x40;
      Files.write(file("1.version"), damaged);
      assertThatThrownBy(() -> earlier(1)).isInstanceOf(ModelException.class);
      Files.write(file("1.version"), Arrays.copyOf(good, at));
      assertThatThrownBy(() -> earlier(1)).isInstanceOf(ModelException.class);
    }
    Files.writeString(file("serving"), "nonsense");
    assertThat(versions().serving(WEB).number()).isEqualTo(2);
    assertThat(versions().serving(WEB).trouble()).isEqualTo("it is no version of a model");
  }

  @Test
  void aModelThatCannotBeKeptSaysSo() throws IOException {
    Files.createDirectories(folder.resolve("default"));
    Files.writeString(folder.resolve("default").resolve("web.versions"), "in the way");
    assertThatThrownBy(() -> versions().keep(WEB, new byte[1], 1))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("cannot be kept")
        .hasMessageContaining("goes on to serve");
  }
}
