package dev.prestage.dataplane.block;

import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// The tiers of a host, the fastest first, and what goes where.
///
/// An extent lies in one tier or in none. What is expected to be asked for goes to the fastest tier
/// that has room; what was merely asked for leaves a quarter of each faster tier free for that.
/// Only the slowest tier evicts to make room; the faster ones are kept from filling up by
/// [TierMover], which moves what is touched least to the next slower one. While the slower tiers
/// take nothing, the faster ones evict as if they were alone.
public final class Tiers implements AutoCloseable {
  /// What a forecast gives at least even odds is expected to be asked for.
  private static final float EXPECTED = 0.5f;

  /// What is merely asked for may fill so much of a faster tier.
  private static final double SHARE_OF_DEMAND = 0.75;

  /// What nobody asked for may fill so much of a faster tier, and leaves a quarter for what is
  /// merely asked for.
  private static final double SHARE_OF_FILL = 0.5;

  /// Faster tiers are kept this empty, for what is expected next: a forecast of 4 MiB finds room in
  /// 32 MiB, and the mover has the time between two forecasts to make it again.
  private static final double SHARE_OF_MOVES = 0.875;

  private final List<Tier> all;
  private final Moves moves;
  private final Trouble trouble;
  private final List<String> leftOut;
  private final ReentrantLock moving = new ReentrantLock();

  /// @param all at least one, the fastest first
  public Tiers(List<Tier> all, Moves moves, Trouble trouble) {
    this(all, List.of(), moves, trouble);
  }

  /// @param leftOut why each tier that should be here is not; said again and again
  public Tiers(List<Tier> all, List<String> leftOut, Moves moves, Trouble trouble) {
    this.leftOut = List.copyOf(leftOut);
    this.all = List.copyOf(all);
    this.moves = moves;
    this.trouble = trouble;
    if (all.size() > 1) {
      this.all.forEach(tier -> tier.countTouches(moves));
      dropDoubles();
    }
  }

  /// A single tier.
  public static Tiers of(Tier tier) {
    return new Tiers(List.of(tier), Moves.DEFAULT, (_, _) -> {});
  }

  /// The tiers, the fastest first.
  public List<Tier> all() {
    return all;
  }

  Moves moves() {
    return moves;
  }

  /// What of a tier moves to it may fill, and more than which is moved away.
  static long limitOfMoves(Tier tier) {
    return (long) (tier.capacityBytes() * SHARE_OF_MOVES);
  }

  /// Whether the [TierMover] has anything to do here.
  boolean needMover() {
    return all.size() > 1 || !leftOut.isEmpty();
  }

  /// Says which tiers are left out.
  void reportLeftOut() {
    leftOut.forEach(line -> trouble.report("tier-open", line));
  }

  /// Their names, for messages.
  String names() {
    return all.stream().map(tier -> "'" + tier.name() + "'").collect(Collectors.joining(", "));
  }

  /// Whether any is worth a try.
  boolean accepts() {
    return all.stream().anyMatch(Tier::accepts);
  }

  /// A process that was killed in the middle of a move may have left an extent in both places: the
  /// faster one keeps it.
  private void dropDoubles() {
    for (int slow = 1; slow < all.size(); slow++) {
      for (TierFile file : all.get(slow).files()) {
        for (Tier fast : all.subList(0, slow)) {
          for (TierFile other : fast.files()) {
            if (Tier.isSameImage(file, other)) {
              dropDoubles(other, all.get(slow), file);
            }
          }
        }
      }
    }
  }

  /// The same, for an image whose files may have got different names, or be filled from what it was
  /// at different times: then what is surely its bytes is kept.
  void dropDoubles(List<Shelf> shelves, Image.Identity identity) {
    alone(() -> {
      for (int slow = 1; slow < shelves.size(); slow++) {
        for (Shelf fast : shelves.subList(0, slow)) {
          Shelf other = shelves.get(slow);
          if (isDoubtful(fast, identity) && !isDoubtful(other, identity)) {
            dropDoubles(other.file(), fast.tier(), fast.file());
          } else {
            dropDoubles(fast.file(), other.tier(), other.file());
          }
        }
      }
      return shelves;
    });
  }

  private static boolean isDoubtful(Shelf shelf, Image.Identity identity) {
    return identity.to(shelf.file().identity()) != Image.Likeness.SAME;
  }

  private static void dropDoubles(TierFile kept, Tier tier, TierFile file) {
    BitSet both = kept.resident.toBitSet();
    both.and(file.resident.toBitSet());
    both.stream().forEach(extent -> tier.drop(file, extent));
  }

  /// What a tier has of an image.
  record Found(Tier tier, TierFile file, boolean doubtful) {}

