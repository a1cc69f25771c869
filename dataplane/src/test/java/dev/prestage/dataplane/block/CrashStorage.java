package dev.prestage.dataplane.block;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;

/// Storage in memory that forgets as badly as [Storage] allows: at a crash each change since the
/// last force is dropped, kept in part (by 512-byte sectors) or put in another order.
final class CrashStorage implements Storage {
  private static final int SECTOR = 512;

  private final Map<String, Content> files = new HashMap<>();
  private boolean full;
  private volatile CountDownLatch gate = new CountDownLatch(0);

  /// From now on writes fail, or do no longer.
  synchronized void setFull(boolean isFull) {
    full = isFull;
  }

  /// From now on writes hang, until [#release].
  void hold() {
    gate = new CountDownLatch(1);
  }

  void release() {
    gate.countDown();
  }

  /// Loses what was not forced, as `random` has it. Files that are open must not be used any more.
  synchronized void crash(Random random) {
    files.values().forEach(content -> content.crash(random));
  }

  /// Flips one bit behind everybody's back.
  synchronized void flip(String name, long offset) {
    Content content = files.get(name);
    if (content != null && offset < content.size) {
      content.bytes[(int) offset] ^= 1;
    }
  }

  /// What a file holds now.
  synchronized byte[] bytes(String name) {
    Content content = files.computeIfAbsent(name, _ -> new Content());
    return Arrays.copyOf(content.bytes, content.size);
  }

  @Override
  public synchronized Storage.File open(String name) {
    return new OpenFile(files.computeIfAbsent(name, _ -> new Content()));
  }

  @Override
  public synchronized List<String> list() {
    return List.copyOf(files.keySet());
  }

  @Override
  public synchronized void delete(String name) {
    files.remove(name);
  }

  @Override
  public String describe(String name) {
    return "memory:" + name;
  }

  /// One change.
  private interface Change {
    void apply(Content to, Random tear);
  }

  private static final class Content {
    byte[] bytes = new byte[0];
    int size;
    byte[] durable = new byte[0];
    int durableSize;
    final List<Change> unforced = new ArrayList<>();

    void grow(int to) {
      if (bytes.length < to) {
        bytes = Arrays.copyOf(bytes, Math.max(to, 2 * bytes.length));
      }
      size = Math.max(size, to);
    }

    void crash(Random random) {
      bytes = durable.clone();
      size = durableSize;
      Collections.shuffle(unforced, random);
      for (Change change : unforced) {
        change.apply(this, random);
      }
      unforced.clear();
      durable = bytes.clone();
      durableSize = size;
    }

    void truncate(int to) {
      if (to < size) {
        Arrays.fill(bytes, to, size, (byte) 0);
        size = to;
      }
    }
  }

  private final class OpenFile implements Storage.File {
    private final Content content;

    OpenFile(Content content) {
      this.content = content;
    }

    @Override
    public long sizeBytes() {
      synchronized (CrashStorage.this) {
        return content.size;
      }
    }

    @Override
    public void read(ByteBuffer into, long offset) {
      synchronized (CrashStorage.this) {
        int count = (int) Math.min(into.remaining(), content.size - offset);
        if (count > 0) {
          into.put(content.bytes, (int) offset, count);
        }
      }
    }

    @Override
    public void write(ByteBuffer from, long offset) throws IOException {
      try {
        gate.await();
      } catch (InterruptedException e) {
        throw new AssertionError("nobody interrupts a write", e);
      }
      synchronized (CrashStorage.this) {
        if (full) {
          throw new IOException("No space left on device");
        }
        byte[] data = new byte[from.remaining()];
        from.get(data);
        put(content, data, (int) offset, 0, data.length);
        content.unforced.add((to, random) -> {
          // A sector is whole or not at all; the first and the last may be shared.
          boolean all = random.nextBoolean();
          for (int at = 0; at < data.length; ) {
            int end =
                (int) Math.min(data.length, (offset + at) / SECTOR * SECTOR + SECTOR - offset);
            if (all || random.nextBoolean()) {
              put(to, data, (int) offset, at, end);
            }
            at = end;
          }
        });
      }
    }

    private static void put(Content to, byte[] data, int offset, int from, int end) {
      to.grow(offset + end);
      System.arraycopy(data, from, to.bytes, offset + from, end - from);
    }

    @Override
    public void punch(long offset, long lengthBytes) {
      synchronized (CrashStorage.this) {
        zero(content, offset, lengthBytes);
        content.unforced.add((to, random) -> {
          if (random.nextBoolean()) {
            zero(to, offset, lengthBytes);
          }
        });
      }
    }

    private static void zero(Content in, long offset, long lengthBytes) {
      int end = (int) Math.min(in.size, offset + lengthBytes);
      if (offset < end) {
        Arrays.fill(in.bytes, (int) offset, end, (byte) 0);
      }
    }

    @Override
    public void truncate(long sizeBytes) {
      synchronized (CrashStorage.this) {
        content.truncate((int) sizeBytes);
        content.unforced.add((to, random) -> {
          if (random.nextBoolean()) {
            to.truncate((int) sizeBytes);
          }
        });
      }
    }

    @Override
    public void force() {
      synchronized (CrashStorage.this) {
        content.durable = content.bytes.clone();
        content.durableSize = content.size;
        content.unforced.clear();
      }
    }

    @Override
    public void close() {
      // Nothing to let go of.
    }
  }
}
