package dev.prestage.benchmarks.network;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;

/// A server that answers each line with a line, as a database answers a short query, and counts its
/// connections: those that came, and those on which something was said.
final class LineServer implements AutoCloseable {
  private static final int BACKLOG = 128;
  private static final byte[] ANSWER = "OK\n".getBytes(StandardCharsets.US_ASCII);

  private final ServerSocket listener = new ServerSocket();
  private final AtomicLong opened = new AtomicLong();
  private final AtomicLong used = new AtomicLong();
  private final AtomicLong open = new AtomicLong();

  /// Serves from now on.
  ///
  /// @param port or 0 for any
  LineServer(String address, int port) throws IOException {
    listener.bind(new InetSocketAddress(InetAddress.ofLiteral(address), port), BACKLOG);
    Thread.ofVirtual().name("line-server").start(this::accept);
  }

  int port() {
    return listener.getLocalPort();
  }

  /// Connections that came so far.
  long opened() {
    return opened.get();
  }

  /// Those of them on which something was said.
  long used() {
    return used.get();
  }

  /// Those that are open now.
  long open() {
    return open.get();
  }

  private void accept() {
    try {
      while (true) {
        Socket guest = listener.accept();
        opened.incrementAndGet();
        open.incrementAndGet();
        Thread.ofVirtual().name("line-server-connection").start(() -> answer(guest));
      }
    } catch (IOException _) {
      // It is closed.
    }
  }

  private void answer(Socket guest) {
    try (guest) {
      guest.setTcpNoDelay(true);
      OutputStream out = guest.getOutputStream();
      BufferedReader in =
          new BufferedReader(
              new InputStreamReader(guest.getInputStream(), StandardCharsets.US_ASCII));
      boolean isFirst = true;
      while (in.readLine() != null) {
        if (isFirst) {
          used.incrementAndGet();
          isFirst = false;
        }
        out.write(ANSWER);
      }
    } catch (IOException _) {
      // The guest is gone.
    } finally {
      open.decrementAndGet();
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
