package dev.prestage.dataplane.block;

import dev.prestage.engine.fault.Faults;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// An origin whose reads are late, slow, failing, hanging or wrong, as [Faults] say. Opening an
/// image is not affected.
///
/// All reads share one link: each books the next free time on it and is answered one latency after
/// its last byte has passed. Choices are drawn in the order in which reads arrive.
public final class FaultyOrigin implements Origin {
  private static final double NANOS_PER_SECOND = 1e9;

  private final Origin origin;
  private final Faults faults;
  private final SplittableRandom random;
  private final CountDownLatch closed = new CountDownLatch(1);
  private long linkFreeNanos = System.nanoTime();

  private FaultyOrigin(Origin origin, Faults faults) {
    this.origin = origin;
    this.faults = faults;
    this.random = new SplittableRandom(faults.seed());
  }

  /// The origin with these faults; the origin itself if there are none.
  public static Origin of(Origin origin, Faults faults) {
    return faults.equals(Faults.NONE) ? origin : new FaultyOrigin(origin, faults);
  }

  @Override
  public String name() {
    return origin.name();
  }

  @Override
  public Image open(String image) throws IOException {
    return new FaultyImage(origin.open(image));
  }

  @Override
  public void close() {
    closed.countDown();
    origin.close();
  }

  /// What happens to one read.
  ///
  /// @param corruptBit which bit is wrong, or -1
  private record Fate(long doneNanos, boolean hangs, boolean fails, long corruptBit) {}

  private synchronized Fate draw(int bytes) {
    boolean hangs = random.nextDouble() < faults.hangRate();
    boolean fails = random.nextDouble() < faults.errorRate();
    boolean corrupts = random.nextDouble() < faults.corruptRate();
    long corruptBit = corrupts ? random.nextLong(8L * bytes) : -1;
    long now = System.nanoTime();
    if (linkFreeNanos - now < 0) {
      linkFreeNanos = now;
    }
    if (faults.bytesPerSecond() > 0) {
      linkFreeNanos += (long) (bytes * NANOS_PER_SECOND / faults.bytesPerSecond());
    }
    return new Fate(linkFreeNanos + faults.latency().toNanos(), hangs, fails, corruptBit);
  }

  private void waitUntil(long nanos) throws IOException {
    try {
      if (closed.await(nanos - System.nanoTime(), TimeUnit.NANOSECONDS)) {
        throw new IOException("origin '" + name() + "' was closed");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (IOException) new InterruptedIOException("interrupted in a read").initCause(e);
    }
  }

  private final class FaultyImage implements Image {
    private final Image image;

    FaultyImage(Image image) {
      this.image = image;
    }

    @Override
    public String name() {
      return image.name();
    }

    @Override
    public Identity identity() {
      return image.identity();
    }

    @Override
    public Identity currentIdentity() throws IOException {
      return image.currentIdentity();
    }

    @Override
    public void read(long offset, ByteBuffer into) throws IOException {
      int start = into.position();
      Fate fate = draw(into.remaining());
      if (fate.hangs()) {
        waitUntil(System.nanoTime() + Long.MAX_VALUE / 2);
      }
      waitUntil(fate.doneNanos());
      if (fate.fails()) {
        throw new IOException("injected error at " + offset + " of image '" + name() + "'");
      }
      image.read(offset, into);
      if (fate.corruptBit() >= 0) {
        int at = start + (int) (fate.corruptBit() / 8);
        into.put(at, (byte) (into.get(at) ^ (1 << (fate.corruptBit() % 8))));
      }
    }

    @Override
    public void close() throws IOException {
      image.close();
    }
  }
}
