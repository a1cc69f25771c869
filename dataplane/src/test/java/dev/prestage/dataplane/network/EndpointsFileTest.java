package dev.prestage.dataplane.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.network.EndpointsFile.Remembered;
import dev.prestage.link.host.PutAside;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EndpointsFileTest {
  private static final Remembered FIRST =
      new Remembered(1, "vm 1/dä", 2, "default", "[::1]:5432", 40_001);
  private static final Remembered SECOND =
      new Remembered(3, "vm2/db", 4, "other\n", "db:1", 40_002);

  private @TempDir Path directory;
  private Path file;
  private EndpointsFile endpoints;

  @BeforeEach
  void save() throws IOException {
    file = directory.resolve("endpoints");
    endpoints = new EndpointsFile(directory);
    assertThat(endpoints.load()).isEmpty();
    endpoints.save(List.of(FIRST, SECOND));
  }

  @Test
  void whatWasSavedIsLoaded() throws IOException {
    assertThat(endpoints.load()).containsExactly(FIRST, SECOND);
    assertThat(PutAside.in(directory)).isEmpty();
  }

  @Test
  void aDamagedLineCostsItsEndpointOnlyAndIsPutAside() throws IOException {
    Files.writeString(file, Files.readString(file).replace("40002", "40003"));
    assertThat(endpoints.load()).containsExactly(FIRST);
    assertThat(PutAside.in(directory)).containsOnlyKeys("endpoints.damaged-1");
    assertThat(endpoints.load()).containsExactly(FIRST);
    Files.write(file, new byte[] {0, -1, 7});
    assertThat(endpoints.load()).isEmpty();
    assertThat(PutAside.in(directory)).hasSize(2);
  }

  @Test
  void aFileOfANewerVersionIsRefused() throws IOException {
    String title = "prestage-endpoints 2 0";
    Files.writeString(file, title + " " + PutAside.checksum(title) + "\n");
    assertThatThrownBy(endpoints::load)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("newer Prestage");
  }
}
