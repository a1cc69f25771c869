package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.block.DirectoryOrigin;
import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.engine.fault.Faults;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Images that change at their origin: nobody gets bytes of another image than the one that its VM
/// began to read, and what is no change hurts nobody.
@Timeout(60)
final class ImageIdentityTest {
  private static final int BYTES = 2 * Site.MIB;
  private static final FileTime LONG_AGO = FileTime.fromMillis(1000);

  private @TempDir Path directory;
  private Site site;
  private Path file;
  private byte[] first;

  @BeforeEach
  void makeImage() throws IOException {
    site = new Site(directory);
    first = site.image("disk.raw", BYTES, 1);
    file = site.origin().resolve("disk.raw");
    Files.setLastModifiedTime(file, LONG_AGO);
  }

  /// Another image in place of the first, of the same size.
  private byte[] replace(long seed, FileTime time) throws IOException {
    byte[] other = site.image("next", BYTES, seed);
    Path next = site.origin().resolve("next");
    Files.setLastModifiedTime(next, time);
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    return other;
  }

  /// Other bytes in the same file.
  private void overwrite(FileTime time) throws IOException {
    byte[] other = new byte[BYTES];
    new SplittableRandom(2).nextBytes(other);
    try (var open = new RandomAccessFile(file.toFile(), "rw")) {
      open.write(other);
    }
    Files.setLastModifiedTime(file, time);
  }

  private byte[] readAll(String vm) throws IOException {
    try (NbdClient client = site.client(vm)) {
      return client.read(0, BYTES);
    }
  }

  private void attach(ControlPlane control, int vm) throws Exception {
    assertThat(control.attach(vm, "vm" + vm, 5, "disk.raw").error()).isEmpty();
  }

  private static long fetched(DataPlane plane) {
    return Site.counter(plane, "fetched_bytes", "nas");
  }

