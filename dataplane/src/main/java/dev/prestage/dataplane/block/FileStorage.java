package dev.prestage.dataplane.block;

import dev.prestage.dataplane.linux.HolePunch;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

/// Storage in a directory of the host.
public final class FileStorage implements Storage {
  private final Path directory;

  public FileStorage(Path directory) {
    this.directory = directory;
  }

  @Override
  public File open(String name) throws IOException {
    Path path = directory.resolve(name);
    Path parent = path.getParent();
    if (parent != null) {
      Files.createDirectories(parent);
    }
    FileChannel channel =
        FileChannel.open(
            path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
    try {
      return new ChannelFile(channel, HolePunch.open(path));
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  @Override
  public List<String> list() throws IOException {
    Files.createDirectories(directory);
    try (Stream<Path> files = Files.walk(directory)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> directory.relativize(file).toString())
          .toList();
    } catch (UncheckedIOException e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  @Override
  public void delete(String name) throws IOException {
    Files.deleteIfExists(directory.resolve(name));
  }

  @Override
  public String describe(String name) {
    return directory.resolve(name).toString();
  }

  private record ChannelFile(FileChannel channel, HolePunch holes) implements File {
    @Override
    public long sizeBytes() throws IOException {
      return channel.size();
    }

    @Override
    public void read(ByteBuffer into, long offset) throws IOException {
      long position = offset;
      while (into.hasRemaining()) {
        int count = channel.read(into, position);
        if (count < 0) {
          return;
        }
        position += count;
      }
    }

    @Override
    public void write(ByteBuffer from, long offset) throws IOException {
      long position = offset;
      while (from.hasRemaining()) {
        position += channel.write(from, position);
      }
    }

    @Override
    public void punch(long offset, long lengthBytes) {
      holes.punch(offset, lengthBytes);
    }

    @Override
    public void truncate(long sizeBytes) throws IOException {
      channel.truncate(sizeBytes);
    }

    @Override
    public void force() throws IOException {
      channel.force(true);
    }

    @Override
    public void close() throws IOException {
      holes.close();
      channel.close();
    }
  }
}
