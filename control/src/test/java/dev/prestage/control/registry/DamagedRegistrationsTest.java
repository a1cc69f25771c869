package dev.prestage.control.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.link.host.HostClock;
import dev.prestage.link.host.PutAside;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Registrations that are damaged or gone never name another disk, and never stop the control
/// plane.
class DamagedRegistrationsTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /// Thousands of damaged files would be thousands of lines. Held here because the JDK forgets the
  /// level of a logger that nobody holds.
  private static final Logger QUIET = Logger.getLogger(Registry.class.getName());

  @TempDir Path state;
  private final HostClock clock = new HostClock();
  private Path file = Path.of("");
  private Path copy = Path.of("");
  private List<Registered> kept = List.of();

  @BeforeAll
  static void beQuiet() {
    QUIET.setLevel(Level.OFF);
  }

  @AfterAll
  static void speakAgain() {
    QUIET.setLevel(null);
  }

  @BeforeEach
  void register() throws IOException {
    file = state.resolve("registrations.json");
    copy = state.resolve("registrations.json.copy");
    Registry registry = open();
    for (String image : List.of("web1.raw", "web3.raw")) {
      int space = registry.number(new Spaces.Name("default", ResourceType.FILE_BLOCK, image));
      Vm vm = new Vm(registry.newNumber(), "vm-of-" + image, registry.program("default", "web"));
      Space disk = registry.space(space, Shape.blocks(1 << 20));
      registry.keep(
          new Registered(vm, List.of(new Binding(registry.newNumber(), vm, "disk0", disk))));
    }
    registry.save();
    kept = List.copyOf(registry.vms());
  }

  private Registry open() throws IOException {
    return new Registry(file, false, clock);
  }

  private void removeAsides() throws IOException {
    try (Stream<Path> files = Files.list(state)) {
      for (Path each : files.filter(f -> f.toString().contains(".damaged-")).toList()) {
        Files.delete(each);
      }
    }
  }

  @Test
  void noFlippedBitChangesAnyRegistration() throws IOException {
    byte[] good = Files.readAllBytes(file);
    // One bit of each byte: another one from byte to byte.
    for (int bit = 0; bit < good.length * 8; bit += 9) {
      byte[] bad = good.clone();
      bad[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(file, bad);
      Registry registry = open();
      assertThat(registry.vms()).as("bit " + bit).isEqualTo(kept);
      assertThat(registry.isComplete()).as("bit " + bit).isTrue();
      assertThat(file).as("bit " + bit).hasSameBinaryContentAs(copy);
      removeAsides();
    }
  }

  @Test
  void noTruncationChangesAnyRegistration() throws IOException {
    byte[] good = Files.readAllBytes(file);
    for (int length = 0; length < good.length; length++) {
      Files.write(file, Arrays.copyOf(good, length));
      assertThat(open().vms()).as("length " + length).isEqualTo(kept);
      removeAsides();
    }
  }

  @Test
  void aDamagedFileIsPutAsideAndSaid() throws IOException {
    String bad = Files.readString(file).replace("web1.raw", "web2.raw");
    Files.writeString(file, bad);
    assertThat(open().trouble()).contains("registrations come from " + copy);
    assertThat(state.resolve("registrations.json.damaged-1")).hasContent(bad);
    assertThat(PutAside.in(state)).containsOnlyKeys("registrations.json.damaged-1");
    assertThat(open().trouble()).isEmpty();
  }

  @Test
  void aMissingFileComesBackFromItsCopy() throws IOException {
    Files.delete(file);
    Registry registry = open();
    assertThat(registry.vms()).isEqualTo(kept);
    assertThat(registry.trouble()).contains("missing");
    assertThat(file).hasSameBinaryContentAs(copy);
  }

  @Test
  void aDamagedCopyIsMadeAnew() throws IOException {
    Files.writeString(copy, "{");
    assertThat(open().vms()).isEqualTo(kept);
    assertThat(copy).hasSameBinaryContentAs(file);
  }

  @Test
  void whereFileAndCopyAreDamagedTheRegistryKnowsThatItDoesNotKnowAll() throws IOException {
    Files.writeString(file, "{}");
    Files.write(copy, new byte[] {(byte) 0xc3, 0x28});
    Registry registry = open();
    assertThat(registry.isComplete()).isFalse();
    assertThat(registry.vms()).isEmpty();
    assertThat(registry.trouble()).contains("are lost");
    assertThat(registry.newNumber()).isGreaterThan(1 << 20);
    int space = registry.number(new Spaces.Name("default", ResourceType.FILE_BLOCK, "web1.raw"));
    assertThat(space).isBetween(1 << 16, (1 << 23) - 1);
    assertThat(registry.name(space).name()).isEqualTo("web1.raw");
    registry.save();
    Registry next = open();
    assertThat(next.isComplete()).isFalse();
    assertThat(next.name(space).name()).isEqualTo("web1.raw");
  }

  @Test
  void noFileWhereTheDataPlaneServesVmsIsALossAndElseAFirstStart() throws IOException {
    Files.delete(file);
    Files.delete(copy);
    assertThat(open().isComplete()).isTrue();
    assertThat(new Registry(file, true, clock).isComplete()).isFalse();
  }

  /// What a file says that knows VMs as one disk each.
  private static final String ONE_DISK_EACH =
      """
      "nextVm":3,"predicting":null,
       "spaces":[{"tenant":"default","type":"file-block","name":"web1.raw"},
                 {"tenant":"default","type":"file-block","name":"web3.raw"}],
       "programs":[{"tenant":"default","name":"web"}],
       "vms":[{"id":1,"name":"vm-of-web1.raw","program":0,"space":0,"imageBytes":1048576},
              {"id":2,"name":"vm-of-web3.raw","program":0,"space":1,"imageBytes":1048576}]}\
      """;

  private void assertOneDiskEach() throws IOException {
    Registry registry = open();
    assertThat(registry.vms()).hasSize(2);
    for (Registered registered : registry.vms()) {
      Binding disk = registered.bindings().getFirst();
      assertThat(registered.bindings()).containsExactly(disk);
      assertThat(disk.as()).isEqualTo("disk0");
      assertThat(disk.id()).as("what the data plane knows it by").isEqualTo(disk.vm().id());
      assertThat(disk.vm().name()).isEqualTo("vm-of-" + disk.space().name());
      assertThat(disk.space().shape()).isEqualTo(Shape.blocks(1 << 20));
      assertThat(registry.binding(disk.id())).isEqualTo(disk);
    }
    assertThat(registry.isComplete()).isTrue();
    assertThat(registry.newNumber()).isEqualTo(3);
    assertThat(file).content().contains("\"checksum\"");
    assertThat(PutAside.in(state)).isEmpty();
  }

  @Test
  void aFileOfTheFirstVersionIsReadAndGetsAChecksum() throws IOException {
    Files.delete(copy);
    Files.writeString(file, "{\"version\":1," + ONE_DISK_EACH);
    assertOneDiskEach();
  }

  @Test
  void aFileOfTheSecondVersionIsRead() throws IOException {
    Files.delete(copy);
    String fields =
        JSON.readTree("{\"version\":2,\"firstSpace\":0,\"incomplete\":false," + ONE_DISK_EACH)
            .toString();
    String sum = PutAside.checksum(fields.getBytes(StandardCharsets.UTF_8));
    Files.writeString(file, fields.replaceFirst(",", ",\"checksum\":\"" + sum + "\","));
    assertOneDiskEach();
  }

  @Test
  void aFileOfANewerVersionIsRefusedInOneLineAndStays() throws IOException {
    String fields = "{\"version\":4,\"what\":1}";
    String sum = PutAside.checksum(fields.getBytes(StandardCharsets.UTF_8));
    Files.writeString(file, "{\"version\":4,\"checksum\":\"" + sum + "\",\"what\":1}");
    assertThatThrownBy(this::open).hasMessageContaining("has version 4");
    assertThat(file).exists();
  }
}
