package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/// A real QEMU with a small Linux, which does what it is told over its console.
final class QemuMachine implements AutoCloseable {
  private static final Path HOME = Path.of(System.getProperty("prestage.home"));
  private static final long PATIENCE_SECONDS = 120;

  private final Process process;
  private final Writer console;
  private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();

  private QemuMachine(Process process) {
    this.process = process;
    this.console = process.outputWriter(StandardCharsets.UTF_8);
    Thread.ofVirtual().start(this::read);
  }

  /// Makes the guest's kernel and its first files, or skips the test where they cannot be had.
  static Path guest() throws IOException, InterruptedException {
    assumeThat(Path.of("/usr/bin/qemu-system-x86_64")).as("package qemu-system-x86").exists();
    Path guest = HOME.resolve("acceptance/target/qemu-guest");
    Libvirtd.Said made =
        Libvirtd.said(
            new ProcessBuilder(HOME.resolve("tools/qemu-guest").toString(), guest.toString())
                .redirectErrorStream(true));
    assumeThat(made.code()).as("a guest's kernel: %s", made.text()).isZero();
    return guest;
  }

  /// Starts one and waits for its console.
  static QemuMachine start(Path guest, String... devices) throws Exception {
    QemuMachine machine = launch(guest, devices);
    try {
      machine.until("ready");
    } catch (AssertionError | InterruptedException e) {
      machine.close();
      throw e;
    }
    return machine;
  }

  /// Starts one that waits for the state of another.
  static QemuMachine launch(Path guest, String... devices) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-machine", "pc"));
    command.addAll(List.of("-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none"));
    command.addAll(List.of("-serial", "stdio", "-kernel", guest.resolve("vmlinuz").toString()));
    command.addAll(List.of("-initrd", guest.resolve("initrd.gz").toString(), "-append"));
    command.add(
        "console=ttyS0 panic=1 quiet mitigations=off no_timer_check memhp_default_state=online");
    command.addAll(List.of(devices));
    return new QemuMachine(new ProcessBuilder(command).redirectErrorStream(true).start());
  }

  private void read() {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        lines.add(line.strip());
      }
    } catch (IOException e) {
      lines.add("the console ended: " + e);
    }
  }

  private List<String> until(String last) throws InterruptedException {
    List<String> said = new ArrayList<>();
    while (true) {
      String line = lines.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      assertThat(line).as("the guest says %s after %s", last, said).isNotNull();
      if (line.equals(last)) {
        return said;
      }
      said.add(line);
    }
  }

  /// What a command of the guest's shell writes.
  List<String> run(String command) throws IOException, InterruptedException {
    console.write(command + "\n");
    console.flush();
    return until("done");
  }

  /// The memory that the guest's system has.
  long totalBytes() {
    try {
      String total = String.join("", run("grep MemTotal /proc/meminfo"));
      return Long.parseLong(total.replaceAll("[^0-9]", "")) * 1024;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /// Has the guest switch itself off.
  void powerOff() throws IOException, InterruptedException {
    console.write("poweroff -f\n");
    console.flush();
    assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
