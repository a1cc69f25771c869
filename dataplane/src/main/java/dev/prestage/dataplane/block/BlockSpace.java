package dev.prestage.dataplane.block;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/// One image that VMs read: where it comes from, what of it is here, what is on its way.
///
/// The bits of [#file] may be looked at by any thread; all else belongs to whoever holds the
/// [BlockStager]'s lock.
public final class BlockSpace {
  private final String tenant;
  final Image image;
  final TierFile file;
  final FetchQueue queue;

  /// What is being fetched, or waits for its turn as demand, by extent.
  final Map<Integer, Fetch> flights = new HashMap<>();

  /// Live leases by where they begin.
  final NavigableMap<Place, LiveLease> leases = new TreeMap<>();

  /// Extents that left, or were served without being kept, since the control plane was last told.
  final BitSet gone = new BitSet();

  int attachments;

  /// Why its VMs get no bytes any more, or empty.
  private volatile String refusal = "";

  private volatile int id;

  BlockSpace(int id, String tenant, Image image, TierFile file, FetchQueue queue) {
    this.id = id;
    this.tenant = tenant;
    this.image = image;
    this.file = file;
    this.queue = queue;
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
    return file.identity().sizeBytes();
  }

  /// Which extents are here now.
  public BitSet resident() {
    return file.resident.toBitSet();
  }

  @Override
  public String toString() {
    return tenant + "/" + image.name();
  }
}
