package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.prestage.control.vm.xen.XenConnector;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/// A real Xen with a Debian dom0 in QEMU's software emulation, made by `tools/xen-dom0`. Its
/// commands are reached through a script that runs what follows it in dom0, as `ssh dom0` would.
final class XenHost implements AutoCloseable {
  private static final Path BUILDER =
      Path.of(System.getProperty("prestage.home"), "tools", "xen-dom0");

  /// Which runs a command line in dom0, and comes to the host by its loopback.
  private static final String DOM0 =
      """
      #!/bin/bash
      exec 3<>/dev/tcp/127.0.0.1/%d || { echo "dom0 is not reached" >&2; exit 255; }
      printf '%%s\\n' "$*" >&3
      while IFS= read -r line <&3; do
        case "$line" in
          1*) printf '%%s\\n' "${line#1}" ;;
          2*) printf '%%s\\n' "${line#2}" >&2 ;;
          =*) exit "${line#=}" ;;
        esac
      done
      exit 255
      """;

  final Path dom0;
  private final Path log;
  private final Process qemu;

  private XenHost(Path dom0, Path log, Process qemu) {
    this.dom0 = dom0;
    this.log = log;
    this.qemu = qemu;
  }

  /// Boots one, or skips the test where that cannot be.
  static XenHost start(Path folder) throws IOException, InterruptedException {
    assumeThat(System.getProperty("user.name")).as("a dom0 is built by root").isEqualTo("root");
    for (String tool : List.of("mmdebstrap", "busybox", "cpio", "qemu-system-x86_64")) {
      assumeThat(Path.of("/usr/bin", tool)).as("package of " + tool).exists();
    }
    Process builder =
        new ProcessBuilder(BUILDER.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String place =
        new String(builder.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertThat(builder.waitFor()).as(BUILDER + " failed").isZero();
    Files.createDirectories(folder);
    int port = freePort();
    Path log = folder.resolve("xen.log");
    Process qemu =
        new ProcessBuilder(place + "/boot", Integer.toString(port))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    XenHost host = new XenHost(script(folder, "dom0", DOM0.formatted(port)), log, qemu);
    try {
      host.await("dom0 is up", () -> host.log().contains("DOM0 READY"));
    } catch (AssertionError e) {
      host.close();
      throw e;
    }
    return host;
  }

  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  static Path script(Path folder, String name, String text) throws IOException {
    Path script = Files.writeString(folder.resolve(name), text);
    assertThat(script.toFile().setExecutable(true)).isTrue();
    return script;
  }

  XenConnector.Options through(Path script, Duration deadline) {
    return new XenConnector.Options(true, List.of(script.toString()), 64L << 20, deadline);
  }

  /// What a command in dom0 wrote.
  String did(String command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(dom0.toString(), command).redirectErrorStream(true).start();
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertThat(process.waitFor()).as(command + "\n" + said).isZero();
    return said;
  }

  /// Writes a domain's configuration, and has it run.
  ///
  /// @param more lines of `xl.cfg`, without single quotes
  void create(String name, String program, String more) throws IOException, InterruptedException {
    String configuration =
        """
        name="%s"
        kernel="/guest/vmlinuz"
        ramdisk="/guest/initrd.gz"
        extra="console=hvc0 quiet prestage.program=%s"
        memory=160
        maxmem=256
        %s\
        """
            .formatted(name, program, more);
    did(
        "printf \"%%b\" '%s' > /tmp/%s.cfg; xl create /tmp/%s.cfg"
            .formatted(configuration.replace("\n", "\\n"), name, name));
  }

  /// What the kernel of a guest says that it has, in KiB; 0 while it says nothing.
  long memTotal(String name) {
    String said = console(name);
    int at = said.lastIndexOf("MEMORY ");
    return at < 0 ? 0 : Long.parseLong(said.substring(at + 7).split("\\s+", 2)[0]);
  }

  /// What a guest wrote to its console.
  String console(String name) {
    try {
      return did("cat /var/log/xen/guest-" + name + ".log");
    } catch (IOException e) {
      throw new AssertionError(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  String log() {
    try {
      return Files.readString(log, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return "";
    }
  }

  /// Emulated, everything takes ten times as long as it does.
  void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(3);
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end || !qemu.isAlive()) {
        String log = log();
        throw new AssertionError(
            what
                + " did not come true; the host's console:\n"
                + log.substring(Math.max(0, log.length() - 3000)));
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(200));
    }
  }

  @Override
  public void close() {
    qemu.destroyForcibly();
    qemu.onExit().join();
  }
}
