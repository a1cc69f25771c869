package dev.prestage.dataplane.block;

import dev.prestage.engine.fault.Faults;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/// A tier's storage whose reads and writes are late, slow, failing or wrong, as [Faults] say; they
/// never hang. The maps beside the data are not affected.
///
/// All reads and writes share one device, as those of a disk do: each books its next free time.
public final class FaultyStorage implements Storage {
  private static final double NANOS_PER_SECOND = 1e9;

  private final Storage storage;
  private final Faults faults;
  private final SplittableRandom random;
  private long deviceFreeNanos = System.nanoTime();

  private FaultyStorage(Storage storage, Faults faults) {
    this.storage = storage;
    this.faults = faults;
    this.random = new SplittableRandom(faults.seed());
  }

  /// The storage with these faults; the storage itself if there are none.
  public static Storage of(Storage storage, Faults faults) {
    return faults.equals(Faults.NONE) ? storage : new FaultyStorage(storage, faults);
  }

  @Override
  public File open(String name) throws IOException {
    File file = storage.open(name);
    return name.endsWith(TierFile.DATA) ? new FaultyFile(name, file) : file;
  }

  @Override
  public List<String> list() throws IOException {
    return storage.list();
  }

  @Override
  public void delete(String name) throws IOException {
    storage.delete(name);
  }

  @Override
  public String describe(String name) {
    return storage.describe(name);
  }

  /// What happens to one read or write.
  ///
  /// @param corruptBit which bit is wrong, or -1
  private record Fate(long doneNanos, boolean fails, long corruptBit) {}

  private synchronized Fate draw(int bytes) {
    boolean fails = random.nextDouble() < faults.errorRate();
    boolean corrupts = bytes > 0 && random.nextDouble() < faults.corruptRate();
    long corruptBit = corrupts ? random.nextLong(8L * bytes) : -1;
    long now = System.nanoTime();
    if (deviceFreeNanos - now < 0) {
      deviceFreeNanos = now;
    }
    if (faults.bytesPerSecond() > 0) {
      deviceFreeNanos += (long) (bytes * NANOS_PER_SECOND / faults.bytesPerSecond());
    }
    return new Fate(deviceFreeNanos + faults.latency().toNanos(), fails, corruptBit);
  }

  private Fate suffer(int bytes, String what) throws IOException {
    Fate fate = draw(bytes);
    try {
      TimeUnit.NANOSECONDS.sleep(fate.doneNanos - System.nanoTime());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (IOException) new InterruptedIOException("interrupted in a tier").initCause(e);
    }
    if (fate.fails) {
      throw new IOException("injected error " + what);
    }
    return fate;
  }

  private final class FaultyFile implements File {
    private final String name;
    private final File file;

    FaultyFile(String name, File file) {
      this.name = name;
      this.file = file;
    }

    @Override
    public long sizeBytes() throws IOException {
      return file.sizeBytes();
    }

    @Override
    public void read(ByteBuffer into, long offset) throws IOException {
      int start = into.position();
      Fate fate = suffer(into.remaining(), "at " + offset + " of " + name);
      file.read(into, offset);
      int at = start + (int) (fate.corruptBit / Byte.SIZE);
      if (fate.corruptBit >= 0 && at < into.position()) {
        into.put(at, (byte) (into.get(at) ^ (1 << (fate.corruptBit % Byte.SIZE))));
      }
    }

    @Override
    public void write(ByteBuffer from, long offset) throws IOException {
      suffer(from.remaining(), "at " + offset + " of " + name);
      file.write(from, offset);
    }

    @Override
    public void punch(long offset, long lengthBytes) {
      file.punch(offset, lengthBytes);
    }

    @Override
    public void truncate(long sizeBytes) throws IOException {
      file.truncate(sizeBytes);
    }

    @Override
    public void force() throws IOException {
      file.force();
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
