package dev.prestage.link.host;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// Holds that one process at a time plays a part on a state folder. The kernel lets go when the
/// process ends, however it ends.
public final class StateLock implements AutoCloseable {
  /// What files of a state folder are created with.
  static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  // A plane that lost its supervisor closes its history and its tier, which takes seconds.
  private static final long ORPHAN_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final FileChannel channel;

  private StateLock(FileChannel channel) {
    this.channel = channel;
  }

  /// Takes the lock, which is the file `PART.lock`; makes the folder if it is missing. A link in
  /// the file's place is not followed.
  ///
  /// @param part such as `data-plane`
  /// @throws IOException one line that names the holder, if somebody has it
  public static StateLock take(Path folder, String part) throws IOException {
    Path file = folder.resolve(part + ".lock");
    FileChannel channel;
    try {
      Files.createDirectories(folder);
      channel = FileChannel.open(file, Set.of(CREATE, READ, WRITE, NOFOLLOW_LINKS), OWNER_ONLY);
    } catch (IOException e) {
      throw IoProblem.in(
          "the state folder " + folder + " cannot be used (set 'state' to one that can)", e);
    }
    try {
      if (tryLock(channel) == null) {
        throw new IOException(
            "another "
                + part
                + " (pid "
                + Files.readString(file).strip()
                + ") works in "
                + folder
                + ": stop it, or give this one another 'state'");
      }
      channel.truncate(0);
      channel.write(
          ByteBuffer.wrap(
              (ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII)));
      return new StateLock(channel);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  /// Null if somebody has it, in this process or in another.
  private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException _) {
      return null;
    }
  }

  /// Waits until nobody holds a plane's lock, or for as long as an orphan may take to end. The
  /// supervisor holds a lock of its own, so whoever else has a plane's is the plane of one that was
  /// killed. The plane waits itself: an orphan may have been starting when the supervisor looked.
  public static void awaitFree(Path folder, String part) throws IOException, InterruptedException {
    Path file = folder.resolve(part + ".lock");
    if (!Files.exists(file, NOFOLLOW_LINKS)) {
      return;
    }
    long end = System.nanoTime() + ORPHAN_NANOS;
    try (FileChannel channel = FileChannel.open(file, READ, WRITE, NOFOLLOW_LINKS)) {
      boolean free = false;
      while (!free && System.nanoTime() < end) {
        try (FileLock lock = tryLock(channel)) {
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
