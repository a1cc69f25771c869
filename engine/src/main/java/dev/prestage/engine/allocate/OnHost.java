package dev.prestage.engine.allocate;

/// How much of a working set is on this host, and what bringing the rest would take.
///
/// @param units that are expected, of content that somebody here is bound to
/// @param here of these, on this host
/// @param bytes of the units
/// @param bytesHere of those on this host
/// @param unknown further units, of content that nobody here is bound to: whether a tier holds them
///   is not told
/// @param seconds for what is missing or unknown, at the rate and latency that were measured last;
///   nothing if nothing is
public record OnHost(
    int units, int here, long bytes, long bytesHere, int unknown, double seconds) {}
