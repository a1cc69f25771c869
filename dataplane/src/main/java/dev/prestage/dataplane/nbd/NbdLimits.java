package dev.prestage.dataplane.nbd;

import java.time.Duration;

/// What clients can make the server hold.
///
/// @param connections at the same time; further ones are turned away. 256 are 64 VMs of 4
///   connections each, and as many threads
/// @param requestsInFlight reads per connection that may wait for an origin; when there are more
///   the server stops reading from that connection. 128 is the queue depth of virtio-blk
/// @param bytesInFlight what those reads may hold per connection: 32 MiB are the largest request
/// @param bytesPerVm what the reads of one VM's connections may hold together: half of all, so that
///   no VM can hold everything
/// @param bytesInAll what the reads of all connections together may hold; not less than the largest
///   request, 32 MiB. 96 MiB leave the data plane's heap room for everything else
/// @param leastBytesPerSecond when a read waits for memory, a client that owes the server's replies
///   a slower pace than this is turned out for the others. At 2 MiB/s the largest request is taken
///   in 16 s, within half of a guest's deadline, and 100 Mbit/s carry five such clients
/// @param patience how long a client may take nothing before it counts as slow; one that takes half
///   of the least pace counts as slow after twice as long. A guest that is paused that long while
///   others wait must connect again
/// @param readDeadline how long a read may wait for the memory of its reply before it fails; the
///   time counts against its deadline at the origin, too
public record NbdLimits(
    int connections,
    int requestsInFlight,
    long bytesInFlight,
    long bytesPerVm,
    long bytesInAll,
    long leastBytesPerSecond,
    Duration patience,
    Duration readDeadline) {
  private static final Duration LONGEST_PATIENCE = Duration.ofSeconds(10);

  /// What suits a host.
  public static final NbdLimits DEFAULT = of(256, Duration.ofSeconds(30));

  /// The defaults for so many connections, and reads that may wait for so long. Slow clients are
  /// turned out after a third of that at the latest, in time for those who wait.
  public static NbdLimits of(int connections, Duration readDeadline) {
    Duration third = readDeadline.dividedBy(3);
    return new NbdLimits(
        connections,
        128,
        32L << 20,
        48L << 20,
        96L << 20,
        2L << 20,
        third.compareTo(LONGEST_PATIENCE) < 0 ? third : LONGEST_PATIENCE,
        readDeadline);
  }
}
