package dev.prestage.dataplane;

import dev.prestage.dataplane.block.Image;
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

/// The file that remembers which VMs are attached, so that a data plane that was restarted serves
/// them before any control plane comes.
///
/// Its first line is `prestage-attachments`, the version, the number of VMs and the line's
/// checksum; then one line for each VM with the fields of [Attachment], texts URL-encoded, and its
/// own checksum, all separated by spaces. A checksum is the CRC32C of what stands before it in the
/// line. Version 1 had neither number nor checksums. A crash leaves the old file or the new one.
///
/// Each line stands for itself: where a file is damaged, the VMs whose lines are whole are served,
/// and the others are when a control plane names them again.
final class Attachments {
  private static final Logger LOG = System.getLogger(Attachments.class.getName());
  private static final String TITLE = "prestage-attachments";
  private static final int VERSION = 2;
  private static final int FIELDS_V1 = 5;
  private static final String NO_IDENTITY = "-";

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
  /// @param identity which version of the image it reads, or null if it could not be opened yet
  record Attachment(
      int vm,
      String vmName,
      int space,
      String tenant,
      String image,
      Image.@Nullable Identity identity) {
    Attachment of(Image.@Nullable Identity version) {
      return new Attachment(vm, vmName, space, tenant, image, version);
    }

    /// Whether it is for the same image, of whatever version.
    boolean sameImage(Attachment other) {
      return tenant.equals(other.tenant) && image.equals(other.image);
    }
  }

  /// What was remembered last; nothing if there is no file. A damaged file is put aside, and what
  /// is whole in it is remembered anew.
  ///
  /// @throws IOException if the file was written by a newer version
  List<Attachment> load() throws IOException {
    if (!Files.exists(file)) {
      return List.of();
    }
    List<Attachment> found = new ArrayList<>();
    String damage;
    try {
      // Each byte is a character here, so that none is malformed: all that was written is ASCII.
      damage = read(Files.readString(file, StandardCharsets.ISO_8859_1), found);
    } catch (NewerException e) {
      throw e;
    } catch (IOException e) {
      damage = "cannot be read (" + e + ")";
    }
    if (damage != null) {
      putAside(damage, found);
    }
    return found;
  }

  /// @return what is wrong, or null
  private @Nullable String read(String text, List<Attachment> found) throws NewerException {
    List<String> lines = text.lines().toList();
    String title = lines.isEmpty() ? "" : lines.getFirst();
    String body = withoutChecksum(title);
    boolean summed = body != null;
    int count = lines.size() - 1;
    if (body != null) {
      List<String> words = List.of(body.split(" ", -1));
      int version = words.size() > 1 ? number(words.get(1)) : -1;
      if (version > VERSION) {
        throw new NewerException(
            file
                + " has format "
                + version
                + " and was written by a newer Prestage; this one reads up to "
                + VERSION
                + ": use the newer one, or remove the file and register the VMs again");
      }
      count = words.size() == 3 ? number(words.get(2)) : -1;
    } else if (!title.equals(TITLE + " 1")) {
      // What the lines below are is found out line by line; only those with a checksum count.
      summed = true;
      count = -1;
    }
    int damaged = count == lines.size() - 1 ? 0 : 1;
    for (int i = 1; i < lines.size(); i++) {
      String line = summed ? withoutChecksum(lines.get(i)) : lines.get(i);
      Attachment attachment = line == null ? null : parse(line);
      if (attachment != null) {
        found.add(attachment);
      } else {
        damaged = i + 1;
        if (!summed) {
          // Where one line of the old format is damaged, nothing vouches for the others.
          found.clear();
          break;
        }
      }
    }
    return damaged == 0 ? null : "is damaged in line " + damaged;
  }

  private static @Nullable String withoutChecksum(String line) {
    int space = line.lastIndexOf(' ');
    if (space < 0) {
      return null;
    }
    String body = line.substring(0, space);
    return PutAside.checksum(body).equals(line.substring(space + 1)) ? body : null;
  }

  private static int number(String text) {
    try {
      return Integer.parseInt(text);
    } catch (NumberFormatException _) {
      return -1;
    }
  }

  private static @Nullable Attachment parse(String line) {
    List<String> fields = List.of(line.split(" ", -1));
    if (fields.size() != FIELDS_V1 && fields.size() != FIELDS_V1 + 1) {
      return null;
    }
    try {
      return new Attachment(
          Integer.parseInt(fields.get(0)),
          decode(fields.get(1)),
          Integer.parseInt(fields.get(2)),
          decode(fields.get(3)),
          decode(fields.get(4)),
          fields.size() == FIELDS_V1 ? null : identity(fields.get(FIELDS_V1)));
    } catch (IllegalArgumentException _) {
      return null;
    }
  }

  private void putAside(String damage, List<Attachment> found) {
    String fate;
    try {
      fate = "it is put aside as " + PutAside.move(file).getFileName();
      save(found);
    } catch (IOException e) {
      fate = "it cannot be replaced (" + e + ")";
    }
    LOG.log(
        Level.WARNING,
        "{0} {1}; {2}, {3} VMs are served from it, and the others when the control plane names them",
        file,
        damage,
        fate,
        Integer.toString(found.size()));
  }

  private static final class NewerException extends IOException {
    private static final long serialVersionUID = 1;

    NewerException(String message) {
      super(message);
    }
  }

  /// Remembers these and no others.
  void save(Collection<Attachment> attachments) throws IOException {
    StringBuilder text = new StringBuilder();
    line(text, TITLE + " " + VERSION + " " + attachments.size());
    for (Attachment a : attachments) {
      line(
          text,
          String.join(
              " ",
              Integer.toString(a.vm()),
              encode(a.vmName()),
              Integer.toString(a.space()),
              encode(a.tenant()),
              encode(a.image()),
              encode(a.identity())));
    }
    AtomicFile.write(file, text.toString().getBytes(StandardCharsets.US_ASCII));
  }

  private static void line(StringBuilder text, String body) {
    text.append(body).append(' ').append(PutAside.checksum(body)).append('\n');
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static String encode(Image.@Nullable Identity identity) {
    return identity == null
        ? NO_IDENTITY
        : identity.sizeBytes()
            + ":"
            + identity.modifiedNanos()
            + ":"
            + identity.changedNanos()
            + ":"
            + identity.inode();
  }

  private static Image.@Nullable Identity identity(String text) {
    if (text.equals(NO_IDENTITY)) {
      return null;
    }
    List<String> numbers = List.of(text.split(":", -1));
    if (numbers.size() != 4) {
      throw new IllegalArgumentException(text);
    }
    return new Image.Identity(
        Long.parseLong(numbers.get(0)),
        Long.parseLong(numbers.get(1)),
        Long.parseLong(numbers.get(2)),
        Long.parseLong(numbers.get(3)));
  }

  private static String decode(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }
}
