package dev.prestage.dataplane.nbd;

/// What clients can make the server hold.
///
/// @param connections at the same time; further ones are turned away. 256 are 64 VMs of 4
///   connections each, and as many threads
/// @param requestsInFlight reads per connection that may wait for an origin; when there are more
///   the server stops reading from that connection. 128 is the queue depth of virtio-blk
/// @param bytesInFlight what those reads may hold per connection: 64 MiB are two of the largest
///   requests
public record NbdLimits(int connections, int requestsInFlight, long bytesInFlight) {
  /// What suits a host.
  public static final NbdLimits DEFAULT = new NbdLimits(256, 128, 64L << 20);
}
