package dev.prestage.dataplane;

import dev.prestage.link.host.AtomicFile;
import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/// The file that remembers which VMs are attached, so that a data plane that was restarted serves
/// them before any control plane comes.
///
/// Its first line is `prestage-attachments` and the version; then one line for each VM with the
/// fields of [Attachment], separated by spaces, texts URL-encoded. A crash leaves the old file or
/// the new one.
final class Attachments {
  private static final String TITLE = "prestage-attachments ";
  private static final int VERSION = 1;
  private static final int FIELDS = 5;

  private final Path file;

  Attachments(Path directory) {
    this.file = directory.resolve("attachments");
  }

  /// One VM and the image it reads.
  ///
  /// @param vm its number
  /// @param vmName its name
  /// @param space the image's number
  /// @param tenant whose it is
  /// @param image the image's name
  record Attachment(int vm, String vmName, int space, String tenant, String image) {}

  /// What was remembered last; nothing if there is no file.
  ///
  /// @throws IOException if the file cannot be read, is damaged, or was written by a newer version
  List<Attachment> load() throws IOException {
    if (!Files.exists(file)) {
      return List.of();
    }
    List<String> lines = Files.readAllLines(file);
    String title = lines.isEmpty() ? "" : lines.getFirst();
    if (!title.startsWith(TITLE)) {
      throw damaged(1);
    }
    try {
      int version = Integer.parseInt(title.substring(TITLE.length()));
      if (version > VERSION) {
        throw new IOException(
            file
                + " has format "
                + version
                + " and was written by a newer Prestage; this one reads up to "
                + VERSION
                + ": use the newer one, or remove the file and register the VMs again");
      }
    } catch (NumberFormatException _) {
      throw damaged(1);
    }
    List<Attachment> found = new ArrayList<>();
    for (int i = 1; i < lines.size(); i++) {
      found.add(parse(lines.get(i), i + 1));
    }
    return found;
  }

  private Attachment parse(String line, int number) throws IOException {
    List<String> fields = List.of(line.split(" ", -1));
    if (fields.size() != FIELDS) {
      throw damaged(number);
    }
    try {
      return new Attachment(
          Integer.parseInt(fields.get(0)),
          decode(fields.get(1)),
          Integer.parseInt(fields.get(2)),
          decode(fields.get(3)),
          decode(fields.get(4)));
    } catch (IllegalArgumentException _) {
      throw damaged(number);
    }
  }

  private IOException damaged(int line) {
    return new IOException(
        file + " is damaged in line " + line + ": remove it and register the VMs again");
  }

  /// Remembers these and no others.
  void save(Collection<Attachment> attachments) throws IOException {
    String text =
        attachments.stream()
            .map(a ->
                String.join(
                    " ",
                    Integer.toString(a.vm()),
                    encode(a.vmName()),
                    Integer.toString(a.space()),
                    encode(a.tenant()),
                    encode(a.image())))
            .collect(Collectors.joining("\n", TITLE + VERSION + "\n", "\n"));
    AtomicFile.write(file, text.stripTrailing().getBytes(StandardCharsets.UTF_8));
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static String decode(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }
}
