package dev.prestage.dataplane.block;

import dev.prestage.dataplane.linux.Descriptor;
import dev.prestage.link.host.IoProblem;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A directory of raw images, usually a mounted share. An image's name is its path below the
/// directory. Links in the directory are followed: whoever may write there decides what it holds.
///
/// An image is replaced by renaming a new file over it: running VMs keep the old one, which stays
/// open. One that is written to while a VM reads it is no longer that VM's image, and is refused.
public final class DirectoryOrigin implements Origin {
  private static final int NAMES_IN_MESSAGE = 8;

  private final String name;
  private final Path directory;
  private final boolean anyFormat;

  /// @param anyFormat whether files in formats that are not raw are served, as the bytes they are
  public DirectoryOrigin(String name, Path directory, boolean anyFormat) {
    this.name = name;
    this.directory = directory.toAbsolutePath().normalize();
    this.anyFormat = anyFormat;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Image open(String image) throws IOException {
    Path file = resolve(image);
    Descriptor descriptor;
    try {
      descriptor = Descriptor.open(file);
    } catch (NoSuchFileException _) {
      throw new NoSuchFileException(
          "image '%s' is not in origin '%s' (%s); %s".formatted(image, name, directory, present()));
    } catch (IOException e) {
      throw IoProblem.in("image '" + image + "' of origin '" + name + "' cannot be read", e);
    }
    try {
      return open(image, file, descriptor);
    } catch (IOException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /// What is checked and what is read belong to the one open file, whatever its name leads to by
  /// then.
  private Image open(String image, Path file, Descriptor descriptor) throws IOException {
    String what = "image '" + image + "' of origin '" + name + "'";
    if (!Files.isRegularFile(descriptor.path())) {
      throw new IOException(what + " is not a file: " + file);
    }
    if (!Files.readSymbolicLink(descriptor.path()).startsWith(directory.toRealPath())) {
      throw new IOException(what + " is a link out of " + directory);
    }
    Image.Identity identity = identityOf(descriptor);
    if (identity.sizeBytes() == 0) {
      throw new IOException(what + " is empty: " + file);
    }
    FileChannel channel;
    try {
      channel = FileChannel.open(descriptor.path(), StandardOpenOption.READ);
    } catch (IOException e) {
      throw IoProblem.in(what + " cannot be read", e);
    }
    FileImage opened = new FileImage(image, identity, descriptor, channel);
    try {
      requireRaw(what, opened);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    return opened;
  }

  private void requireRaw(String what, FileImage image) throws IOException {
    ByteBuffer start =
        ByteBuffer.allocate(
            (int) Math.min(ImageFormat.LONGEST_MAGIC, image.identity().sizeBytes()));
    image.read(0, start);
    ImageFormat format = ImageFormat.of(start.flip());
    if (format != null && !anyFormat) {
      throw new IOException(
          what
              + " is a "
              + format.title()
              + " file, and a guest would see its bytes as a raw disk: convert it with qemu-img"
              + " convert -O raw, or set anyFormat: true at the origin to serve it as it is");
    }
  }

  private static Image.Identity identityOf(Descriptor descriptor) throws IOException {
    Map<String, Object> stat =
        Files.readAttributes(descriptor.path(), "unix:size,lastModifiedTime,ctime,ino");
    return new Image.Identity(
        number(stat.get("size")),
        number(stat.get("lastModifiedTime")),
        number(stat.get("ctime")),
        number(stat.get("ino")));
  }

  /// What `stat` says as a number; 0 where it says nothing.
  private static long number(@Nullable Object value) {
    return switch (value) {
      case FileTime time -> time.to(TimeUnit.NANOSECONDS);
      case Long number -> number;
      case null, default -> 0;
    };
  }

  private Path resolve(String image) throws IOException {
    try {
      Path file = directory.resolve(image).normalize();
      if (image.isEmpty() || file.equals(directory) || !file.startsWith(directory)) {
        throw new IOException("'" + image + "' is not the name of an image in " + directory);
      }
      return file;
    } catch (InvalidPathException e) {
      throw new IOException("'" + image + "' is not the name of an image in " + directory, e);
    }
  }

  private String present() throws IOException {
    if (!Files.isDirectory(directory)) {
      return "that directory does not exist: is the share mounted?";
    }
    try (Stream<Path> files = Files.list(directory)) {
      List<String> names =
          files.filter(Files::isRegularFile).map(f -> f.getFileName().toString()).sorted().toList();
      if (names.isEmpty()) {
        return "that directory holds no images: is the share mounted?";
      }
      String some = String.join(", ", names.subList(0, Math.min(NAMES_IN_MESSAGE, names.size())));
      int more = names.size() - NAMES_IN_MESSAGE;
      return "it holds " + some + (more > 0 ? " and " + more + " more" : "");
    }
  }

  @Override
  public void close() {
    // Reads of a local file or of a mounted share end by themselves or not at all.
  }

  private record FileImage(
      String name, Identity identity, Descriptor descriptor, FileChannel channel) implements Image {
    @Override
    public Identity currentIdentity() throws IOException {
      Identity now = identityOf(descriptor);
      if (!channel.isOpen()) {
        // The descriptor's number may be another file's by now.
        throw new ClosedChannelException();
      }
      return now;
    }

    @Override
    public void read(long offset, ByteBuffer into) throws IOException {
      long position = offset;
      while (into.hasRemaining()) {
        int count = channel.read(into, position);
        if (count < 0) {
          throw new EOFException("image '" + name + "' ends at " + position + ": it was cut short");
        }
        position += count;
      }
    }

    @Override
    public void close() throws IOException {
      channel.close();
      descriptor.close();
    }
  }
}
