package dev.prestage.dataplane.block;

import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// One image that VMs read: where it comes from, what of it is here, what is on its way.
///
/// The bits of its files may be looked at by any thread; all else belongs to whoever holds the
/// [BlockStager]'s lock.
public final class BlockSpace {
  private final String tenant;
  final Image image;
  final FetchQueue queue;

  /// What the tiers hold of it, the fastest first; at least one.
  final Shelf[] shelves;

  /// Extents that may not leave: staged for a live lease and not demanded yet.
  final AtomicBits pinned;

  /// What is being fetched, or waits for its turn as demand, by extent.
  final Map<Integer, Fetch> flights = new HashMap<>();

  /// Live leases by where they begin.
  final NavigableMap<Place, LiveLease> leases = new TreeMap<>();

  /// Extents that left, or were served without being kept, since the control plane was last told.
  final BitSet gone = new BitSet();

  /// How far its fill is.
  final SpaceFill fill;

  int attachments;

  /// Why its VMs get no bytes any more, or empty.
  private volatile String refusal = "";

  private volatile int id;

  BlockSpace(int id, String tenant, Image image, List<Shelf> shelves, FetchQueue queue) {
    this.id = id;
    this.tenant = tenant;
    this.image = image;
    this.shelves = shelves.toArray(Shelf[]::new);
    this.pinned = shelves.getFirst().file().pinned;
    shelves.forEach(shelf -> shelf.file().pinned = pinned);
    this.queue = queue;
    this.fill = new SpaceFill(heldBytes(), !isProven());
  }

  /// Where an extent lies, or null. One that is just moving may seem to be nowhere; for whoever has
  /// the [BlockStager]'s lock it is where it is.
  @Nullable Shelf shelfOf(int extent) {
    for (Shelf shelf : shelves) {
      if (shelf.file().resident.get(extent)) {
        return shelf;
      }
    }
    return null;
  }

  /// Whether an extent is here.
  boolean holds(int extent) {
    return shelfOf(extent) != null;
  }

  /// The first extent from one on that is not here, or -1; for whoever has the [BlockStager]'s
  /// lock.
  int nextMissing(int from) {
    int extents = extents();
    int at = from;
    while (at < extents) {
      long here = 0;
      for (Shelf shelf : shelves) {
        here |= shelf.file().resident.word(at >>> 6);
      }
      long missing = ~here & (-1L << at);
      if (missing != 0) {
        int found = (at & -Long.SIZE) + Long.numberOfTrailingZeros(missing);
        return found < extents ? found : -1;
      }
      at = (at & -Long.SIZE) + Long.SIZE;
    }
    return -1;
  }

  /// The bytes of all extents that are here.
  final long heldBytes() {
    long bytes = 0;
    for (Shelf shelf : shelves) {
      bytes += shelf.file().residentBytes();
    }
    return bytes;
  }

  /// Whether what its tiers had of it when it was opened is known to be the image's.
  private boolean isProven() {
    for (Shelf shelf : shelves) {
      if (image.identity().to(shelf.file().identity()) != Image.Likeness.SAME) {
        return false;
      }
    }
    return true;
  }

  /// Whether all of a range is here.
  boolean holds(int first, int count) {
    for (int i = first; i < first + count; i++) {
      if (shelfOf(i) == null) {
        return false;
      }
    }
    return true;
  }

  /// Which version its bytes here are of, as far as is known.
  Image.Identity heldIdentity() {
    return shelves[0].file().identity();
  }

  int extents() {
    return shelves[0].file().extents();
  }

  /// The size of an extent; the image's last may be short.
  int bytesOf(int extent) {
    return shelves[0].file().bytesOf(extent);
  }

  /// Sorts leases of a space.
  record Place(long first, long leaseId) implements Comparable<Place> {
    @Override
    public int compareTo(Place other) {
      int order = Long.compare(first, other.first);
      return order != 0 ? order : Long.compare(leaseId, other.leaseId);
    }
  }

  /// From now on nobody gets bytes of it: the image is no longer what its VMs began to read.
  void refuse(String why) {
    refusal = why;
  }

  /// Why nobody gets bytes of it, or empty.
  public String refusal() {
    return refusal;
  }

  /// Its number in access records and leases.
  public int id() {
    return id;
  }

  void renumber(int newId) {
    id = newId;
  }

  /// Whose it is.
  public String tenant() {
    return tenant;
  }

  /// The image's name at the origin.
  public String imageName() {
    return image.name();
  }

  /// Which version of the image it is, as it was when it was opened.
  public Image.Identity identity() {
    return image.identity();
  }

  /// The image's size.
  public long sizeBytes() {
    return heldIdentity().sizeBytes();
  }

  /// Which extents are here now.
  public BitSet resident() {
    BitSet here = new BitSet();
    for (Shelf shelf : shelves) {
      here.or(shelf.file().resident.toBitSet());
    }
    return here;
  }

  @Override
  public String toString() {
    return tenant + "/" + image.name();
  }
}
