package dev.prestage.client;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/// One HTTP/1.1 response from a stream (RFC 9112): the status, the fields, and the body as a
/// stream, whether it comes with a length, in chunks, or until the end.
final class HttpReader {
  private static final int MAX_LINE_BYTES = 16 * 1024;
  private static final int MAX_FIELDS = 200;

  private final InputStream in;
  private final int status;
  private final Map<String, String> fields;

  private HttpReader(InputStream in, int status, Map<String, String> fields) {
    this.in = in;
    this.status = status;
    this.fields = fields;
  }

  /// Reads up to the body.
  static HttpReader open(InputStream stream) throws IOException {
    BufferedInputStream in = new BufferedInputStream(stream);
    while (true) {
      int status = status(line(in));
      Map<String, String> fields = fields(in);
      if (status >= 200) {
        return new HttpReader(in, status, fields);
      } // 100 Continue and the like come before the answer
    }
  }

  int status() {
    return status;
  }

  /// A field by its name in small letters, or an empty text.
  String field(String name) {
    return fields.getOrDefault(name, "");
  }

  InputStream body() throws IOException {
    if (status == 204 || status == 304) {
      return InputStream.nullInputStream();
    }
    String coding = field("transfer-encoding");
    if (!coding.isEmpty()) {
      if (!coding.equalsIgnoreCase("chunked")) {
        throw new ProtocolException("transfer coding '" + coding + "' is not understood");
      }
      return new Chunked(in);
    }
    String length = field("content-length");
    if (length.isEmpty()) {
      return in;
    }
    return new Limited(in, number(length, 10));
  }

  private static int status(String line) throws IOException {
    if (!line.startsWith("HTTP/1.") || line.length() < 12) {
      throw new ProtocolException("the answer is not HTTP; is this Prestage's API?");
    }
    return (int) number(line.substring(9, 12), 10);
  }

  private static Map<String, String> fields(InputStream in) throws IOException {
    Map<String, String> fields = new HashMap<>();
    for (String line = line(in); !line.isEmpty(); line = line(in)) {
      int colon = line.indexOf(':');
      if (colon < 1 || fields.size() == MAX_FIELDS) {
        throw new ProtocolException("the answer's header is malformed");
      }
      fields.put(
          line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
    }
    return fields;
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    while (true) {
      int b = in.read();
      if (b < 0) {
        throw new EOFException("the connection ended before the answer was complete");
      }
      if (b == '\n') {
        String text = line.toString(StandardCharsets.ISO_8859_1);
        return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
      }
      if (line.size() == MAX_LINE_BYTES) {
        throw new ProtocolException("the answer has an endless line");
      }
      line.write(b);
    }
  }

  private static long number(String digits, int radix) throws IOException {
    try {
      long value = Long.parseLong(digits, radix);
      if (value >= 0) {
        return value;
      }
    } catch (NumberFormatException _) {
      // said below
    }
    throw new ProtocolException("the answer has '" + digits + "' where a number belongs");
  }

  /// A body that states its length.
  private static final class Limited extends InputStream {
    private final InputStream in;
    private long left;

    Limited(InputStream in, long length) {
      this.in = in;
      this.left = length;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int count = in.read(bytes, offset, (int) Math.min(length, left));
      if (count < 0) {
        throw new EOFException("the connection ended " + left + " bytes before the answer's end");
      }
      left -= count;
      return count;
    }
  }

  /// A body in chunks.
  private static final class Chunked extends InputStream {
    private final InputStream in;
    private long left;
    private boolean first = true;
    private boolean ended;

    Chunked(InputStream in) {
      this.in = in;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      if (left == 0 && !ended) {
        open();
      }
      if (ended) {
        return -1;
      }
      int count = in.read(bytes, offset, (int) Math.min(length, left));
      if (count < 0) {
        throw new EOFException("the connection ended in the middle of the answer");
      }
      left -= count;
      return count;
    }

    private void open() throws IOException {
      if (!first && !line(in).isEmpty()) {
        throw new ProtocolException("a chunk of the answer is longer than it says");
      }
      first = false;
      String size = line(in);
      int extension = size.indexOf(';');
      left = number((extension < 0 ? size : size.substring(0, extension)).strip(), 16);
      if (left == 0) {
        fields(in); // trailers
        ended = true;
      }
    }
  }
}
