package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// A libvirtd of its own: its sockets, definitions and state lie in one folder, which a mount
/// namespace puts where libvirtd looks for them. What runs on the host is not concerned.
final class Libvirtd implements AutoCloseable {
  /// Where libvirtd keeps what, and what it is called in the folder.
  private static final Map<String, String> PLACES =
      Map.of(
          "etc", "/etc/libvirt",
          "lib", "/var/lib/libvirt",
          "run", "/run/libvirt",
          "log", "/var/log/libvirt",
          "cache", "/var/cache/libvirt");

  /// Whom libvirtd looks up at its start, whoever is to run QEMU. The package that makes this user
  /// also starts a libvirtd for the whole host, so tests do not ask for it.
  private static final Map<String, String> ACCOUNTS =
      Map.of(
          "passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin",
          "group", "libvirt-qemu:x:64055:");

  private final Path folder;
  private @Nullable Process process;

  private Libvirtd(Path folder) {
    this.folder = folder;
  }

  /// Starts one, or skips the test where that cannot be.
  static Libvirtd start(Path folder) throws IOException, InterruptedException {
    assumeThat(Path.of("/usr/sbin/libvirtd")).as("package libvirt-daemon").exists();
    assumeThat(Path.of("/usr/bin/virsh")).as("package libvirt-clients").exists();
    assumeThat(Path.of("/usr/bin/qemu-system-x86_64")).as("package qemu-system-x86").exists();
    assumeThat(Path.of("/usr/bin/unshare")).as("package util-linux").exists();
    assumeThat(System.getProperty("user.name")).as("libvirtd needs root").isEqualTo("root");
    Files.createDirectories(folder);
    for (String place : PLACES.keySet()) {
      Files.createDirectories(folder.resolve(place));
    }
    Files.writeString(
        folder.resolve("libvirtd.conf"),
        "unix_sock_dir = \"%s\"\nauth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n"
            .formatted(folder.resolve("sockets")));
    Files.createDirectories(folder.resolve("sockets"));
    for (Map.Entry<String, String> account : ACCOUNTS.entrySet()) {
      String known = Files.readString(Path.of("/etc", account.getKey()));
      boolean isThere = known.lines().anyMatch(line -> line.startsWith("libvirt-qemu:"));
      Files.writeString(
          folder.resolve(account.getKey()), isThere ? known : known + account.getValue() + "\n");
    }
    // No cgroups, no namespaces, no security driver: none of them is there in containers.
    Files.writeString(
        folder.resolve("etc").resolve("qemu.conf"),
        """
        user = "root"
        group = "root"
        security_driver = "none"
        namespaces = []
        cgroup_controllers = []
        stdio_handler = "file"
        """);
    Libvirtd libvirtd = new Libvirtd(folder);
    libvirtd.restart();
    return libvirtd;
  }

  /// Starts the daemon on what is there.
  void restart() throws IOException, InterruptedException {
    StringBuilder script = new StringBuilder("set -e\n");
    PLACES.forEach((name, place) ->
        script.append(
            "mkdir -p %s\nmount --bind %s %s\n".formatted(place, folder.resolve(name), place)));
    ACCOUNTS
        .keySet()
        .forEach(name ->
            script.append("mount --bind %s /etc/%s\n".formatted(folder.resolve(name), name)));
    script.append(
        "exec libvirtd --config %s --pid-file %s\n"
            .formatted(folder.resolve("libvirtd.conf"), folder.resolve("libvirtd.pid")));
    Process started =
        new ProcessBuilder("unshare", "--mount", "sh", "-c", script.toString())
            .redirectErrorStream(true)
            .redirectOutput(
                ProcessBuilder.Redirect.appendTo(folder.resolve("libvirtd.log").toFile()))
            .start();
    process = started;
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (virsh("version").code() != 0) {
      if (!started.isAlive() || System.nanoTime() > end) {
        throw new AssertionError(
            "libvirtd does not run:\n" + Files.readString(folder.resolve("libvirtd.log")));
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
    }
  }

  /// Ends the daemon as a crash would; its guests run on.
  void kill() throws InterruptedException {
    Process running = process;
    if (running != null) {
      running.destroyForcibly();
      assertThat(running.waitFor(60, TimeUnit.SECONDS)).isTrue();
    }
  }

  /// Has the daemon hang.
  void stall() throws IOException {
    signal("STOP");
  }

  /// Undoes [#stall].
  void goOn() throws IOException {
    signal("CONT");
  }

  private void signal(String name) throws IOException {
    Process running = process;
    if (running != null) {
      RunningHost.signal(running.toHandle(), name);
    }
  }

  String uri() {
    return "qemu:///system?socket=" + folder.resolve("sockets").resolve("libvirt-sock");
  }

  /// What a command printed.
  record Said(int code, String text) {}

  /// A command of a VM manager's.
  Said virsh(String... words) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("virsh", "-c", uri()));
    command.addAll(List.of(words));
    Said said = said(new ProcessBuilder(command).redirectErrorStream(true));
    return new Said(said.code(), said.text().strip());
  }

  /// What a command printed that ends within a minute.
  static Said said(ProcessBuilder command) throws IOException, InterruptedException {
    Process process = command.start();
    // Reading has no deadline of its own, and ends when the process does.
    ScheduledExecutorService deadline = Executors.newSingleThreadScheduledExecutor();
    try {
      ScheduledFuture<?> late = deadline.schedule(process::destroyForcibly, 60, TimeUnit.SECONDS);
      String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int code = process.waitFor();
      assertThat(late.cancel(false))
          .as("%s takes longer than a minute", command.command())
          .isTrue();
      return new Said(code, text);
    } finally {
      deadline.shutdownNow();
    }
  }

  /// The same, which must work.
  String did(String... words) throws IOException, InterruptedException {
    Said said = virsh(words);
    assertThat(said.code()).as(said.text()).isZero();
    return said.text();
  }

  /// `running`, `shut off` and so on.
  String state(String domain) {
    return text("domstate", domain);
  }

  void resume(String domain) {
    String _ = text("resume", domain);
  }

  /// What a command printed, whether or not it worked.
  String text(String... words) {
    try {
      return virsh(words).text();
    } catch (IOException e) {
      return "" + e.getMessage();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "interrupted";
    }
  }

  /// Ends and removes all domains.
  void forgetDomains() throws IOException, InterruptedException {
    for (String domain : virsh("list", "--all", "--name").text().split("\n")) {
      if (!domain.isBlank()) {
        virsh("destroy", domain.strip());
        virsh("undefine", domain.strip());
      }
    }
  }

  @Override
  public void close() throws IOException {
    Process running = process;
    if (running == null) {
      return;
    }
    try {
      forgetDomains();
      running.destroy();
      if (!running.waitFor(30, TimeUnit.SECONDS)) {
        running.destroyForcibly();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
