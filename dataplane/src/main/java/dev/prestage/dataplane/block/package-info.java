/// The bytes of disk images on this host: where they come from, where they are kept, and who brings
/// them.
///
/// [dev.prestage.dataplane.block.Origin] is far and read-only, a
/// [dev.prestage.dataplane.block.Tier] is near and can be lost at any moment without loss of data,
/// [dev.prestage.dataplane.block.BlockStager] moves extents from one to the other for demand and
/// for leases, and [dev.prestage.dataplane.block.Disk] is what one VM sees of it.
///
/// Threading: reads of what is here run in the caller's thread and take no lock; each origin has a
/// bounded pool of threads that fetch; one timer thread retries, gives up and abandons. Owns the
/// tier's files and the open images.
///
/// Limits: what an origin delivers is believed, there is nothing to compare it with; an image must
/// not be written to in place while a VM is attached; extents are 64 KiB and are fetched whole.
///
/// Does nothing by itself unless it is told to fill: without leases it fetches what is demanded and
/// keeps it while there is room; with a full or broken tier it serves from the origin and keeps
/// nothing.
@NullMarked
package dev.prestage.dataplane.block;

import org.jspecify.annotations.NullMarked;
