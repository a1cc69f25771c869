package dev.prestage.dataplane;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.fault.Faults;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The programs that users and VM managers read disks with.
final class NbdToolsTest {
  // No multiple of an extent or a block, so that the ends are tried, too.
  private static final int IMAGE_BYTES = 24 * Site.MIB + 4096 + 512;
  private static final long SEED = 7;

  private @TempDir Path directory;
  private Site site;
  private DataPlane plane;
  private ControlPlane control;
  private byte[] image;

  @BeforeEach
  void attach() throws Exception {
    site = new Site(directory);
    site.faults = Faults.link(Duration.ofMillis(1), 400L * Site.MIB);
    image = site.image("disk.raw", IMAGE_BYTES, SEED);
    plane = site.start();
    control = site.control();
    assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).isEmpty();
  }

  @AfterEach
  void stop() throws Exception {
    control.close();
    plane.close();
  }

  @Test
  void nbdinfoSeesAReadOnlyMultiConnDisk() throws Exception {
    Tools.need("nbdinfo", "libnbd-bin");
    String info = Tools.succeed("nbdinfo", "--json", site.uri("vm1"));
    assertThat(info)
        .contains("\"export-size\": " + IMAGE_BYTES)
        .contains("\"structured\": true")
        .contains("\"is_read_only\": true")
        .contains("\"can_multi_conn\": true")
        .contains("\"can_df\": true")
        .contains("\"block_size_minimum\": 1,")
        .contains("\"block_size_maximum\": " + 32 * Site.MIB);
    assertThat(Tools.succeed("nbdinfo", "--list", "--json", site.uri("")))
        .contains("\"export-name\": \"vm1\"");
  }

  @Test
  void nbdcopyReadsTheImageByteForByteColdAndWarm() throws Exception {
    Tools.need("nbdcopy", "libnbd-bin");
    for (String copy : new String[] {"cold", "warm"}) {
      Path out = directory.resolve(copy);
      Tools.succeed("nbdcopy", site.uri("vm1"), out.toString());
      assertThat(Files.readAllBytes(out)).as(copy).isEqualTo(image);
    }
    assertThat(Site.counter(plane, "fetched_bytes", "nas")).isEqualTo(IMAGE_BYTES);
  }

  @Test
  void qemuImgConvertsAndComparesOverBothSockets() throws Exception {
    Tools.need("qemu-img", "qemu-utils");
    Path out = directory.resolve("converted.raw");
    Tools.succeed("qemu-img", "convert", "-f", "raw", "-O", "raw", site.uri("vm1"), out.toString());
    // QEMU pads a disk to whole sectors, and this one has them.
    assertThat(Files.readAllBytes(out)).isEqualTo(image);
    String tcp = "nbd://127.0.0.1:" + requireNonNull(plane.nbdAddress()).getPort() + "/vm1";
    Tools.succeed(
        "qemu-img", "compare", "-f", "raw", "-F", "raw", tcp, site.origin() + "/disk.raw");
  }

  @Test
  void qemuIoReadsUnalignedRangesAndIsRefusedToWrite() throws Exception {
    Tools.need("qemu-io", "qemu-utils");
    String said =
        Tools.succeed(
            "qemu-io",
            "-r",
            "-f",
            "raw",
            "-c",
            "read 65535 131075",
            "-c",
            "read " + (IMAGE_BYTES - 513) + " 513",
            site.uri("vm1"));
    assertThat(said).contains("read 131075/131075").contains("read 513/513");
    assertThat(Tools.run("qemu-io", "-f", "raw", "-c", "write 0 512", site.uri("vm1")).output())
        .containsIgnoringCase("permission denied");
  }

  @Test
  void fioReadsAtDepth() throws Exception {
    Tools.need("fio", "fio");
    String said =
        Tools.succeed(
            "fio",
            "--name=t",
            "--ioengine=nbd",
            "--uri=" + site.uri("vm1"),
            "--rw=randread",
            "--bs=4k",
            "--iodepth=32",
            "--size=16m",
            "--io_size=8m",
            "--randseed=" + SEED);
    assertThat(said).contains("err= 0");
  }
}
