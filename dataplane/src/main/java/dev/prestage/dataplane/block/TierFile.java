package dev.prestage.dataplane.block;

import dev.prestage.engine.resource.Shape;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/// The extents of one image that lie in a tier: a sparse data file in which each extent has its
/// place, and a map of checksums that says which are there.
///
/// The map is `header (4 KiB), entry (64 bytes) per extent`; the header is `magic u64, version u32,
/// extent bytes u32, image size u64, modified u64, changed u64, inode u64, CRC32C u32`, without
/// changed and inode in version 1; an entry is the CRC32C of each 4 KiB block, and all zeros where
/// the extent is absent.
///
/// **Why no write needs to be synced.** No byte leaves without [VerifiedReader] having compared the
/// block with its checksum. Whatever subset of the writes a crash leaves behind, a block either
/// matches, and then is the image's, or does not, and then is fetched again. Only one order
/// matters: entries of an older version of the image are gone for good before the header names the
/// new one ([#discard]).
///
/// **Threads.** Readers look at bits and checksums without a lock; a block that is replaced under
/// their hands fails to verify and is looked at again. Whoever writes or drops an extent holds its
/// stripe's lock during the I/O; readers take it only to judge a mismatch.
final class TierFile implements AutoCloseable {
  /// What one checksum covers, and so the least that is read: the block size of guests' file
  /// systems. 4 bytes for 4 KiB is 0.1 % of the tier, and verifying takes about 0.4 us.
  static final int BLOCK_BYTES = 4096;

  static final int EXTENT_BYTES = Shape.BLOCK_BYTES;
  static final int BLOCKS_PER_EXTENT = EXTENT_BYTES / BLOCK_BYTES;

  /// 2^27 extents are 8 TiB, the largest image whose residency fits one frame of the link.
  static final int MAX_EXTENTS = 1 << 27;

  private static final Logger LOG = System.getLogger(TierFile.class.getName());

  static final String DATA = ".data";
  static final String MAP = ".map";
  private static final long MAGIC = 0x50_52_45_53_54_4d_41_50L; // PRESTMAP
  private static final int VERSION = 2;
  private static final int HEADER_BYTES = 4096;
  private static final int HEADER_FIELDS_BYTES = 48;
  private static final int HEADER_FIELDS_BYTES_V1 = 32;
  private static final int ENTRY_BYTES = BLOCKS_PER_EXTENT * Integer.BYTES;
  private static final int[] NO_SUMS = {};

  // Checksums lie in chunks that exist once an extent of theirs has been here: 64 KiB of checksums
  // for 64 MiB of image.
  private static final int CHUNK_EXTENTS = 1024;

  // Runs of 16 extents (1 MiB, the largest fetch) share a lock, so that a fetch takes at most two.
  private static final int STRIPES = 64;
  private static final int EXTENTS_PER_STRIPE = 16;

  /// How late extents make room: after all of files that are less reluctant.
  enum Reluctance {
    NONE,
    /// Of an image all of which is on this host.
    COMPLETE,
    /// Of an image that the operator wants to keep.
    LAST
  }

  /// Extents that are here.
  final AtomicBits resident;

  /// Extents that a fetch is writing, or has written and not put into [#resident] yet.
  final AtomicBits arriving;

  /// Extents that were read since the eviction last looked: see [Eviction].
  final AtomicBits referenced;

  /// Extents that may not be evicted: staged for a live lease and not demanded yet. The files of
  /// one image in several tiers share them.
  volatile AtomicBits pinned;

  /// Whether all of its image is on this host.
  volatile boolean isComplete;

  /// Whether its image is one of those that go last.
  volatile boolean isEvictedLast;

  /// What the tier's eviction remembers of its extents; guarded by the tier's lock.
  final Eviction.Marks marks = new Eviction.Marks();

  /// How often its extents are touched; null where there is no other tier to move them to.
  volatile @Nullable Touches touches;

  private final String name;
  private volatile Image.Identity identity;
  private final int extents;
  private final Storage.File data;
  private final Storage.File map;
  private final int[][] sums;
  private final ReentrantLock[] stripes = new ReentrantLock[STRIPES];

