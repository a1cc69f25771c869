package dev.prestage.dataplane;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// A server on loopback to which guests' connections go, for tests.
final class TestUpstream implements AutoCloseable {
  static final String GREETING = "hello";

  /// States of sockets in Linux' tables: an end that was confirmed by the other end, and an attempt
  /// to connect that nobody has answered.
  private static final String CONFIRMED = "05 ";

  private static final String CONNECTING = "02 ";

  /// What it does with a connection.
  @FunctionalInterface
  interface Service {
    void serve(Socket connection) throws IOException;
  }

  private final ServerSocket server;
  private final Service service;
  private final AtomicInteger served = new AtomicInteger();

  /// All that were accepted.
  final List<Socket> connections = new CopyOnWriteArrayList<>();

  private TestUpstream(int port, int backlog, Service service) throws IOException {
    this.server = new ServerSocket();
    this.service = service;
    server.setReuseAddress(true);
    server.bind(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), port), backlog);
  }

  /// One that accepts at once.
  static TestUpstream start(Service service) throws IOException {
    TestUpstream upstream = new TestUpstream(0, 256, service);
    upstream.accept();
    return upstream;
  }

  /// One that accepts at once, at a port where one was before.
  static TestUpstream startAgain(int port, Service service) throws IOException {
    TestUpstream upstream = new TestUpstream(port, 256, service);
    upstream.accept();
    return upstream;
  }

  /// One for which the kernel keeps two connections until it accepts, and no third.
  static TestUpstream full(Service service) throws IOException {
    return new TestUpstream(0, 1, service);
  }

  void accept() {
    Thread.ofVirtual()
        .start(() -> {
          try {
            while (true) {
              Socket connection = server.accept();
              connections.add(connection);
              Thread.ofVirtual().start(() -> serve(connection));
            }
          } catch (IOException _) {
            // closed
          }
        });
  }

  private void serve(Socket connection) {
    try {
      service.serve(connection);
    } catch (IOException _) {
      // the other end is gone
    } finally {
      served.incrementAndGet();
    }
  }

  /// Says back what it hears; ends when the other end has said all.
  static void echo(Socket connection) throws IOException {
    InputStream in = connection.getInputStream();
    OutputStream out = connection.getOutputStream();
    byte[] bytes = new byte[4096];
    for (int count; (count = in.read(bytes)) >= 0; ) {
      out.write(bytes, 0, count);
    }
    connection.close();
  }

  /// Speaks first.
  static void greet(Socket connection) throws IOException {
    connection.getOutputStream().write(GREETING.getBytes(StandardCharsets.US_ASCII));
    echo(connection);
  }

  /// Leaves everything to the test.
  static void hold(Socket connection) {
    // The connection stays open.
  }

  int port() {
    return server.getLocalPort();
  }

  String source() {
    return "127.0.0.1:" + port();
  }

  /// How many connections it is done with.
  int served() {
    return served.get();
  }

  /// Ends one direction of a connection and waits until the other end's kernel knows.
  static void endAndTell(Socket connection) throws IOException {
    connection.shutdownOutput();
    awaitSocket(port(connection.getLocalPort()), port(connection.getPort()), CONFIRMED);
  }

  /// Waits until somebody tries to connect for whom there is no room.
  void awaitAttempt() {
    awaitSocket("[0-9A-F]{4}", port(port()), CONNECTING);
  }

  /// Waits for a socket in Linux' tables, which name addresses and ports in hexadecimal.
  private static void awaitSocket(String local, String remote, String state) {
    Pattern line =
        Pattern.compile("0100007F:" + local + " [0-9A-F]*0100007F:" + remote + " " + state);
    Site.await(
        () ->
            Stream.of("/proc/net/tcp", "/proc/net/tcp6")
                .map(Path::of)
                .filter(Files::exists)
                .anyMatch(table -> {
                  try {
                    return line.matcher(Files.readString(table)).find();
                  } catch (IOException e) {
                    return false;
                  }
                }),
        "a socket " + line);
  }

  private static String port(int port) {
    return String.format(Locale.ROOT, "%04X", port);
  }

  @Override
  public void close() throws IOException {
    server.close();
    for (Socket connection : connections) {
      connection.close();
    }
  }
}
