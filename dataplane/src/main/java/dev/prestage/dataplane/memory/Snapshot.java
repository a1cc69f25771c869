package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.linux.Descriptor;
import dev.prestage.engine.fault.Faults;
import dev.prestage.link.host.IoProblem;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/// The memory file of a snapshot, open: it stays this file also when another one gets its name.
final class Snapshot implements AutoCloseable {
  private final String name;
  private final Descriptor descriptor;
  private final long sizeBytes;
  private final Faults faults;
  private final SplittableRandom random;
  private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();
  private boolean closed;

  private Snapshot(String name, Descriptor descriptor, long sizeBytes, Faults faults) {
    this.name = name;
    this.descriptor = descriptor;
    this.sizeBytes = sizeBytes;
    this.faults = faults;
    this.random = new SplittableRandom(faults.seed());
  }

  /// Opens a snapshot of the first folder that has it.
  ///
  /// @param name its path below the folder
  /// @throws IOException with one line for whoever asked
  static Snapshot open(List<MemoryEdge.Folder> folders, String name) throws IOException {
    for (MemoryEdge.Folder folder : folders) {
      try {
        return open(folder, name);
      } catch (NoSuchFileException _) {
        // The next one may have it.
      }
    }
    throw new NoSuchFileException(
        "snapshot '"
            + name
            + "' is in none of the origins "
            + String.join(", ", folders.stream().map(MemoryEdge.Folder::name).toList()));
  }

  private static Snapshot open(MemoryEdge.Folder folder, String name) throws IOException {
    Path directory = folder.directory().toAbsolutePath().normalize();
    Path file = below(directory, name);
    Descriptor descriptor;
    try {
      descriptor = Descriptor.open(file);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (IOException e) {
      throw IoProblem.in("snapshot '" + name + "' cannot be read", e);
    }
    try {
      if (!Files.isRegularFile(descriptor.path())
          || !Files.readSymbolicLink(descriptor.path()).startsWith(directory.toRealPath())) {
        throw new IOException("snapshot '" + name + "' is not a file below " + directory);
      }
      long size = Files.size(descriptor.path());
      if (size < Regions.PAGE) {
        throw new IOException("snapshot '" + name + "' has not even one page: " + file);
      }
      return new Snapshot(name, descriptor, size, folder.faults());
    } catch (IOException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  private static Path below(Path directory, String name) throws IOException {
    try {
      Path file = directory.resolve(name).normalize();
      if (!name.isEmpty() && !file.equals(directory) && file.startsWith(directory)) {
        return file;
      }
    } catch (InvalidPathException _) {
      // It is no name of a file at all.
    }
    throw new IOException("'" + name + "' is not the name of a snapshot in " + directory);
  }

  String name() {
    return name;
  }

  /// Where the file lies that is open.
  ///
  /// @throws IOException if that cannot be found out
  Path file() throws IOException {
    return Files.readSymbolicLink(descriptor.path());
  }

  /// The open file itself, whatever has its name now.
  Path opened() {
    return descriptor.path();
  }

  /// Its size when it was opened.
  long sizeBytes() {
    return sizeBytes;
  }

  /// Reads into native memory all that this holds.
  ///
  /// @throws IOException if any of it cannot be read
  void read(MemorySegment into, long offset) throws IOException {
    use.readLock().lock();
    try {
      requireOpen();
      suffer();
      long count = descriptor.read(into, offset);
      if (count < into.byteSize()) {
        throw new EOFException("it ends at " + (offset + count) + ": it was cut short");
      }
    } finally {
      use.readLock().unlock();
    }
  }

  private void suffer() throws IOException {
    long until = System.nanoTime() + faults.latency().toNanos();
    for (long left = until - System.nanoTime(); left > 0; left = until - System.nanoTime()) {
      LockSupport.parkNanos(this, left);
    }
    if (faults.errorRate() > 0 && fails()) {
      throw new IOException("a fault that was asked for");
    }
  }

  private synchronized boolean fails() {
    return random.nextDouble() < faults.errorRate();
  }

  private void requireOpen() throws IOException {
    if (closed) {
      throw new IOException("it is not open any more");
    }
  }

  /// Begins to read a range into the system's page cache.
  void willNeed(long offset, long lengthBytes) {
    use.readLock().lock();
    try {
      if (!closed) {
        descriptor.willNeed(offset, lengthBytes);
      }
    } finally {
      use.readLock().unlock();
    }
  }

  /// Waits for reads in flight.
  @Override
  public void close() {
    use.writeLock().lock();
    try {
      closed = true;
      descriptor.close();
    } finally {
      use.writeLock().unlock();
    }
  }
}
