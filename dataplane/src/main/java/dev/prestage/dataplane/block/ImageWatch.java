package dev.prestage.dataplane.block;

import dev.prestage.dataplane.edge.Trouble;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;

/// Looks now and then whether the images that VMs read are still what they were.
///
/// An image that was written to is refused from then on. One whose permissions, links or times
/// alone were changed is compared with what the tier holds, all of it, at a fraction of the
/// origin's speed; if a byte differs it is refused too. One all of which is here is not looked at.
/// docs/adr/2026-11-26-what-an-image-is.md says which changes are seen.
///
/// Threads: one for each origin, so that one that hangs keeps nobody else from being looked at, and
/// one for each image while it is compared.
final class ImageWatch implements AutoCloseable {
  private static final Logger LOG = System.getLogger(ImageWatch.class.getName());

  /// A look is one system call. Fetches look by themselves, so this bounds only how long bytes that
  /// are here go on being served of an image that was changed, which are the right ones.
  private static final Duration PERIOD = Duration.ofSeconds(2);

  /// So many extents are compared before a tier is believed: 4 MiB, some 50 ms of a 1 Gbit/s link.
  private static final int SAMPLE = 64;

  /// Comparing takes a tenth of the time, so nine times as long is waited after each extent.
  private static final int PAUSE_FACTOR = 9;

  private final Collection<Origin> origins;
  private final Function<String, List<BlockSpace>> attached;
  private final BiConsumer<BlockSpace, String> refuse;
  private final Consumer<BlockSpace> proven;
  private final Trouble trouble;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Set<BlockSpace> comparing = ConcurrentHashMap.newKeySet();

  /// @param attached the spaces of an origin that VMs read
  /// @param refuse is told that an image must not be served any more, and why
  /// @param proven is told that what is here of an image was compared with it, and is the same
  ImageWatch(
      Collection<Origin> origins,
      Function<String, List<BlockSpace>> attached,
      BiConsumer<BlockSpace, String> refuse,
      Consumer<BlockSpace> proven,
      Trouble trouble) {
    this.origins = origins;
    this.attached = attached;
    this.refuse = refuse;
    this.proven = proven;
    this.trouble = trouble;
  }

  void start() {
    for (Origin origin : origins) {
      Thread.ofPlatform().daemon().name("watch-" + origin.name()).start(() -> watch(origin.name()));
    }
  }

  private void watch(String origin) {
    try {
      while (!closed.await(PERIOD.toMillis(), TimeUnit.MILLISECONDS)) {
        for (BlockSpace space : attached.apply(origin)) {
          look(space);
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody may interrupt the watch", e);
    }
  }

  private void look(BlockSpace space) {
    if (!space.refusal().isEmpty()) {
      // It stays true for as long as VMs are attached, and so it is said again.
      trouble.report("image-changed", space.refusal());
      return;
    }
    if (space.fill.isComplete()) {
      // Its VMs read what it was, and need it no more.
      return;
    }
    try {
      Image.Identity now = space.image.currentIdentity();
      boolean touched = false;
      for (Shelf shelf : space.shelves) {
        switch (now.to(shelf.file().identity())) {
          case SAME -> {
            // As it should be.
          }
          case TOUCHED -> {
            touched = true;
            space.fill.doubtful = true;
          }
          case REPLACED, CHANGED -> {
            refuse.accept(space, "was written to while VMs read it");
            return;
          }
        }
      }
      if (touched && comparing.add(space)) {
        Thread.ofPlatform()
            .daemon()
            .name("compare-" + space.imageName())
            .start(() -> compare(space, now));
      }
    } catch (IOException e) {
      // An origin that cannot be asked is said where it is read.
      LOG.log(Level.DEBUG, "looking at {0}: {1}", space, e.getMessage());
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, "the watch failed at " + space, e);
    }
  }

  private void compare(BlockSpace space, Image.Identity now) {
    // What moves while its tiers are compared one after the other could be missed in both.
    keepStill(space, true);
    try {
      int extents = 0;
      for (Shelf shelf : space.shelves) {
        int compared = compareAll(space, shelf.file(), now);
        if (compared < 0) {
          return;
        }
        extents += compared;
      }
      // One that is vouched for while another is not could be taken for one that needs no proof.
      for (Shelf shelf : space.shelves) {
        shelf.file().adopt(now);
      }
      if (space.image.currentIdentity().to(now) == Image.Likeness.SAME) {
        proven.accept(space);
      }
      LOG.log(
          Level.INFO,
          "{0} was touched, and has the bytes that it had: {1} extents",
          space,
          extents);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "comparing {0}: {1}", space, e.getMessage());
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody may interrupt a comparison", e);
    } finally {
      keepStill(space, false);
      comparing.remove(space);
    }
  }

  private static void keepStill(BlockSpace space, boolean still) {
    for (Shelf shelf : space.shelves) {
      shelf.tier().keepStill(shelf.file(), still);
    }
  }

  /// Compares what one tier holds; tells how many extents, or -1 if there is no use in going on.
  private int compareAll(BlockSpace space, TierFile file, Image.Identity now)
      throws IOException, InterruptedException {
    if (now.to(file.identity()) == Image.Likeness.SAME) {
      return 0;
    }
    BitSet resident = file.resident.toBitSet();
    ByteBuffer buffer = ByteBuffer.allocateDirect(TierFile.EXTENT_BYTES);
    VerifiedReader reader = new VerifiedReader();
    for (int at = resident.nextSetBit(0); at >= 0; at = resident.nextSetBit(at + 1)) {
      long began = System.nanoTime();
      boolean differs = differs(file, space.image, at, buffer);
      // The tier's own damage is none of the image's, and is mended when the extent is read.
      if (differs && file.resident.get(at) && reader.verifies(file, at)) {
        refuse.accept(space, "has other bytes than before, with the same size and time");
        return -1;
      }
      long took = System.nanoTime() - began;
      if (closed.await(PAUSE_FACTOR * took, TimeUnit.NANOSECONDS)) {
        return -1;
      }
    }
    return resident.cardinality();
  }

  /// Whether what a tier holds of an image is what the image has, by a sample of its extents: all,
  /// or the first and last and some evenly between.
  static boolean sampleMatches(TierFile file, Image image) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(TierFile.EXTENT_BYTES);
    for (int extent : sample(file.resident.toBitSet())) {
      if (differs(file, image, extent, buffer) && file.resident.get(extent)) {
        return false;
      }
    }
    return true;
  }

  private static List<Integer> sample(BitSet resident) {
    int[] all = resident.stream().toArray();
    List<Integer> chosen = new ArrayList<>();
    for (int i = 0; i < Math.min(SAMPLE, all.length); i++) {
      boolean every = all.length <= SAMPLE;
      chosen.add(all[every ? i : (int) ((long) i * (all.length - 1) / (SAMPLE - 1))]);
    }
    return chosen;
  }

  private static boolean differs(TierFile file, Image image, int extent, ByteBuffer buffer)
      throws IOException {
    buffer.clear().limit(file.bytesOf(extent));
    image.read((long) extent * TierFile.EXTENT_BYTES, buffer);
    return !file.matches(extent, buffer.flip());
  }

  @Override
  public void close() {
    closed.countDown();
  }
}
