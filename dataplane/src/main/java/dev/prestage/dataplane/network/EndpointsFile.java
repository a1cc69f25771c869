package dev.prestage.dataplane.network;

import dev.prestage.link.host.AtomicFile;
import dev.prestage.link.host.PutAside;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The file that remembers endpoints with their ports, so that a data plane that was restarted
/// listens where guests look for it, before any control plane comes.
///
/// Its first line is `prestage-endpoints`, the version and the number of endpoints; then one line
/// for each with the fields of [Remembered], texts URL-encoded. Each line ends with the CRC32C of
/// what stands before it. A crash leaves the old file or the new one; lines that are damaged are
/// left out, and the control plane names their endpoints again, at other ports.
final class EndpointsFile {
  private static final Logger LOG = System.getLogger(EndpointsFile.class.getName());
  private static final String TITLE = "prestage-endpoints";
  private static final int VERSION = 1;
  private static final int FIELDS = 6;

  private final Path file;

  EndpointsFile(Path directory) {
    this.file = directory.resolve("endpoints");
  }

  /// One endpoint.
  ///
  /// @param name of its binding
  /// @param source the upstream as the binding names it
  /// @param port on which it listens
  record Remembered(int binding, String name, int space, String tenant, String source, int port) {}

  /// What was remembered last; nothing if there is no file. A damaged file is put aside.
  ///
  /// @throws IOException if the file was written by a newer version
  List<Remembered> load() throws IOException {
    if (!Files.exists(file)) {
      return List.of();
    }
    List<String> lines;
    try {
      lines = Files.readString(file, StandardCharsets.ISO_8859_1).lines().toList();
    } catch (IOException e) {
      LOG.log(Level.WARNING, "{0} cannot be read: {1}", file, e);
      lines = List.of();
    }
    List<String> title = lines.isEmpty() ? List.of() : fields(lines.getFirst());
    if (title.size() == 3 && number(title.get(1)) > VERSION) {
      throw new IOException(
          file
              + " has format "
              + title.get(1)
              + " and was written by a newer Prestage; this one reads up to "
              + VERSION
              + ": use the newer one, or remove the file, and guests find new ports");
    }
    List<Remembered> found = new ArrayList<>();
    for (String line : lines.subList(Math.min(1, lines.size()), lines.size())) {
      Remembered endpoint = parse(fields(line));
      if (endpoint != null) {
        found.add(endpoint);
      }
    }
    if (title.size() != 3 || number(title.get(2)) != found.size()) {
      putAside(found);
    }
    return found;
  }

  /// The fields of a line whose checksum is right, else none.
  private static List<String> fields(String line) {
    int space = line.lastIndexOf(' ');
    if (space < 0
        || !PutAside.checksum(line.substring(0, space)).equals(line.substring(space + 1))) {
      return List.of();
    }
    return List.of(line.substring(0, space).split(" ", -1));
  }

  private static int number(String text) {
    try {
      return Integer.parseInt(text);
    } catch (NumberFormatException _) {
      return -1;
    }
  }

  private static @Nullable Remembered parse(List<String> fields) {
    if (fields.size() != FIELDS) {
      return null;
    }
    return new Remembered(
        number(fields.get(0)),
        decode(fields.get(1)),
        number(fields.get(2)),
        decode(fields.get(3)),
        decode(fields.get(4)),
        number(fields.get(5)));
  }

  private void putAside(List<Remembered> found) {
    String fate;
    try {
      fate = "it is put aside as " + PutAside.move(file).getFileName();
      save(found);
    } catch (IOException e) {
      fate = "it cannot be replaced (" + e + ")";
    }
    LOG.log(
        Level.WARNING,
        "{0} is damaged; {1}, {2} endpoints are served from it, and the others at other ports when"
            + " the control plane names them",
        file,
        fate,
        Integer.toString(found.size()));
  }

  /// Remembers these and no others.
  void save(Collection<Remembered> endpoints) throws IOException {
    StringBuilder text = new StringBuilder();
    line(text, TITLE + " " + VERSION + " " + endpoints.size());
    for (Remembered e : endpoints) {
      line(
          text,
          String.join(
              " ",
              Integer.toString(e.binding()),
              encode(e.name()),
              Integer.toString(e.space()),
              encode(e.tenant()),
              encode(e.source()),
              Integer.toString(e.port())));
    }
    AtomicFile.write(file, text.toString().getBytes(StandardCharsets.US_ASCII));
  }

  private static void line(StringBuilder text, String body) {
    text.append(body).append(' ').append(PutAside.checksum(body)).append('\n');
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static String decode(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }
}
