package dev.prestage.dataplane.block;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// An origin in memory whose reads stop at a gate while it is closed, and fail while it is told to.
final class TestOrigin implements Origin {
  private static final long PATIENCE_SECONDS = 20;

  /// A read that reached the origin.
  record Read(long offset, int length) {}

  private final String name;
  private final AtomicInteger openImages = new AtomicInteger();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Map<String, byte[]> images = new HashMap<>();
  private final Map<String, Long> times = new HashMap<>();
  private final Map<String, Long> touches = new HashMap<>();
  private final List<Read> reads = new ArrayList<>();
  private final Set<String> writtenInPlace = ConcurrentHashMap.newKeySet();
  private int passes = Integer.MAX_VALUE;
  private int failures;
  private boolean closed;

  TestOrigin() {
    this("test");
  }

  TestOrigin(String name) {
    this.name = name;
  }

  /// How many images are open.
  int openImages() {
    return openImages.get();
  }

  byte[] put(String image, int bytes, long seed) {
    byte[] content = new byte[bytes];
    new SplittableRandom(seed).nextBytes(content);
    images.put(image, content);
    times.merge(image, 1L, Long::sum);
    return content;
  }

  /// Changes bytes of an image and puts its time of writing back: by what the origin says of it, it
  /// may have been touched only.
  void changeUnseen(String image, int offset) {
    byte[] changed = images.get(image).clone();
    changed[offset] ^= 1;
    images.put(image, changed);
    touches.merge(image, 1L, Long::sum);
  }

  /// Writes to an image while it is open.
  void writeInPlace(String image) {
    changeUnseen(image, 0);
    times.merge(image, 1L, Long::sum);
    writtenInPlace.add(image);
  }

  private Image.Identity identityOf(String image, int bytes) {
    return new Image.Identity(
        bytes, times.getOrDefault(image, 0L), 1 + touches.getOrDefault(image, 0L), 1);
  }

  /// Lets so many reads pass from now on, and stops the ones after them.
  void allow(int reads) {
    lock.lock();
    try {
      passes = reads;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  void allowAll() {
    allow(Integer.MAX_VALUE);
  }

  /// Makes the next reads fail.
  void fail(int count) {
    lock.lock();
    try {
      failures = count;
    } finally {
      lock.unlock();
    }
  }

  /// All reads that have begun, in their order.
  List<Read> reads() {
    lock.lock();
    try {
      return List.copyOf(reads);
    } finally {
      lock.unlock();
    }
  }

  /// Waits until so many reads have begun.
  void awaitReads(int count) throws InterruptedException {
    long left = TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    lock.lock();
    try {
      while (reads.size() < count) {
        if (left <= 0) {
          throw new AssertionError("only these reads came: " + reads);
        }
        left = changed.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Image open(String image) throws IOException {
    byte[] content = images.get(image);
    if (content == null) {
      throw new NoSuchFileException("no image " + image);
    }
    openImages.incrementAndGet();
    return new MemoryImage(image, identityOf(image, content.length), content);
  }

  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private final class MemoryImage implements Image {
    private final String name;
    private final Identity identity;
    private final byte[] content;

    MemoryImage(String name, Identity identity, byte[] content) {
      this.name = name;
      this.identity = identity;
      this.content = content;
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public Identity identity() {
      return identity;
    }

    @Override
    public Identity currentIdentity() {
      return writtenInPlace.contains(name) ? identityOf(name, content.length) : identity;
    }

    @Override
    public void read(long offset, ByteBuffer into) throws IOException {
      boolean fails;
      lock.lock();
      try {
        reads.add(new Read(offset, into.remaining()));
        changed.signalAll();
        while (passes == 0 && !closed) {
          changed.awaitUninterruptibly();
        }
        if (passes != Integer.MAX_VALUE) {
          passes--;
        }
        fails = closed || failures > 0;
        failures = Math.max(0, failures - 1);
      } finally {
        lock.unlock();
      }
      if (fails) {
        throw new IOException("told to fail");
      }
      into.put(content, (int) offset, into.remaining());
    }

    @Override
    public void close() {
      openImages.decrementAndGet();
    }
  }
}
