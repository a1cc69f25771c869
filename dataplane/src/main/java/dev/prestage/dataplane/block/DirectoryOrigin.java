package dev.prestage.dataplane.block;

import dev.prestage.link.host.IoProblem;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// A directory of raw images, usually a mounted share. An image's name is its path below the
/// directory. Links in the directory are followed: whoever may write there decides what it holds.
///
/// Limits: an image must not be written to while a VM is attached to it; replacing it by renaming a
/// new file over it is fine, running VMs keep the old one.
public final class DirectoryOrigin implements Origin {
  private static final int NAMES_IN_MESSAGE = 8;

  private final String name;
  private final Path directory;

  public DirectoryOrigin(String name, Path directory) {
    this.name = name;
    this.directory = directory.toAbsolutePath().normalize();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Image open(String image) throws IOException {
    Path file = resolve(image);
    if (!Files.exists(file)) {
      throw new NoSuchFileException(
          "image '"
              + image
              + "' is not in origin '"
              + name
              + "' ("
              + directory
              + "); "
              + present());
    }
    if (!file.toRealPath().startsWith(directory.toRealPath())) {
      throw new IOException(
          "image '" + image + "' of origin '" + name + "' is a link out of " + directory);
    }
    if (!Files.isRegularFile(file)) {
      throw new IOException(
          "image '" + image + "' of origin '" + name + "' is not a file: " + file);
    }
    FileChannel channel;
    try {
      channel = FileChannel.open(file, StandardOpenOption.READ);
    } catch (IOException e) {
      throw IoProblem.in("image '" + image + "' of origin '" + name + "' cannot be read", e);
    }
    try {
      long size = channel.size();
      if (size == 0) {
        throw new IOException("image '" + image + "' of origin '" + name + "' is empty: " + file);
      }
      long modified = Files.getLastModifiedTime(file).to(TimeUnit.NANOSECONDS);
      return new FileImage(image, new Image.Identity(size, modified), channel);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
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

  private record FileImage(String name, Identity identity, FileChannel channel) implements Image {
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
    }
  }
}
