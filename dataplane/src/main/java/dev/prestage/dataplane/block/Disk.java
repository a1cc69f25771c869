package dev.prestage.dataplane.block;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.time.Clock;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.concurrent.atomic.LongAdder;

/// One VM's disk: the tap on its accesses, and the counter over which staged extents are handed
/// out. Any number of threads may read at the same time.
public final class Disk {
  // After so many looks at an extent that is said to be here and cannot be read, it is taken out.
  private static final int PATIENCE = 8;

  private final String name;
  private final BlockSpace space;
  private final BlockStager stager;
  private final AccessRing ring;
  private final Clock clock;
  private final LongAdder reads = new LongAdder();
  private final LongAdder waits = new LongAdder();
  private final LongAdder bytes = new LongAdder();
  private final LongAdder dropped = new LongAdder();
  private volatile int vm;

  /// The disk of a VM.
  ///
  /// @param vm the VM's number in access records
  /// @param name the VM's name
  public Disk(
      int vm, String name, BlockSpace space, BlockStager stager, AccessRing ring, Clock clock) {
    this.vm = vm;
    this.name = name;
    this.space = space;
    this.stager = stager;
    this.ring = ring;
    this.clock = clock;
  }

  /// Reads what is here into the buffer's `length` bytes from its position on. No lock, no wait, no
  /// allocation, unless a block turns out to be corrupt.
  ///
  /// @param offset of a range that lies within the image
  /// @return false, with the buffer as it was, if not all of it is here; [#readLater] then gets it
  public boolean readNow(long offset, int length, ByteBuffer into, VerifiedReader reader) {
    long now = clock.nanos();
    int first = (int) (offset / TierFile.EXTENT_BYTES);
    int last = (int) ((offset + length - 1) / TierFile.EXTENT_BYTES);
    if (!space.holds(first, last - first + 1) || !space.refusal().isEmpty()) {
      return false;
    }
    int position = into.position();
    int limit = into.limit();
    int extent = first;
    while (extent <= last) {
      // What is just moving from one tier to another is found by the slower way.
      Shelf shelf = space.shelfOf(extent);
      int next = shelf == null ? extent : runEnd(shelf.file(), extent, last);
      int bad = shelf == null ? -1 : copy(shelf.file(), offset, length, extent, next, into, reader);
      if (shelf == null || bad >= 0) {
        into.limit(limit).position(position);
        if (shelf != null) {
          stager.suspect(space, shelf, bad, reader);
        }
        return false;
      }
      shelf.tier().served();
      for (; extent < next; extent++) {
        use(shelf.file(), extent, now);
      }
    }
    into.limit(limit);
    reads.increment();
    bytes.add(length);
    record(offset, length, now, false, clock.nanos() - now);
    return true;
  }

  /// Where the extents that lie in the same file as one end, at most behind `last`.
  private static int runEnd(TierFile file, int extent, int last) {
    int end = extent + 1;
    while (end <= last && file.resident.get(end)) {
      end++;
    }
    return end;
  }

  /// Copies what a read wants of some extents of a file; see [VerifiedReader#read].
  private static int copy(
      TierFile file,
      long offset,
      int length,
      int first,
      int end,
      ByteBuffer into,
      VerifiedReader reader) {
    long from = Math.max(offset, (long) first * TierFile.EXTENT_BYTES);
    long to = Math.min(offset + length, (long) end * TierFile.EXTENT_BYTES);
    into.limit(into.position() + (int) (to - from));
    return reader.read(file, from, into);
  }

  private void use(TierFile file, int extent, long now) {
    if (!file.referenced.get(extent)) {
      file.referenced.set(extent);
    }
    Touches touches = file.touches;
    if (touches != null) {
      touches.touch(extent, now);
    }
    if (space.pinned.get(extent)) {
      stager.demanded(space, extent, now);
    }
  }

  /// Gets a read's bytes from the tier and from the origin; returns at once. The read finishes in
  /// this thread if everything is here after all, and in another one if not.
  public void readLater(PendingRead read, VerifiedReader reader) {
    reads.increment();
    bytes.add(read.length());
    int first = (int) (read.offset() / TierFile.EXTENT_BYTES);
    int last = (int) ((read.offset() + read.length() - 1) / TierFile.EXTENT_BYTES);
    read.begin(this, last - first + 1);
    if (!space.refusal().isEmpty()) {
      read.fail(space.refusal());
      return;
    }
    var missing = new BitSet();
    missing.set(first, last + 1);
    BitSet look = missing;
    int rounds = 0;
    while (!look.isEmpty()) {
      BitSet absent = copyPresent(read, look, reader, ++rounds > PATIENCE);
      if (absent.isEmpty()) {
        return;
      }
      look = stager.join(read, space, absent);
    }
  }

  /// Copies what can be read now; what cannot is returned.
  private BitSet copyPresent(
      PendingRead read, BitSet look, VerifiedReader reader, boolean impatient) {
    var absent = new BitSet();
    int arrived = 0;
    for (int extent = look.nextSetBit(0); extent >= 0; extent = look.nextSetBit(extent + 1)) {
      ByteBuffer part = read.part(extent);
      int bad = -1;
      Shelf shelf = space.shelfOf(extent);
      if (shelf != null) {
        long from = Math.max(read.offset(), (long) extent * TierFile.EXTENT_BYTES);
        bad = reader.read(shelf.file(), from, part);
      }
      if (shelf != null && bad < 0) {
        shelf.tier().served();
        use(shelf.file(), extent, read.arrivedNanos());
        arrived++;
      } else {
        absent.set(extent);
        if (shelf != null && impatient) {
          stager.expel(space, shelf, extent);
        } else if (shelf != null) {
          stager.suspect(space, shelf, extent, reader);
        }
      }
    }
    if (arrived > 0) {
      stager.arrived(read, arrived);
    }
    return absent;
  }

  /// A read has to wait for an origin; called by the read itself.
  void waits(PendingRead read) {
    waits.increment();
    record(read.offset(), read.length(), read.arrivedNanos(), true, Access.PENDING);
  }

  /// A read is over; called by the read itself.
  void answered(PendingRead read) {
    record(
        read.offset(),
        read.length(),
        read.arrivedNanos(),
        read.isWaiting(),
        clock.nanos() - read.arrivedNanos());
  }

  private void record(long offset, int length, long arrived, boolean waited, long latency) {
    if (!ring.offer(
        vm, space.id(), offset, length, arrived, AccessType.READ, Cause.DEMAND, waited, latency)) {
      dropped.increment();
    }
  }

  /// The VM's name, and so the export's.
  public String name() {
    return name;
  }

  /// The VM's number in access records.
  public int vm() {
    return vm;
  }

  /// A control plane has numbered the VM anew.
  public void renumber(int newVm) {
    vm = newVm;
  }

  /// The image.
  public BlockSpace space() {
    return space;
  }

  /// Whether reads fail because the image is no longer what it was.
  public boolean isRefused() {
    return !space.refusal().isEmpty();
  }

  /// The disk's size.
  public long sizeBytes() {
    return space.sizeBytes();
  }

  /// How many reads the VM has asked for.
  public long reads() {
    return reads.sum();
  }

  /// How many of them had to wait for an origin.
  public long waits() {
    return waits.sum();
  }

  /// How many bytes they asked for.
  public long bytes() {
    return bytes.sum();
  }

  /// How many of its accesses the control plane was not told of.
  public long dropped() {
    return dropped.sum();
  }
}
