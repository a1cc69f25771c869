package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A program's connections through the whole product: learnt in one run, open before the next.
class ConnectionsHostTest {
  private static final int CONNECTIONS = 3;

  private Path folder = Path.of("");
  private ServerSocket upstream;

  @BeforeEach
  void startUpstream() throws IOException {
    folder = Files.createTempDirectory("pstest");
    upstream = new ServerSocket(0, 50, InetAddress.ofLiteral("127.0.0.1"));
    ServerSocket server = upstream;
    Thread.ofVirtual().start(() -> accept(server));
  }

  @AfterEach
  void stopUpstream() throws IOException {
    upstream.close();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static void accept(ServerSocket server) {
    try {
      while (true) {
        Socket connection = server.accept();
        Thread.ofVirtual().start(() -> echo(connection));
      }
    } catch (IOException _) {
      // the test is over
    }
  }

  private static void echo(Socket connection) {
    try (connection) {
      connection.getInputStream().transferTo(connection.getOutputStream());
    } catch (IOException _) {
      // the guest is gone
    }
  }

  private static String prestage(RunningHost host, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(RunningHost.command().toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("PRESTAGE_API", host.api().toString());
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    assertThat(process.exitValue()).as(out).isZero();
    return out;
  }

  /// The program: needs some connections at once.
  private static void run(String address) throws IOException {
    int colon = address.indexOf(':');
    List<Socket> guests = new ArrayList<>();
    try {
      for (int i = 0; i < CONNECTIONS; i++) {
        Socket guest =
            new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
        guests.add(guest);
        guest.getOutputStream().write("ping".getBytes(StandardCharsets.US_ASCII));
        assertThat(guest.getInputStream().readNBytes(4))
            .asString(StandardCharsets.US_ASCII)
            .isEqualTo("ping");
      }
    } finally {
      for (Socket guest : guests) {
        guest.close();
      }
    }
  }

  private static JsonNode account(RunningHost host) {
    try {
      return host.get("/v1/leases?limit=1").path("account");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// How many connects found no connection, once so many are counted.
  private static long waits(RunningHost host, int connects) throws IOException {
    host.await(
        connects + " connects are counted",
        () -> metric(host, "network_connects_total") == connects);
    return metric(host, "network_waits_total");
  }

  private static long metric(RunningHost host, String name) {
    try {
      Matcher line =
          Pattern.compile("prestage_" + name + "\\{[^}]*} ([0-9]+)")
              .matcher(prestage(host, "metrics"));
      return line.find() ? Long.parseLong(line.group(1)) : -1;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void connectionsOfOneRunAreOpenBeforeTheNext() throws IOException {
    try (RunningHost host = RunningHost.start(folder, RunningHost.WITH_HISTORY).awaitOk()) {
      String resource = "db=network-connection:127.0.0.1:" + upstream.getLocalPort();
      String address =
          prestage(host, "vm", "add", "web-1", "--program", "web", "--resource", resource).strip();
      assertThat(address).matches("127\\.0\\.0\\.1:[0-9]+");
      assertThat(prestage(host, "vm", "list")).contains(address, "100 connections");
      prestage(host, "vm", "start", "web-1");
      run(address);
      prestage(host, "vm", "stop", "web-1");
      long waited = waits(host, CONNECTIONS);
      assertThat(waited).isPositive();
      String space = "127.0.0.1:" + upstream.getLocalPort() + "/2";
      host.await(
          "history has the connections",
          () -> {
            try {
              String rows = prestage(host, "history", "--vm", "web-1");
              return rows.contains(space) && rows.contains("RELEASE");
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
      assertThat(prestage(host, "forecast", "web-1")).contains("network-connection:" + space);
      prestage(host, "allocate", "web-1");
      host.await(
          "they stand ready",
          () -> {
            try {
              return host.get("/v1/allocations/1").path("state").asText().equals("available");
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
      run(address);
      assertThat(waits(host, 2 * CONNECTIONS)).as("no connect waited").isEqualTo(waited);
      host.await(
          "they were useful",
          () -> account(host).path("outcomes").path("useful").asInt() >= CONNECTIONS);
      prestage(host, "vm", "remove", "web-1", "--force");
      host.await("all units have ended", () -> account(host).path("live").asInt() == 0);
    }
  }
}