  private TierFile(String name, Image.Identity identity, Storage.File data, Storage.File map) {
    this.name = name;
    this.identity = identity;
    this.extents = extentsOf(identity);
    this.data = data;
    this.map = map;
    this.resident = new AtomicBits(extents);
    this.referenced = new AtomicBits(extents);
    this.arriving = new AtomicBits(extents);
    this.pinned = new AtomicBits(extents);
    this.sums = new int[(extents + CHUNK_EXTENTS - 1) / CHUNK_EXTENTS][];
    Arrays.fill(sums, NO_SUMS);
    Arrays.setAll(stripes, _ -> new ReentrantLock());
  }

  Reluctance reluctance() {
    return isEvictedLast ? Reluctance.LAST : isComplete ? Reluctance.COMPLETE : Reluctance.NONE;
  }

  private static int extentsOf(Image.Identity identity) {
    return Math.toIntExact((identity.sizeBytes() + EXTENT_BYTES - 1) / EXTENT_BYTES);
  }

  /// Opens what the tier has of an image, or begins anew if that is of another version of it.
  ///
  /// @param name the file's name without its ending
  /// @throws IOException if the image is too large, the files cannot be used, or a newer version of
  ///   this program wrote them
  static TierFile open(Storage storage, String name, Image.Identity identity) throws IOException {
    if (identity.sizeBytes() > (long) MAX_EXTENTS * EXTENT_BYTES) {
      throw new IOException(
          "image of " + identity.sizeBytes() + " bytes: at most 8 TiB can be served");
    }
    Storage.File map = storage.open(name + MAP);
    try {
      Image.Identity found = identityIn(map, storage.describe(name + MAP));
      Storage.File data = storage.open(name + DATA);
      try {
        var file = new TierFile(name, identity, data, map);
        if (identity.equals(found)) {
          file.load();
        } else {
          if (found != null) {
            LOG.log(Level.INFO, "{0}: the image has changed at its origin, starting anew", name);
          }
          file.discard();
        }
        return file;
      } catch (IOException | RuntimeException e) {
        data.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      map.close();
      throw e;
    }
  }

  /// Opens what the tier has of an image that nobody has asked for yet, so that it counts and can
  /// be evicted; null if there is nothing usable. Files without use are removed: what nobody counts
  /// would fill the disk.
  static @Nullable TierFile openExisting(Storage storage, String name) throws IOException {
    Image.Identity found;
    try (Storage.File map = storage.open(name + MAP)) {
      found = identityIn(map, storage.describe(name + MAP));
    }
    if (found == null) {
      delete(storage, name);
      return null;
    }
    return open(storage, name, found);
  }

  /// Removes both files of an image; nobody has them open.
  static void delete(Storage storage, String name) throws IOException {
    storage.delete(name + MAP);
    storage.delete(name + DATA);
  }

  /// Whose extents the map holds, or null if it holds nothing that can be trusted.
  private static Image.@Nullable Identity identityIn(Storage.File map, String path)
      throws IOException {
    ByteBuffer header = ByteBuffer.allocate(HEADER_FIELDS_BYTES + Integer.BYTES);
    map.read(header, 0);
    header.clear();
    if (header.getLong() != MAGIC) {
      return null;
    }
    int version = header.getInt();
    if (version > VERSION) {
      throw new IOException(
          path
              + " has format "
              + version
              + " and was written by a newer Prestage; this one reads up to "
              + VERSION
              + ": use the newer one, or remove the file and its .data to fetch anew");
    }
    int extentBytes = header.getInt();
    boolean first = version == 1;
    var identity =
        new Image.Identity(
            header.getLong(),
            header.getLong(),
            first ? 0 : header.getLong(),
            first ? 0 : header.getLong());
    int fields = first ? HEADER_FIELDS_BYTES_V1 : HEADER_FIELDS_BYTES;
    boolean sound =
        header.getInt() == crcOf(header.slice(0, fields))
            && extentBytes == EXTENT_BYTES
            && identity.sizeBytes() > 0
            && identity.sizeBytes() <= (long) MAX_EXTENTS * EXTENT_BYTES;
    return sound ? identity : null;
  }

  private static int crcOf(ByteBuffer bytes) {
    var crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  private void load() throws IOException {
    loadMap();
    // A map that was cut short names fewer extents than have bytes, which nobody would count.
    BitSet bits = resident.toBitSet();
    long dataBytes = data.sizeBytes();
    int from = bits.nextClearBit(0);
    while ((long) from * EXTENT_BYTES < dataBytes) {
      int next = bits.nextSetBit(from);
      long end = next < 0 ? dataBytes : (long) next * EXTENT_BYTES;
      data.punch((long) from * EXTENT_BYTES, end - (long) from * EXTENT_BYTES);
      from = next < 0 ? extents : bits.nextClearBit(next);
    }
  }

  private void loadMap() throws IOException {
    ByteBuffer entries = ByteBuffer.allocate(CHUNK_EXTENTS * ENTRY_BYTES);
    for (int first = 0; first < extents; first += CHUNK_EXTENTS) {
      int count = Math.min(CHUNK_EXTENTS, extents - first);
      entries.clear().limit(count * ENTRY_BYTES);
      Arrays.fill(entries.array(), (byte) 0);
      map.read(entries, entryOffset(first));
      entries.clear();
      for (int extent = first; extent < first + count; extent++) {
        int at = (extent - first) * ENTRY_BYTES;
        if (isPresent(entries, at)) {
          entries.position(at);
          readSums(entries, extent);
          resident.set(extent);
        }
      }
    }
  }

  private static boolean isPresent(ByteBuffer entries, int at) {
    for (int i = 0; i < ENTRY_BYTES; i += Long.BYTES) {
      if (entries.getLong(at + i) != 0) {
        return true;
      }
    }
    return false;
  }

  private void readSums(ByteBuffer entry, int extent) {
    int[] chunk = chunkOf(extent);
    int at = sumIndex(extent);
    for (int i = 0; i < BLOCKS_PER_EXTENT; i++) {
      chunk[at + i] = entry.getInt();
    }
  }

  /// Forgets everything. After it returns no entry of another version of the image can come back,
  /// whatever a crash does, and only then is the header written.
  private void discard() throws IOException {
    map.truncate(0);
    map.force();
    data.truncate(0);
    writeHeader();
  }

  /// The same bytes have another identity from now on. A crash leaves the old header, the new one,
  /// or one that is not sound, and then everything is fetched again.
  void adopt(Image.Identity other) throws IOException {
    identity = other;
    writeHeader();
  }

  private void writeHeader() throws IOException {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
    header.putLong(MAGIC).putInt(VERSION).putInt(EXTENT_BYTES);
    header.putLong(identity.sizeBytes()).putLong(identity.modifiedNanos());
    header.putLong(identity.changedNanos()).putLong(identity.inode());
    header.putInt(crcOf(header.slice(0, HEADER_FIELDS_BYTES)));
    map.write(header.clear(), 0);
  }

  /// Whether bytes are those that were kept of an extent, as far as checksums tell. Means something
  /// only while the extent is resident.
  ///
  /// @param bytes the extent's, whole; its position is moved
  boolean matches(int extent, ByteBuffer bytes) {
    var crc = new CRC32C();
    int end = bytes.limit();
    boolean alike = true;
    for (int block = 0; bytes.position() < end; block++) {
      crc.reset();
      crc.update(bytes.limit(Math.min(bytes.position() + BLOCK_BYTES, end)));
      alike &= (int) crc.getValue() == sumOf((long) extent * BLOCKS_PER_EXTENT + block);
    }
    return alike;
  }

  Image.Identity identity() {
    return identity;
  }

  String name() {
    return name;
  }

  int extents() {
    return extents;
  }

  /// The size of an extent; the image's last may be short.
  int bytesOf(int extent) {
    return (int) Math.min(EXTENT_BYTES, identity.sizeBytes() - (long) extent * EXTENT_BYTES);
  }

  /// The bytes of all extents that are here.
  long residentBytes() {
    BitSet bits = resident.toBitSet();
    return bytesOf(bits.cardinality(), bits.get(extents - 1));
  }

  /// The same without a look at each extent; while some come or go it may be wrong for a moment.
  long approximateResidentBytes() {
    return bytesOf(resident.cardinality(), resident.get(extents - 1));
  }

  private long bytesOf(int present, boolean hasLast) {
    long bytes = (long) present * EXTENT_BYTES;
    return hasLast ? bytes - EXTENT_BYTES + bytesOf(extents - 1) : bytes;
  }

  /// Reads without verifying; for [VerifiedReader] only.
  void readUnverified(ByteBuffer into, long offset) throws IOException {
    data.read(into, offset);
  }

  /// The checksum of a block; it means something only while the block's extent is resident.
  int sumOf(long block) {
    int extent = (int) (block / BLOCKS_PER_EXTENT);
    int[] chunk = sums[extent / CHUNK_EXTENTS];
    int at = sumIndex(extent) + (int) (block % BLOCKS_PER_EXTENT);
    return at < chunk.length ? chunk[at] : 0;
  }

  private static int sumIndex(int extent) {
    return extent % CHUNK_EXTENTS * BLOCKS_PER_EXTENT;
  }

  private int[] chunkOf(int extent) {
    synchronized (sums) {
      int at = extent / CHUNK_EXTENTS;
      if (sums[at].length == 0) {
        sums[at] = new int[CHUNK_EXTENTS * BLOCKS_PER_EXTENT];
      }
      return sums[at];
    }
  }

  /// Writes extents and their checksums. They are here once their bits in [#resident] are set,
  /// which is the caller's to do.
  ///
  /// @param bytes the extents' bytes, whole; its position is left as it was
  /// @throws IOException if not all of them could be written; none of them is here then
  void write(int first, int count, ByteBuffer bytes) throws IOException {
    int from = first;
    while (from < first + count) {
      int stripe = from / EXTENTS_PER_STRIPE;
      int to = Math.min(first + count, (stripe + 1) * EXTENTS_PER_STRIPE);
      int start = (from - first) * EXTENT_BYTES;
      int end = Math.min(bytes.remaining(), (to - first) * EXTENT_BYTES);
      ReentrantLock lock = stripes[stripe % STRIPES];
      lock.lock();
      try {
        writeLocked(from, to, bytes.slice(bytes.position() + start, end - start));
      } finally {
        lock.unlock();
      }
      from = to;
    }
  }

  private void writeLocked(int from, int to, ByteBuffer bytes) throws IOException {
    ByteBuffer entries = ByteBuffer.allocate((to - from) * ENTRY_BYTES);
    var crc = new CRC32C();
    for (int at = 0; at < bytes.capacity(); at += BLOCK_BYTES) {
      crc.reset();
      crc.update(bytes.limit(Math.min(at + BLOCK_BYTES, bytes.capacity())).position(at));
      entries.putInt((int) crc.getValue());
    }
    try {
      data.write(bytes.clear(), (long) from * EXTENT_BYTES);
      map.write(entries.clear(), entryOffset(from));
    } catch (IOException e) {
      data.punch((long) from * EXTENT_BYTES, (long) (to - from) * EXTENT_BYTES);
      throw e;
    }
    entries.clear();
    for (int extent = from; extent < to; extent++) {
      readSums(entries, extent);
    }
  }

  /// Removes an extent and gives its space back; tells whether it was here.
  boolean drop(int extent) {
    ReentrantLock lock = stripeOf(extent);
    lock.lock();
    try {
      return dropLocked(extent);
    } finally {
      lock.unlock();
    }
  }

  /// Removes an extent if its bytes are not what its checksums say; tells whether it did.
  boolean dropIfCorrupt(int extent, VerifiedReader reader) {
    ReentrantLock lock = stripeOf(extent);
    lock.lock();
    try {
      return resident.get(extent) && !reader.verifies(this, extent) && dropLocked(extent);
    } finally {
      lock.unlock();
    }
  }

  private boolean dropLocked(int extent) {
    if (!resident.clear(extent)) {
      return false;
    }
    eraseLocked(extent);
    return true;
  }

  private void eraseLocked(int extent) {
    referenced.clear(extent);
    try {
      map.write(ByteBuffer.allocate(ENTRY_BYTES), entryOffset(extent));
    } catch (IOException e) {
      // The entry then names bytes that are gone, which their checksums will tell.
      LOG.log(Level.DEBUG, "{0}: could not clear a map entry: {1}", name, e.getMessage());
    }
    data.punch((long) extent * EXTENT_BYTES, EXTENT_BYTES);
  }

  /// Gives the space back of an extent that is not here any more, or never became so; unless it is
  /// just arriving.
  void erase(int extent) {
    ReentrantLock lock = stripeOf(extent);
    lock.lock();
    try {
      if (!resident.get(extent) && !arriving.get(extent)) {
        eraseLocked(extent);
      }
    } finally {
      lock.unlock();
    }
  }

  private ReentrantLock stripeOf(int extent) {
    return stripes[extent / EXTENTS_PER_STRIPE % STRIPES];
  }

  private static long entryOffset(int extent) {
    return HEADER_BYTES + (long) extent * ENTRY_BYTES;
  }

  /// Makes everything durable, so that the next start finds it all.
  @Override
  public void close() throws IOException {
    try (map;
        data) {
      data.force();
      map.force();
    }
  }
}
