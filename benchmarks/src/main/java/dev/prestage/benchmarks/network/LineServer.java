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
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/// A server that answers each line with a line, as a database answers a short query, and counts its
/// connections: those that came, and those on which something was said.
///
/// It may stand in for the link, too: then it takes a connection for open a round trip after it
/// came, and answers a round trip after a question, or after the opening where that is later. A
/// guest that connects and asks gets its first answer after two round trips, as over a link that
/// delays handshakes, although its kernel calls the connection open at once.
final class LineServer implements AutoCloseable {
  private static final int BACKLOG = 128;
  private static final byte[] ANSWER = "OK\n".getBytes(StandardCharsets.US_ASCII);

  private final ServerSocket listener = new ServerSocket();
  private final long roundTripNanos;
  private final AtomicLong opened = new AtomicLong();
  private final AtomicLong used = new AtomicLong();
  private final AtomicLong open = new AtomicLong();

  /// Serves from now on.
  ///
  /// @param port or 0 for any
  /// @param roundTrip of the link that it stands in for, or zero
  LineServer(String address, int port, Duration roundTrip) throws IOException {
    this.roundTripNanos = roundTrip.toNanos();
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
        long openNanos = System.nanoTime() + roundTripNanos;
        Thread.ofVirtual().name("line-server-connection").start(() -> answer(guest, openNanos));
      }
    } catch (IOException _) {
      // It is closed.
    }
  }

  private void answer(Socket guest, long openNanos) {
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
        if (roundTripNanos > 0) {
          long now = System.nanoTime();
          Service.waitUntil((openNanos - now > 0 ? openNanos : now) + roundTripNanos);
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
