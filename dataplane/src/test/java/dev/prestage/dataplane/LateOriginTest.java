package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Origins that come after Prestage: a share that is mounted late, an image that is copied late.
@Timeout(60)
final class LateOriginTest {
  private static final int BYTES = Site.MIB;

  private @TempDir Path directory;
  private Site site;
  private byte[] image;

  @BeforeEach
  void makeImage() throws IOException {
    site = new Site(directory);
    image = site.image("disk.raw", BYTES, 17);
  }

  private byte[] readWhenServed(String vm) throws IOException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (true) {
      try (NbdClient client = site.client(vm)) {
        return client.read(0, BYTES);
      } catch (IOException e) {
        if (System.nanoTime() > deadline) {
          throw e;
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    }
  }

  @Test
  void aVmIsServedByItselfOnceItsOriginIsThere() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).isEmpty();
    }
    Path away = directory.resolve("away");
    Files.move(site.origin(), away);
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      control.await(
          Frame.Trouble.class,
          trouble ->
              trouble.kind().equals("attach") && trouble.text().contains("is the share mounted?"));
      assertThat(Site.counter(plane, "disk_served", "vm1")).isZero();
      assertThatThrownBy(() -> site.client("vm1")).isInstanceOf(IOException.class);
      Files.move(away, site.origin());
      assertThat(readWhenServed("vm1")).isEqualTo(image);
      assertThat(Site.counter(plane, "disk_served", "vm1")).isOne();
      control.await(Frame.Resident.class, resident -> resident.space() == 5);
    }
  }

  @Test
  void anAttachThatFailedSaysSoAndIsTriedAgainUntilItIsTakenBack() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control()) {
      assertThat(control.attach(1, "vm1", 5, "late.raw").error()).contains("late.raw");
      assertThat(control.attach(2, "vm2", 6, "never.raw").error()).contains("never.raw");
      assertThat(control.detach(2).error()).isEmpty();
      Files.write(site.origin().resolve("never.raw"), image);
      Files.write(site.origin().resolve("late.raw"), image);
      assertThat(readWhenServed("vm1")).isEqualTo(image);
      assertThat(control.attach(1, "vm1", 5, "late.raw").error()).isEmpty();
      assertThatThrownBy(() -> site.client("vm2")).isInstanceOf(IOException.class);
    }
  }
}
