package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.libvirt.LibvirtHypervisor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A domain of a real libvirtd, attached with the commands of the manual, whose guest boots from
/// what Prestage serves.
class LibvirtHostTest {
  private static final Path HOME = Path.of(System.getProperty("prestage.home"));
  private static final String IMAGE = "guest.raw";

  private static Path daemonFolder = Path.of("");
  private static Libvirtd libvirtd;

  private Path folder = Path.of("");

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeAll
  static void startLibvirtd() throws IOException, InterruptedException {
    daemonFolder = Files.createTempDirectory("pslv");
    libvirtd = Libvirtd.start(daemonFolder);
  }

  @AfterAll
  static void stopLibvirtd() throws IOException {
    if (libvirtd != null) {
      libvirtd.close();
    }
    remove(daemonFolder);
  }

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("pslv");
  }

  @AfterEach
  void removeDomainsAndFolder() throws IOException, InterruptedException {
    libvirtd.forgetDomains();
    remove(folder);
  }

  private static void remove(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private RunningHost host(String faults) throws IOException {
    return RunningHost.start(
        folder, faults, RunningHost.WITH_HISTORY + "libvirt: {uri: \"" + libvirtd.uri() + "\"}\n");
  }

  private Path image() {
    return folder.resolve("images").resolve(IMAGE);
  }

  private void define(String name, boolean acpi) throws IOException, InterruptedException {
    Path xml = folder.resolve("domain.xml");
    Files.writeString(xml, BootDisk.domain(name, image(), acpi));
    libvirtd.did("define", xml.toString());
  }

  /// The commands of a block of the manual, which begins after a heading.
  private static List<String> commands(String heading) throws IOException {
    String manual = Files.readString(HOME.resolve("docs/libvirt.md"));
    Matcher block =
        Pattern.compile("## " + heading + "\n.*?```\n(.*?)```", Pattern.DOTALL).matcher(manual);
    assertThat(block.find()).as(heading).isTrue();
    return block.group(1).lines().map(line -> line.replaceFirst(" +#.*", "")).toList();
  }

  private ProcessBuilder shell(RunningHost host, String command) {
    ProcessBuilder shell = new ProcessBuilder("sh", "-c", "exec " + command);
    shell.directory(HOME.toFile()).redirectErrorStream(true);
    shell.environment().put("LIBVIRT_DEFAULT_URI", libvirtd.uri());
    shell.environment().put("PRESTAGE_API", host.api().toString());
    return shell;
  }

  /// A command as somebody types it, which must work.
  private String type(RunningHost host, String command) throws IOException, InterruptedException {
    Libvirtd.Said said = typed(host, command);
    assertThat(said.code()).as("%s: %s", command, said.text()).isZero();
    return said.text();
  }

  private Libvirtd.Said typed(RunningHost host, String command)
      throws IOException, InterruptedException {
    return Libvirtd.said(shell(host, command));
  }

  private static JsonNode get(RunningHost host, String path) {
    try {
      return host.get(path);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static boolean runs(RunningHost host, String vm) {
    return get(host, "/v1/vms/" + vm).path("running").asBoolean();
  }

  private static long granted(RunningHost host) {
    return get(host, "/v1/leases").path("account").path("granted").asLong();
  }

  /// What the guest wrote, read through the overlay's own header.
  private void checkWritten(byte[] disk, Path overlay) throws IOException, InterruptedException {
    Path copy = folder.resolve("copy.raw");
    Process convert =
        new ProcessBuilder("qemu-img", "convert", "-O", "raw", overlay.toString(), copy.toString())
            .inheritIO()
            .start();
    assertThat(convert.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(convert.exitValue()).isZero();
    byte[] seen = Files.readAllBytes(copy);
    byte[] expected = disk.clone();
    System.arraycopy(disk, BootDisk.lastRead(), expected, BootDisk.SECTOR, BootDisk.SECTOR);
    assertThat(Arrays.mismatch(seen, expected)).isEqualTo(-1);
  }

  @Test
  void threeCommandsAttachADomainWhoseForecastAccountAndNoticesAreSeen() throws Exception {
    List<String> three = commands("Three commands");
    assertThat(three).hasSize(3);
    assertThat(three.getFirst()).isEqualTo("./prestage run --config prestage.yaml &");
    // The host is started with these words, from its folder.
    try (RunningHost host = host("latency: 2ms")) {
      byte[] disk = BootDisk.write(image());
      define("web", true);
      final String before = libvirtd.did("dumpxml", "--inactive", "--security-info", "web");
      host.awaitOk();
      Path notices = folder.resolve("notices");
      List<String> seeing = commands("What there is to see");
      Process events = shell(host, seeing.getLast()).redirectOutput(notices.toFile()).start();
      try {
        assertThat(type(host, three.get(1))).contains("through Prestage, as VM web of program web");
        type(host, three.get(2));
        host.await("the guest has ended", () -> libvirtd.state("web").equals("shut off"));
        host.await("its run has", () -> !runs(host, "web"));
        assertThat(granted(host)).isPositive();

        // A second start on a host that has lost the bytes and kept what it learnt.
        type(host, "./prestage image purge " + IMAGE);
        long first = granted(host);
        assertThat(type(host, seeing.get(0))).contains("file-block:guest.raw/0", "run-set");
        type(host, three.get(2));
        host.await("the guest has ended", () -> libvirtd.state("web").equals("shut off"));
        host.await("its run has", () -> !runs(host, "web"));
        assertThat(granted(host)).isGreaterThan(first);
        assertThat(type(host, seeing.get(1))).contains("granted ", " useful");
        host.await("notices came", () -> contains(notices, " staged "));
      } finally {
        events.destroy();
      }
      checkWritten(disk, folder.resolve("images").resolve("web.prestage-1.qcow2"));
      assertThat(Arrays.mismatch(Files.readAllBytes(image()), disk)).isEqualTo(-1);

      String undo = commands("Undoing it").getFirst();
      assertThat(type(host, undo.replace(" --yes", "")))
          .contains("what web wrote stays in ", "qemu-img commit", "nothing was changed yet");
      assertThat(libvirtd.did("dumpxml", "--inactive", "web")).contains("prestage");
      String undone = type(host, undo);
      assertThat(undone.indexOf("what web wrote stays in "))
          .isBetween(0, undone.indexOf("is defined as it was"));
      assertThat(libvirtd.did("dumpxml", "--inactive", "--security-info", "web")).isEqualTo(before);
      assertThat(get(host, "/v1/vms").path("vms")).isEmpty();
    }
  }

  private static boolean contains(Path file, String text) {
    try {
      return Files.readString(file).contains(text);
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void libvirtdMayBeKilledAndComesBackWhileTheGuestRunsOn() throws Exception {
    try (RunningHost host = host("latency: 1ms")) {
      byte[] _ = BootDisk.write(image());
      define("web", false);
      host.awaitOk();
      type(host, commands("What is changed").getFirst().replace("name='ci-runner'", "name='shop'"));
      type(host, "./prestage attach web --yes");
      libvirtd.did("start", "web");
      host.await("the run has begun", () -> runs(host, "web"));
      assertThat(get(host, "/v1/vms/web").path("program").asText()).isEqualTo("shop");
      assertThat(typed(host, "./prestage detach web").text()).contains("shut it down first");

      libvirtd.kill();
      host.await(
          "health says that libvirtd is gone",
          () -> !get(host, "/health").path("parts").path("libvirt").asText().equals("ok"));
      assertThat(runs(host, "web")).isTrue();
      libvirtd.restart();
      host.awaitOk();
      assertThat(libvirtd.state("web")).isEqualTo("running");
      assertThat(runs(host, "web")).isTrue();

      libvirtd.did("destroy", "web");
      host.await("the run has ended", () -> !runs(host, "web"));
      libvirtd.did("undefine", "web");
      host.await("the VM is gone", () -> get(host, "/v1/vms").path("vms").isEmpty());
    }
  }

  @Test
  void aLibvirtdThatHangsIsSaidWhileAllElseGoesOn() throws Exception {
    try (RunningHost host = host("latency: 1ms")) {
      byte[] _ = BootDisk.write(image());
      define("web", false);
      host.awaitOk();
      type(host, "./prestage attach web --yes");
      libvirtd.did("start", "web");
      host.await("the run has begun", () -> runs(host, "web"));
      libvirtd.stall();
      try {
        // First the connection is given up; then the next one hangs while it is opened.
        host.await(
            "health says that libvirtd hangs",
            () ->
                get(host, "/health")
                    .path("parts")
                    .path("libvirt")
                    .asText()
                    .contains("has not answered for"));
        assertThat(runs(host, "web")).isTrue();
        assertThat(type(host, "./prestage forecast web")).isNotNull();
        host.register("other", "p");
      } finally {
        libvirtd.goOn();
      }
      host.awaitOk();
      libvirtd.did("destroy", "web");
      host.await("the run has ended", () -> !runs(host, "web"));
    }
  }

  @Test
  void aGuestThatReadsWhileTheDataPlaneIsKilledGoesOnAndGetsTheRightBytes() throws Exception {
    // Two seconds of reading at least.
    try (RunningHost host = host("bandwidth: 2MB/s")) {
      byte[] disk = BootDisk.write(image());
      define("web", true);
      host.awaitOk();
      type(host, "./prestage predict off");
      type(host, "./prestage attach web --yes");
      libvirtd.did("start", "web");
      host.await("the guest reads", () -> runs(host, "web"));
      ProcessHandle data = host.plane("data-plane");
      data.destroyForcibly();
      var _ = data.onExit().get(60, TimeUnit.SECONDS);
      host.awaitSuccessor(data, "data-plane");
      host.awaitOk();
      // Paused where libvirt gives QEMU no reconnect delay; else it has waited.
      host.await(
          "the guest has done its work",
          () -> {
            if (libvirtd.state("web").equals("paused")) {
              libvirtd.resume("web");
            }
            return libvirtd.state("web").equals("shut off");
          });
      checkWritten(disk, folder.resolve("images").resolve("web.prestage-1.qcow2"));
    }
  }

  @Test
  void whatCannotBeAttachedIsSaidInOneLineWithWhatToDo() throws Exception {
    try (RunningHost host = host("latency: 1ms")) {
      byte[] _ = BootDisk.write(image());
      host.awaitOk();
      define("web", false);
      libvirtd.did("start", "web");
      assertThat(refusal(host, "./prestage attach web --yes"))
          .contains("runs and may write to", "virsh shutdown web");
      libvirtd.did("destroy", "web");
      libvirtd.did("undefine", "web");

      Path elsewhere = folder.resolve("elsewhere.raw");
      Files.copy(image(), elsewhere);
      Path xml = folder.resolve("domain.xml");
      Files.writeString(xml, BootDisk.domain("far", elsewhere, true));
      libvirtd.did("define", xml.toString());
      assertThat(refusal(host, "./prestage attach far"))
          .contains("in no origin's folder", "'origins'");

      Path qcow2 = folder.resolve("images").resolve("own.qcow2");
      assertThat(
              Libvirtd.said(
                      new ProcessBuilder(
                          "qemu-img", "create", "-q", "-f", "qcow2", qcow2.toString(), "1M"))
                  .code())
          .isZero();
      Files.writeString(
          xml, BootDisk.domain("own", qcow2, true).replace("type='raw'", "type='qcow2'"));
      libvirtd.did("define", xml.toString());
      assertThat(refusal(host, "./prestage attach own")).contains("qemu-img convert -O raw");
      assertThat(refusal(host, "./prestage attach nobody")).contains("is no domain of");
      assertThat(refusal(host, "./prestage attach own --connect qemu+unix:///system?socket=/none"))
          .contains("cannot be connected to");
    }
  }

  /// Each in the way that a manager would come to it, with real files.
  @Test
  void whatWouldDamageADiskIsRefusedByAttachAndDetach() throws Exception {
    try (RunningHost host = host("latency: 1ms")) {
      byte[] _ = BootDisk.write(image());
      host.awaitOk();
      define("web", false);
      libvirtd.did("start", "web");
      libvirtd.did("managedsave", "web");
      assertThat(refusal(host, "./prestage attach web --yes"))
          .contains("virsh managedsave-remove web");
      libvirtd.did("managedsave-remove", "web");

      define("writer", false);
      assertThat(refusal(host, "./prestage attach web --yes"))
          .contains("domain writer has it as a disk that it writes to");
      // Also if it would write to it when it goes on from its managed save.
      libvirtd.did("start", "writer");
      libvirtd.did("managedsave", "writer");
      Path elsewhere = folder.resolve("elsewhere.raw");
      Path saved = folder.resolve("saved.xml");
      Files.writeString(
          saved,
          libvirtd
              .did("dumpxml", "--inactive", "--security-info", "writer")
              .replace(image().toString(), elsewhere.toString()));
      libvirtd.did("define", saved.toString());
      assertThat(libvirtd.did("domblklist", "writer")).contains("elsewhere.raw");
      assertThat(refusal(host, "./prestage attach web --yes"))
          .contains("domain writer has it as a disk that it writes to");
      libvirtd.did("managedsave-remove", "writer");
      libvirtd.did("undefine", "writer");
      assertThat(folder.resolve("images").resolve("web.prestage-1.qcow2")).doesNotExist();
      assertThat(get(host, "/v1/vms").path("vms")).isEmpty();

      type(host, "./prestage attach web --yes");
      Path overlay = folder.resolve("other.qcow2");
      makeOverlay(overlay);
      Path xml = folder.resolve("domain.xml");
      Files.writeString(
          xml, BootDisk.domain("rests", overlay, false).replace("type='raw'", "type='qcow2'"));
      libvirtd.did("define", xml.toString());
      assertThat(refusal(host, "./prestage detach web --yes"))
          .contains("domain rests has as a disk or under its overlay");
      libvirtd.did("undefine", "rests");

      final String attached = libvirtd.did("dumpxml", "--inactive", "--security-info", "web");
      Files.writeString(xml, attached.replace("cache='none'", "cache='writeback'"));
      libvirtd.did("define", xml.toString());
      assertThat(refusal(host, "./prestage detach web --yes"))
          .contains("was changed since it was attached", "cache='none'", "cache='writeback'");
      Files.writeString(xml, attached);
      libvirtd.did("define", xml.toString());
      libvirtd.did("start", "web");
      libvirtd.did("managedsave", "web");
      assertThat(refusal(host, "./prestage detach web --yes"))
          .contains("virsh managedsave-remove web");
      libvirtd.did("managedsave-remove", "web");

      Files.writeString(
          xml, attached.replaceFirst("<uuid>.*</uuid>", "").replace("<name>web", "<name>copy"));
      libvirtd.did("define", xml.toString());
      assertThat(refusal(host, "./prestage detach copy --yes"))
          .contains("is a copy of an attached one", "virsh metadata copy");
      libvirtd.did(
          "metadata", "copy", "https://prestage.dev/libvirt/attachment", "--remove", "--config");
      assertThat(refusal(host, "./prestage detach copy --yes")).contains("is not attached");
      assertThat(refusal(host, "./prestage detach web --yes")).contains("domain copy");
      libvirtd.did("undefine", "copy");
      host.post("/v1/vms", "{'vm':'v','program':'p','image':'guest.raw'}".replace('\'', '"'));
      assertThat(typed(host, "./prestage detach web --yes").text())
          .contains("VM v reads guest.raw through Prestage", "prestage vm remove v");
      type(host, "./prestage vm remove v");
      type(host, "./prestage detach web --yes");
    }
  }

  /// Over libvirt's read-only socket all questions are answered and no definition is taken.
  @Test
  void anAttachThatFailsAtItsLastStepTakesBackWhatItMadeAndNothingElse() throws Exception {
    try (RunningHost host = host("latency: 1ms")) {
      byte[] _ = BootDisk.write(image());
      host.awaitOk();
      define("web", false);
      Path images = folder.resolve("images");
      Path kept = images.resolve("web.prestage-1.qcow2");
      makeOverlay(kept);
      final byte[] before = Files.readAllBytes(kept);
      String failing = "./prestage attach web --yes --connect '" + libvirtd.uri() + "-ro'";
      Libvirtd.Said said = typed(host, failing);
      assertThat(said.code()).as(said.text()).isEqualTo(1);
      assertThat(said.text()).contains("web.prestage-2.qcow2", "prestage: libvirt: ");
      assertThat(images.resolve("web.prestage-2.qcow2")).doesNotExist();
      assertThat(Files.readAllBytes(kept)).isEqualTo(before);
      assertThat(get(host, "/v1/vms").path("vms")).isEmpty();

      // A registration of before is not taken back.
      host.post("/v1/vms", "{'vm':'web','program':'web','image':'guest.raw'}".replace('\'', '"'));
      assertThat(typed(host, failing).code()).isEqualTo(1);
      assertThat(get(host, "/v1/vms").path("vms")).hasSize(1);
      assertThat(libvirtd.did("dumpxml", "--inactive", "web")).doesNotContain("prestage");
    }
  }

  private void makeOverlay(Path overlay) throws IOException, InterruptedException {
    ProcessBuilder create =
        new ProcessBuilder(
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            image().toString(),
            overlay.toString());
    assertThat(Libvirtd.said(create).code()).isZero();
  }

  private String refusal(RunningHost host, String command)
      throws IOException, InterruptedException {
    Libvirtd.Said said = typed(host, command.replace("?", "'?'"));
    assertThat(said.code()).as(said.text()).isEqualTo(1);
    assertThat(said.text().strip()).startsWith("prestage: ").doesNotContain("\n");
    return said.text();
  }

  @Test
  void anOverlayOfAnImageStaysTheOverlayAndMayBeAttachedWhileItRuns() throws Exception {
    try (RunningHost host = host("latency: 1ms")) {
      byte[] disk = BootDisk.write(image());
      host.awaitOk();
      Path overlay = folder.resolve("web.qcow2");
      makeOverlay(overlay);
      Path xml = folder.resolve("domain.xml");
      Files.writeString(
          xml, BootDisk.domain("web", overlay, false).replace("type='raw'", "type='qcow2'"));
      libvirtd.did("define", xml.toString());
      libvirtd.did("start", "web");
      final String running = libvirtd.did("dumpxml", "web");
      type(host, "./prestage attach web --yes");
      assertThat(withoutMetadata(libvirtd.did("dumpxml", "web")))
          .isEqualTo(withoutMetadata(running));
      libvirtd.did("destroy", "web");
      libvirtd.did("start", "web");
      host.await("the guest reads", () -> runs(host, "web") && reads(host) > 0);
      host.await("it has written", () -> writes() > 0);
      libvirtd.did("destroy", "web");
      checkWritten(disk, overlay);
    }
  }

  /// The levers and counts of the port, on a running guest.
  @Test
  void aRunningGuestIsCountedLimitedAndResized() throws Exception {
    Files.createDirectories(image().getParent());
    byte[] _ = BootDisk.write(image());
    define("web", false);
    libvirtd.did("start", "web");
    try (Hypervisor hypervisor = LibvirtHypervisor.open(libvirtd.uri())) {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
      while (hypervisor.diskStatistics("web", "vda").writes() == 0) {
        assertThat(libvirtd.state("web")).isEqualTo("running");
        assertThat(System.nanoTime()).as("the guest writes within a minute").isLessThan(end);
      }
      assertThat(hypervisor.diskStatistics("web", "vda").readBytes())
          .isGreaterThanOrEqualTo(4 << 20);
      assertThat(hypervisor.memoryStatistics("web").grantedBytes()).isEqualTo(64 << 20);
      assertThat(hypervisor.memoryStatistics("web").residentBytes()).isPositive();

      hypervisor.limit("web", "vda", new IoLimits(2_000_000, 50));
      assertThat(libvirtd.did("blkdeviotune", "web", "vda"))
          .containsPattern("total_bytes_sec: *2000000")
          .containsPattern("total_iops_sec *: *50");
      hypervisor.limit("web", "vda", IoLimits.NONE);
      assertThat(libvirtd.did("blkdeviotune", "web", "vda")).containsPattern("total_bytes_sec: *0");

      // This guest has no balloon driver, so what it has stays.
      hypervisor.resizeMemory("web", 48 << 20);
      assertThatThrownBy(() -> hypervisor.resizeMemory("web", 1L << 40))
          .isInstanceOf(HypervisorException.class)
          .hasMessageStartingWith("libvirt: ");
    }
  }

  /// What past runs used is written as Prestage keeps it: 100 MiB for half a minute, then 200 MiB.
  @Test
  void theMemoryOfALabelledDomainFollowsItsForecast() throws Exception {
    Path guest = QemuMachine.guest();
    String levels =
        IntStream.range(0, 100)
            .mapToObj(slot -> slot < 15 ? "100" : "200")
            .collect(Collectors.joining(","));
    Path xml = folder.resolve("domain.xml");
    Files.writeString(
        xml,
        """
        <domain type='qemu'>
          <name>web</name>
          <metadata>
            <prestage:program xmlns:prestage='https://prestage.dev/libvirt/program' name='shop'/>
          </metadata>
          <memory unit='MiB'>256</memory>
          <vcpu>1</vcpu>
          <os>
            <type arch='x86_64' machine='pc'>hvm</type>
            <kernel>%s</kernel>
            <initrd>%s</initrd>
            <cmdline>console=ttyS0 panic=1 quiet mitigations=off no_timer_check</cmdline>
          </os>
          <features><acpi/></features>
          <devices>
            <serial type='pty'/>
            <memballoon model='virtio'><stats period='2'/></memballoon>
          </devices>
        </domain>
        """
            .formatted(guest.resolve("vmlinuz"), guest.resolve("initrd.gz")));
    libvirtd.did("define", xml.toString());
    String more =
        "libvirt: {uri: \"%s\"}\nguestMemory: {enabled: true, floor: 64MiB, ahead: 6s}\n"
            .formatted(libvirtd.uri());
    RunningHost.start(folder, more).awaitOk().close();
    Files.writeString(
        folder.resolve("state/guest-memory/libvirt-runs"),
        "#slot-ns 2000000000\nshop " + levels + "\nshop " + levels + "\n");
    try (RunningHost host = RunningHost.start(folder, more).awaitOk()) {
      host.await("it is followed", () -> health(host, "libvirt-memory").equals("ok"));
      libvirtd.did("start", "web");
      host.await("what is not used is taken back", () -> actualMib() < 180);
      // 220 MiB, but for less than what a change is worth.
      host.await("what was used then is there", () -> actualMib() >= 216);
      assertThat(host.state()).isEqualTo("ok");
    }
  }

  private static String health(RunningHost host, String part) {
    return get(host, "/health").path("parts").path(part).asText();
  }

  private static long actualMib() {
    Matcher actual = Pattern.compile("actual ([0-9]+)").matcher(libvirtd.text("dommemstat", "web"));
    return actual.find() ? Long.parseLong(actual.group(1)) / 1024 : 0;
  }

  private static String withoutMetadata(String xml) {
    return xml.replaceAll("(?s)  <metadata>.*</metadata>\n", "");
  }

  private static long reads(RunningHost host) {
    return get(host, "/v1/history?vm=web").path("rows").size();
  }

  /// What the guest wrote, by libvirt's own count.
  private static long writes() {
    Matcher count =
        Pattern.compile("wr_req ([0-9]+)").matcher(libvirtd.text("domblkstat", "web", "vda"));
    return count.find() ? Long.parseLong(count.group(1)) : 0;
  }
}
