package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What other users of the host can read of a Prestage, and what they can make it do.
class OtherUsersTest {
  private static final String STRANGER = "65534";

  private Path folder = Path.of("");

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("psother");
    permit(folder, "rwxr-xr-x");
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static void permit(Path path, String permissions) throws IOException {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));
  }

  private static String permissions(Path path) {
    try {
      return PosixFilePermissions.toString(
          Files.getPosixFilePermissions(path, LinkOption.NOFOLLOW_LINKS));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static void use(RunningHost host) throws IOException {
    host.register("vm-1", "shop");
    host.post("/v1/vms/vm-1/start", "{}");
    try (NbdClient disk = host.disk("vm-1")) {
      for (int extent = 0; extent < 20; extent++) {
        host.readExtent(disk, extent);
      }
    }
    host.post("/v1/vms/vm-1/stop", "{}");
  }

  @Test
  void whatTheStateFolderHoldsIsForItsUserOnly() throws IOException {
    Path state = Files.createDirectories(folder.resolve("state"));
    // As an earlier release left them.
    Path lock = Files.writeString(state.resolve("prestage.lock"), "");
    Path tier = Files.createDirectory(state.resolve("tier"));
    permit(state, "rwxr-xr-x");
    permit(lock, "rw-r--r--");
    permit(tier, "rwxr-xr-x");
    try (RunningHost host = RunningHost.start(folder, RunningHost.WITH_HISTORY).awaitOk()) {
      use(host);
      assertThat(permissions(host.api().getParent())).isEqualTo("rwx------");
    }
    // Nobody passes the folder; what is right in it is closed all the same, for when a group may.
    try (Stream<Path> entries = Files.walk(state, 1);
        Stream<Path> extents = Files.walk(tier)) {
      assertThat(Stream.concat(entries, extents))
          .hasSizeGreaterThan(12)
          .allSatisfy(path -> assertThat(permissions(path)).as("%s", path).endsWith("------"));
    }
  }

  @Test
  void theGroupOfTheDisksReadsThemAndNothingElse() throws Exception {
    assumeThat(System.getProperty("user.name"))
        .as("only root can be other users")
        .isEqualTo("root");
    assumeThat(Path.of("/usr/bin/qemu-img")).as("package qemu-utils").exists();
    // Empty: it may be closed, whoever could write to it.
    Path state = Files.createDirectory(folder.resolve("state"));
    permit(state, "rwxrwxrwx");
    try (RunningHost host = RunningHost.start(folder, "nbd: {group: nogroup}\n").awaitOk()) {
      assertThat(permissions(state)).isEqualTo("rwx--x---");
      use(host);
      String uri = "nbd+unix:///vm-1?socket=" + host.api().resolveSibling("nbd.sock");
      assertThat(asStranger("qemu-img", "info", uri)).isZero();
      assertThat(asStranger("ls", state.toString())).isNotZero();
      assertThat(asStranger("cat", state.resolve("registrations.json").toString())).isNotZero();
      Path data = state.resolve("tier/default/" + RunningHost.IMAGE + ".data");
      assertThat(data).exists();
      assertThat(asStranger("cat", data.toString())).isNotZero();
      assertThat(permissions(host.api())).isEqualTo("rw-------");
    }
  }

  private int asStranger(String... command) throws Exception {
    List<String> line =
        new ArrayList<>(
            List.of("setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"));
    line.addAll(List.of(command));
    Process process =
        new ProcessBuilder(line)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return process.exitValue();
  }

  private String refusal() throws Exception {
    Files.writeString(
        folder.resolve("prestage.yaml"),
        "state: state\norigins: [{name: nas, directory: images}]\n");
    Path log = folder.resolve("log");
    Files.deleteIfExists(log);
    Process process = RunningHost.launch(folder, log);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(2);
    assertThat(Files.readString(log).strip()).hasLineCount(1);
    return Files.readString(log);
  }

  @Test
  void aStateFolderOfAnotherUserIsRefusedAndItsLinksAreNotFollowed() throws Exception {
    assumeThat(System.getProperty("user.name"))
        .as("only root can be other users")
        .isEqualTo("root");
    Path precious = Files.writeString(folder.resolve("precious"), "untouched");
    Path state = Files.createDirectory(folder.resolve("state"));
    Files.createSymbolicLink(state.resolve("prestage.lock"), precious);
    Files.getFileAttributeView(state, PosixFileAttributeView.class)
        .setOwner(
            FileSystems.getDefault()
                .getUserPrincipalLookupService()
                .lookupPrincipalByName(STRANGER));
    assertThat(refusal()).contains("the folder " + state + " belongs to ");
    assertThat(precious).hasContent("untouched");
  }

  @Test
  void aStateFolderThatOthersCanHaveFilledIsRefusedAndItsLinksAreNotFollowed() throws Exception {
    Path precious = Files.writeString(folder.resolve("precious"), "untouched");
    Path state = Files.createDirectory(folder.resolve("state"));
    Files.createSymbolicLink(state.resolve("prestage.lock"), precious);
    permit(state, "rwxrwxrwx");
    assertThat(refusal()).contains("others can write to the folder " + state);
    permit(state, "rwx------");
    assertThat(refusal()).contains("the state folder " + state).contains("symbolic links");
    assertThat(precious).hasContent("untouched");
  }

  @Test
  void aFolderWithOtherThingsIsNotMadeAStateFolder() throws Exception {
    Path state = Files.createDirectory(folder.resolve("state"));
    Files.createDirectory(state.resolve("somebody"));
    permit(state, "rwxr-xr-x");
    assertThat(refusal()).contains(state + " holds other things");
    assertThat(permissions(state)).isEqualTo("rwxr-xr-x");
  }
}
