package dev.prestage.benchmarks.api;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ProtocolException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;

/// A connection to the API that is kept from request to request, as a VM manager keeps one. Used by
/// one thread.
final class KeptConnection implements AutoCloseable {
  private static final int MOST_BODY_BYTES = 64 << 20;

  private final SocketChannel channel;
  private final InputStream in;

  KeptConnection(Path socket) throws IOException {
    this.channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    this.in = new BufferedInputStream(Channels.newInputStream(channel), 64 * 1024);
  }

  /// An answer that is read to its end.
  record Answer(int status, String text) {}

  /// Asks and waits for the whole answer.
  ///
  /// @param json the body, or an empty text for none
  Answer ask(String method, String path, String json) throws IOException {
    byte[] body = json.getBytes(StandardCharsets.UTF_8);
    String head =
        method
            + " "
            + path
            + " HTTP/1.1\r\nHost: localhost\r\n"
            + (body.length == 0
                ? ""
                : "Content-Type: application/json\r\nContent-Length: " + body.length + "\r\n")
            + "\r\n";
    byte[] headBytes = head.getBytes(StandardCharsets.ISO_8859_1);
    ByteBuffer request = ByteBuffer.allocate(headBytes.length + body.length);
    request.put(headBytes).put(body).flip();
    while (request.hasRemaining()) {
      channel.write(request);
    }
    return answer();
  }

  private Answer answer() throws IOException {
    String status = line();
    int code = Integer.parseInt(status.substring(9, 12));
    int length = 0;
    boolean chunked = false;
    for (String line = line(); !line.isEmpty(); line = line()) {
      String field = line.toLowerCase(Locale.ROOT);
      if (field.startsWith("content-length:")) {
        length = Integer.parseInt(field.substring(field.indexOf(':') + 1).strip());
      }
      chunked |= field.startsWith("transfer-encoding:") && field.endsWith("chunked");
    }
    if (chunked || length > MOST_BODY_BYTES) {
      throw new ProtocolException("an answer of the load has no length, or too large a one");
    }
    byte[] body = in.readNBytes(length);
    if (body.length < length) {
      throw new EOFException("the API ended the connection in the middle of an answer");
    }
    return new Answer(code, new String(body, StandardCharsets.UTF_8));
  }

  private String line() throws IOException {
    StringBuilder line = new StringBuilder(64);
    while (true) {
      int next = in.read();
      if (next < 0) {
        throw new EOFException("the API ended the connection");
      }
      if (next == '\n') {
        return line.toString().strip();
      }
      line.append((char) next);
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
