package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.block.BlockStager;
import dev.prestage.dataplane.block.DirectoryOrigin;
import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.FileStorage;
import dev.prestage.dataplane.block.Image;
import dev.prestage.dataplane.block.Origin;
import dev.prestage.dataplane.block.Tier;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// An attach whose origin takes long, and a newer order for the same VM that comes meanwhile: the
/// newer order stands.
@Timeout(60)
final class OvertakenAttachTest {
  private static final String SLOW = "slow.raw";
  private static final String SLOW_AND_MISSING = "slow-none.raw";

  private @TempDir Path directory;
  private Site site;
  private SlowOrigin origin;
  private BlockStager stager;
  private AttachedDisks disks;

  /// Opens what is called slow only after it is released.
  private static final class SlowOrigin implements Origin {
    private final Origin files;
    final CountDownLatch asked = new CountDownLatch(1);
    final CountDownLatch released = new CountDownLatch(1);

    SlowOrigin(Origin files) {
      this.files = files;
    }

    @Override
    public String name() {
      return files.name();
    }

    @Override
    public Image open(String image) throws IOException {
      if (image.startsWith("slow")) {
        asked.countDown();
        try {
          released.await();
        } catch (InterruptedException e) {
          throw new IOException("interrupted", e);
        }
      }
      return files.open(image);
    }

    @Override
    public void close() {
      released.countDown();
      files.close();
    }
  }

  @BeforeEach
  void start() throws IOException {
    site = new Site(directory);
    site.image("disk.raw", Site.MIB, 1);
    site.image(SLOW, Site.MIB, 2);
    Files.createDirectories(site.state());
    origin = new SlowOrigin(new DirectoryOrigin("nas", site.origin(), false));
    var clock = new HostClock();
    var doorbell = new Doorbell();
    var troubles = new Troubles(clock);
    stager =
        new BlockStager(
            List.of(origin),
            new Tier("ssd", 64L * Site.MIB, new FileStorage(site.tier()), clock, troubles),
            new BlockOptions(2, 2, Duration.ofSeconds(60), Duration.ofSeconds(40)),
            clock,
            troubles,
            doorbell);
    disks =
        new AttachedDisks(
            new Attachments(site.state()), stager, new AccessRing(64, doorbell), clock, troubles);
  }

  @AfterEach
  void stop() throws IOException {
    disks.close();
    stager.close();
  }

  /// Attaches `vm1` under this number.
  private long attach(int number, String image) throws IOException {
    return disks.attach(
        new Frame.Bind(number, number, "vm1", number, ResourceType.FILE_BLOCK, "default", image));
  }

  /// An attach whose origin has been asked and does not answer yet.
  private CompletableFuture<Long> slowAttach(String image) throws InterruptedException {
    CompletableFuture<Long> attach =
        CompletableFuture.supplyAsync(() -> {
          try {
            return attach(1, image);
          } catch (IOException e) {
            throw new CompletionException(e);
          }
        });
    assertThat(origin.asked.await(20, TimeUnit.SECONDS)).as("the origin is asked").isTrue();
    return attach;
  }

  private void assertFails(CompletableFuture<Long> attach, String message) {
    origin.released.countDown();
    assertThatThrownBy(() -> attach.get(20, TimeUnit.SECONDS)).hasMessageContaining(message);
  }

  private void assertServed(String image) throws IOException {
    assertThat(disks.all())
        .extracting(Disk::name, disk -> disk.space().imageName())
        .containsExactly(tuple("vm1", image));
    assertThat(new Attachments(site.state()).load())
        .extracting(Attachments.Attachment::image)
        .containsExactly(image);
  }

  private void assertForgotten() throws IOException {
    assertThat(disks.all()).isEmpty();
    assertThat(disks.waiting()).isEmpty();
    assertThat(new Attachments(site.state()).load()).isEmpty();
  }

  @Test
  void aVmThatWasDetachedIsNotServedAfterAll() throws Exception {
    CompletableFuture<Long> slow = slowAttach(SLOW);
    disks.detach(1);
    assertFails(slow, "VM 'vm1' was detached or attached anew");
    assertForgotten();
    assertThat(stager.space(1)).as("the space that it opened").isNull();
  }

  @Test
  void aVmThatWasDetachedIsNotTriedAgainWhenItsImageIsMissing() throws Exception {
    CompletableFuture<Long> slow = slowAttach(SLOW_AND_MISSING);
    disks.detach(1);
    assertFails(slow, SLOW_AND_MISSING);
    assertForgotten();
  }

  @Test
  void theDiskOfANewerAttachStays() throws Exception {
    CompletableFuture<Long> slow = slowAttach(SLOW);
    attach(2, "disk.raw");
    assertFails(slow, "VM 'vm1' was detached or attached anew");
    assertServed("disk.raw");
  }

  @Test
  void aDiskThatIsServedAndAskedForAgainStays() throws Exception {
    attach(2, "disk.raw");
    CompletableFuture<Long> slow = slowAttach(SLOW);
    attach(2, "disk.raw");
    assertFails(slow, "VM 'vm1' was detached or attached anew");
    assertServed("disk.raw");
  }

  @Test
  void anAttachThatNothingOvertookIsServed() throws Exception {
    CompletableFuture<Long> slow = slowAttach(SLOW);
    origin.released.countDown();
    assertThat(slow.get(20, TimeUnit.SECONDS)).isEqualTo(Site.MIB);
    assertServed(SLOW);
  }
}
