package dev.prestage.dataplane.nbd;

import java.time.Duration;

/// What clients can make the server hold.
///
/// @param connections at the same time; further ones are turned away. 256 are 64 VMs of 4
///   connections each, and as many threads
/// @param requestsInFlight reads per connection that may wait for an origin; when there are more
///   the server stops reading from that connection. 128 is the queue depth of virtio-blk
/// @param bytesInFlight what those reads may hold per connection: 64 MiB are two of the largest
///   requests
/// @param bytesInAll what the reads of all connections together may hold; not less than the largest
///   request, 32 MiB. 96 MiB leave the data plane's heap room for everything else
/// @param patience when `bytesInAll` is used up, a client that has taken nothing of its replies for
///   this long is turned out for the others. A guest that is paused that long must connect again
public record NbdLimits(
    int connections, int requestsInFlight, long bytesInFlight, long bytesInAll, Duration patience) {
  /// What suits a host.
  public static final NbdLimits DEFAULT =
      new NbdLimits(256, 128, 64L << 20, 96L << 20, Duration.ofSeconds(10));
}
