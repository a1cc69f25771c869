package dev.prestage.dataplane.block;

import java.time.Duration;
import java.util.Set;

/// How hard origins are worked, for how long they are waited for, and what is kept of them.
///
/// @param stagingFetches how many fetches for leases one origin gets at the same time. 32 small
///   fetches on a link 10 ms away move 200 MB/s; what is in flight is further bounded by bytes
///   ([StagingWindow])
/// @param demandFetches how many more there may be for demand alone, which may use the others, too.
///   8 requests at a time are what the virtual disk of one guest usually has under way
/// @param readDeadline after this long a waiting read is answered with an error. 30 s is what Linux
///   gives a disk before it resets it, so the guest hears of it before it gives up by itself
/// @param attemptDeadline after this long a fetch counts as hung; what demand wants of it is
///   fetched anew. A third of the read's deadline leaves room for two more attempts
/// @param fill how the rest of images is brought
/// @param evictedLast names of images whose extents make room after all others
public record BlockOptions(
    int stagingFetches,
    int demandFetches,
    Duration readDeadline,
    Duration attemptDeadline,
    FillOptions fill,
    Set<String> evictedLast) {
  /// What suits a host.
  public static final BlockOptions DEFAULT =
      new BlockOptions(32, 8, Duration.ofSeconds(30), Duration.ofSeconds(10));

  /// No image goes last.
  public BlockOptions(
      int stagingFetches,
      int demandFetches,
      Duration readDeadline,
      Duration attemptDeadline,
      FillOptions fill) {
    this(stagingFetches, demandFetches, readDeadline, attemptDeadline, fill, Set.of());
  }

  /// Without fill.
  public BlockOptions(
      int stagingFetches, int demandFetches, Duration readDeadline, Duration attemptDeadline) {
    this(stagingFetches, demandFetches, readDeadline, attemptDeadline, FillOptions.OFF);
  }
}
