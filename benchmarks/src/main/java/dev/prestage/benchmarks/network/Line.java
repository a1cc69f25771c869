package dev.prestage.benchmarks.network;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/// A connection to a [LineServer], straight or through a relay.
final class Line implements AutoCloseable {
  private static final int PATIENCE_MILLIS = 10_000;
  private static final byte[] QUESTION = "GET 1\n".getBytes(StandardCharsets.US_ASCII);

  private final Socket socket = new Socket();

  /// Connects.
  ///
  /// @param address as `host:port`, the host as the text of an address
  Line(String address) throws IOException {
    try {
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(PATIENCE_MILLIS);
      socket.connect(endpoint(address), PATIENCE_MILLIS);
    } catch (IOException e) {
      socket.close();
      throw e;
    }
  }

  static InetSocketAddress endpoint(String address) {
    int colon = address.lastIndexOf(':');
    return new InetSocketAddress(
        InetAddress.ofLiteral(address.substring(0, colon)),
        Integer.parseInt(address.substring(colon + 1)));
  }

  /// Asks, and waits for the answer.
  void ask() throws IOException {
    OutputStream out = socket.getOutputStream();
    out.write(QUESTION);
    InputStream in = socket.getInputStream();
    int next = in.read();
    while (next != '\n') {
      if (next < 0) {
        throw new EOFException("an upstream closed a connection before it answered");
      }
      next = in.read();
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