  @Test
  void anImageOfTheSameSizeAndTimeIsAnotherOne() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
      control.detach(1);
      byte[] second = replace(2, LONG_AGO);
      attach(control, 2);
      assertThat(readAll("vm2")).isEqualTo(second);
      control.detach(2);
    }
    byte[] third = replace(3, LONG_AGO);
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 3);
      assertThat(readAll("vm3")).isEqualTo(third);
    }
  }

  @Test
  void newVmsReadTheNewVersionBesideOldOnesThatKeepTheirs() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      try (NbdClient old = site.client("vm1")) {
        assertThat(old.read(0, 4096)).isEqualTo(Arrays.copyOf(first, 4096));
        byte[] second = replace(2, FileTime.fromMillis(2000));
        attach(control, 2);
        assertThat(readAll("vm2")).isEqualTo(second);
        assertThat(old.read(0, BYTES)).isEqualTo(first);
        attach(control, 3);
        assertThat(readAll("vm3")).isEqualTo(second);
      }
    }
  }

  @Test
  void aVersionThatComesBackIsSharedWithTheVmsThatKeptIt() throws Exception {
    Path kept = directory.resolve("kept");
    Files.createLink(kept, file);
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
      byte[] second = replace(2, FileTime.fromMillis(2000));
      attach(control, 2);
      assertThat(readAll("vm2")).isEqualTo(second);
      long before = fetched(plane);
      Files.move(kept, file, StandardCopyOption.ATOMIC_MOVE);
      attach(control, 3);
      assertThat(readAll("vm3")).isEqualTo(first);
      assertThat(fetched(plane)).as("nothing is fetched again").isEqualTo(before);
      control.detach(1);
      attach(control, 4);
      assertThat(readAll("vm3")).isEqualTo(first);
      assertThat(readAll("vm4")).isEqualTo(first);
      assertThat(readAll("vm2")).isEqualTo(second);
    }
  }

  @Test
  void anImageThatIsWrittenToUnderAVmIsRefusedAndSaid() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      try (NbdClient client = site.client("vm1")) {
        client.read(0, 4096);
        overwrite(FileTime.fromMillis(2000));
        assertThatThrownBy(() -> client.read(BYTES / 2, 4096)).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> client.read(0, 4096)).isInstanceOf(IOException.class);
      }
      control.await(
          Frame.Trouble.class,
          trouble -> trouble.kind().equals("image-changed") && trouble.text().contains("disk.raw"));
      attach(control, 2);
      assertThat(readAll("vm2")).isEqualTo(Files.readAllBytes(file));
    }
  }

  @Test
  void anImageThatIsWrittenToWithItsTimePutBackIsFoundByItsBytes() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      readAll("vm1");
      overwrite(LONG_AGO);
      control.await(
          Frame.Trouble.class,
          trouble ->
              trouble.kind().equals("image-changed") && trouble.text().contains("other bytes"));
      assertThatThrownBy(() -> readAll("vm1")).isInstanceOf(IOException.class);
      assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).contains("other bytes");
    }
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThatThrownBy(() -> site.client("vm1")).as("also after a restart").isNotNull();
      attach(control, 2);
      assertThat(readAll("vm2")).isEqualTo(Files.readAllBytes(file));
    }
  }

  @Test
  void aDataPlaneThatRestartsGivesNoVmAnotherImage() throws Exception {
    Path kept = directory.resolve("kept");
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
    }
    Files.createLink(kept, file);
    replace(2, LONG_AGO);
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      control.await(
          Frame.Trouble.class, trouble -> trouble.text().contains("another one than this VM"));
      assertThatThrownBy(() -> site.client("vm1")).isInstanceOf(IOException.class);
      assertThat(control.attach(1, "vm1", 5, "disk.raw").error())
          .contains("another one than this VM began to read");
      Files.move(kept, file, StandardCopyOption.ATOMIC_MOVE);
      assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).isEmpty();
      assertThat(readAll("vm1")).isEqualTo(first);
      replace(3, LONG_AGO);
      control.detach(1);
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(Files.readAllBytes(file));
      assertThat(Site.counter(plane, "disk_served", "vm1")).isOne();
    }
  }

  @Test
  void aVmOfTheSecondOriginStaysThereWhenTheFirstHasAnImageOfThatNameToo() throws Exception {
    Path mirror = Files.createDirectory(directory.resolve("mirror"));
    site.moreOrigins = List.of(new Options.OriginOptions("mirror", mirror, Faults.NONE));
    Files.move(file, mirror.resolve("disk.raw"));
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
    }
    byte[] other = replace(2, LONG_AGO);
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(readAll("vm1")).isEqualTo(first);
      attach(control, 2);
      assertThat(readAll("vm2")).isEqualTo(other);
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
    }
  }

  @Test
  void permissionsAndHardLinksChangeNothing() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
      touch();
      attach(control, 2);
      assertThat(readAll("vm2")).isEqualTo(first);
      assertThat(readAll("vm1")).isEqualTo(first);
    }
    touch();
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      attach(control, 1);
      assertThat(readAll("vm1")).isEqualTo(first);
      assertThat(fetched(plane)).as("bytes that had to be fetched again").isZero();
      assertThat(control.heard(Frame.Trouble.class)).isEmpty();
    }
  }

  /// Moves the time of change, and no other, as chmod and backup tools do.
  private void touch() throws IOException {
    FileTime before = (FileTime) Files.getAttribute(file, "unix:ctime");
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    // The clock of a file system ticks every few milliseconds.
    while (Files.getAttribute(file, "unix:ctime").equals(before) && System.nanoTime() < deadline) {
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    }
    assertThat(Files.getAttribute(file, "unix:ctime")).isNotEqualTo(before);
  }

  @Test
  void whatIsReadBelongsToTheFileThatWasOpened() throws Exception {
    var origin = new DirectoryOrigin("nas", site.origin(), false);
    try (var image = origin.open("disk.raw")) {
      replace(2, FileTime.fromMillis(2000));
      assertThat(image.identity().modifiedNanos()).isEqualTo(LONG_AGO.to(TimeUnit.NANOSECONDS));
      assertThat(image.currentIdentity().modifiedNanos())
          .isEqualTo(image.identity().modifiedNanos());
      var bytes = ByteBuffer.allocate(BYTES);
      image.read(0, bytes);
      assertThat(bytes.array()).isEqualTo(first);
    }
  }
}