  /// Opens what the tiers have of an image. One that cannot be used is left out and said.
  ///
  /// @throws IOException if none can be used
  List<Found> open(String tenant, String image, Image.Identity identity) throws IOException {
    List<Found> found = new ArrayList<>();
    @Nullable IOException failure = null;
    for (Tier tier : all) {
      try {
        Tier.Found here = tier.open(tenant, image, identity);
        found.add(new Found(tier, here.file(), here.doubtful()));
      } catch (IOException e) {
        failure = e;
        if (all.size() > 1) {
          reportUnopened(tier, e);
        }
      }
    }
    if (found.isEmpty() && failure != null) {
      throw failure;
    }
    return found;
  }

  /// Begins anew in the tiers whose bytes are not known to be an image's.
  ///
  /// @throws IOException if no tier can be used then
  List<Shelf> renew(List<Found> found, Image.Identity identity) throws IOException {
    List<Shelf> shelves = new ArrayList<>();
    @Nullable IOException failure = null;
    for (Found one : found) {
      try {
        Tier tier = one.tier();
        TierFile file = one.doubtful() ? tier.renew(one.file(), identity) : one.file();
        shelves.add(new Shelf(tier, file));
      } catch (IOException e) {
        failure = e;
        reportUnopened(one.tier(), e);
      }
    }
    if (shelves.isEmpty() && failure != null) {
      throw failure;
    }
    return shelves;
  }

  /// A tier has no file for an image that it should have. It goes on taking others.
  void reportUnopened(Tier tier, IOException e) {
    trouble.report("tier-file", "tier '" + tier.name() + "': " + IoProblem.explain(e));
  }

  /// Runs while no other such step does: a purge passes over the tiers one after the other, and
  /// nothing may move past it.
  <T, E extends Exception> T alone(Step<T, E> step) throws E {
    moving.lock();
    try {
      return step.run();
    } finally {
      moving.unlock();
    }
  }

  /// See [#alone].
  @FunctionalInterface
  interface Step<T, E extends Exception> {
    T run() throws E;
  }

  /// Removes all extents of an image, in every version and tier; those that are staged and not
  /// demanded yet stay for their leases.
  ///
  /// @return how many bytes were given back
  public long purge(String tenant, String image) throws IOException {
    return alone(() -> {
      long bytes = 0;
      for (Tier tier : all) {
        bytes += tier.purge(tenant, image);
      }
      return bytes;
    });
  }

  /// Whether a lease's extents are as good as asked for.
  static boolean isExpected(@Nullable LiveLease lease) {
    return lease != null && lease.lease.probability() >= EXPECTED;
  }

  /// Takes room for an extent in one of an image's tiers.
  ///
  /// @param from the first shelf to ask
  /// @return on which shelf, or -1 if there is none to be had
  static int reserve(BlockSpace space, int extent, boolean expected, int from) {
    Shelf[] shelves = space.shelves;
    int bytes = space.bytesOf(extent);
    for (int i = from; i < shelves.length - 1; i++) {
      Tier tier = shelves[i].tier();
      double share = expected ? 1 : SHARE_OF_DEMAND;
      if (tier.accepts() && tier.reserveWithin(bytes, (long) (share * tier.capacityBytes()))) {
        return i;
      }
    }
    for (int i = shelves.length - 1; i >= from; i--) {
      Tier tier = shelves[i].tier();
      if (tier.accepts() && tier.reserve(bytes)) {
        return i;
      }
    }
    return -1;
  }

  /// What fill may use of one of an image's tiers: it leaves room for what is expected and asked
  /// for, which would evict it otherwise.
  private static long limitOfFill(BlockSpace space, int shelf) {
    Tier tier = space.shelves[shelf].tier();
    boolean slowest = shelf == space.shelves.length - 1;
    return slowest ? limitOfMoves(tier) : (long) (tier.capacityBytes() * SHARE_OF_FILL);
  }

  /// For how many extents an image's tiers have free room for fill.
  static long roomToFill(BlockSpace space) {
    long extents = 0;
    for (int i = 0; i < space.shelves.length; i++) {
      Tier tier = space.shelves[i].tier();
      if (tier.accepts()) {
        long free = Math.max(0, limitOfFill(space, i) - tier.usedBytes());
        extents += free / TierFile.EXTENT_BYTES;
      }
    }
    return extents;
  }

  /// Takes free room for an extent that nobody asked for, in the slowest tier first.
  ///
  /// @param from the fastest shelf that may be asked
  /// @return on which shelf, or -1 if there is none to be had
  static int reserveToFill(BlockSpace space, int extent, int from) {
    int bytes = space.bytesOf(extent);
    for (int i = space.shelves.length - 1; i >= from; i--) {
      Tier tier = space.shelves[i].tier();
      if (tier.accepts() && tier.reserveWithin(bytes, limitOfFill(space, i))) {
        return i;
      }
    }
    return -1;
  }

  /// Makes everything durable.
  @Override
  public void close() throws IOException {
    @Nullable IOException failure = null;
    for (Tier tier : all) {
      try {
        tier.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
