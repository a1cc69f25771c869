package dev.prestage.cli.process;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/// Holds that one process at a time plays a part on a state folder. The kernel lets go when the
/// process ends, however it ends.
final class StateLock implements AutoCloseable {
  // A plane that lost its supervisor closes its history and its tier, which takes seconds.
  private static final long ORPHAN_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final FileChannel channel;

  private StateLock(FileChannel channel) {
    this.channel = channel;
  }

  /// Takes the lock, or says who has it.
  static StateLock take(Path state, String part) throws IOException {
    Path file = state.resolve(part + ".lock");
    FileChannel channel;
    try {
      Files.createDirectories(state);
      channel = FileChannel.open(file, CREATE, READ, WRITE);
    } catch (IOException e) {
      throw new IOException(
          "the state folder " + state + " cannot be used (" + e + "); set 'state' to one that can",
          e);
    }
    FileLock lock = channel.tryLock();
    if (lock == null) {
      ByteBuffer pid = ByteBuffer.allocate(32);
      channel.read(pid, 0);
      channel.close();
      throw new IOException(
          "another "
              + part
              + " (pid "
              + StandardCharsets.US_ASCII.decode(pid.flip()).toString().strip()
              + ") uses "
              + state
              + "; stop it, or give this one another 'state'");
    }
    channel.truncate(0);
    channel.write(
        ByteBuffer.wrap(
            Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII)),
        0);
    return new StateLock(channel);
  }

  /// Waits until nobody holds a plane's lock, or for as long as an orphan may take to end. The
  /// supervisor holds a lock of its own, so whoever else has a plane's is the plane of one that was
  /// killed. The plane waits itself: an orphan may have been starting when the supervisor looked.
  static void awaitFree(Path file) throws IOException, InterruptedException {
    if (!Files.exists(file)) {
      return;
    }
    long end = System.nanoTime() + ORPHAN_NANOS;
    try (FileChannel channel = FileChannel.open(file, READ, WRITE)) {
      boolean free = false;
      while (!free && System.nanoTime() < end) {
        try (FileLock lock = channel.tryLock()) {
          free = lock != null;
        }
        if (!free) {
          TimeUnit.MILLISECONDS.sleep(50);
        }
      }
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
