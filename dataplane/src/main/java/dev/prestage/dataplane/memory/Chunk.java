package dev.prestage.dataplane.memory;

import java.lang.foreign.MemorySegment;

/// What was read for a lease and waits to be filled in.
///
/// @param bytes the pages of the lease's whole range, in a buffer that goes back to
///   [Staging#giveBack(Chunk)]
record Chunk(Staging.Live live, MemorySegment bytes) {}
