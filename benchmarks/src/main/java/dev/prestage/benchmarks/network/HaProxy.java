package dev.prestage.benchmarks.network;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/// HAProxy as a relay of TCP, with its defaults.
final class HaProxy implements AutoCloseable {
  /// Systems have it where users' paths do not lead.
  private static final List<Path> PLACES =
      List.of(Path.of("/usr/sbin/haproxy"), Path.of("/usr/local/sbin/haproxy"));

  private static final Duration START = Duration.ofSeconds(10);
  private static final long STOP_SECONDS = 5;

  private final Process process;
  private final String address;

  private HaProxy(Process process, String address) {
    this.process = process;
    this.address = address;
  }

  /// Relays to an upstream.
  ///
  /// @param folder for its configuration and its log
  /// @return nothing where it is not installed
  static Optional<HaProxy> start(Path folder, String upstream) throws IOException {
    Optional<Path> program = PLACES.stream().filter(Files::isExecutable).findFirst();
    if (program.isEmpty()) {
      return Optional.empty();
    }
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    Path configuration = folder.resolve("haproxy.cfg");
    Files.writeString(
        configuration,
        """
        defaults
          mode tcp
          timeout connect 5s
          timeout client 1m
          timeout server 1m
        listen bulk
          bind 127.0.0.1:%d
          server upstream %s
        """
            .formatted(port, upstream));
    Process process =
        new ProcessBuilder(program.get().toString(), "-db", "-f", configuration.toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("haproxy.log").toFile())
            .start();
    var proxy = new HaProxy(process, "127.0.0.1:" + port);
    proxy.awaitListening(folder);
    return Optional.of(proxy);
  }

  private void awaitListening(Path folder) throws IOException {
    long end = System.nanoTime() + START.toNanos();
    while (System.nanoTime() < end && process.isAlive()) {
      try (Socket socket = new Socket()) {
        socket.connect(Line.endpoint(address));
        return;
      } catch (IOException _) {
        LockSupport.parkNanos(Duration.ofMillis(10).toNanos());
      }
    }
    close();
    throw new IOException(
        "haproxy does not relay: " + Files.readString(folder.resolve("haproxy.log")).strip());
  }

  String address() {
    return address;
  }

  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
