/// Memory of VMs that were restored from snapshots: a page that is missing is filled from the
/// snapshot when it is touched, and one that was forecast before that.
///
/// [dev.prestage.dataplane.memory.MemoryEdge] is the edge, an
/// [dev.prestage.dataplane.memory.Endpoint] one binding's unix socket, a
/// [dev.prestage.dataplane.memory.PageServer] one restored VM for as long as it lives, and
/// [dev.prestage.dataplane.memory.Staging] carries out leases. The unit is a page of 4 KiB of the
/// snapshot's file. The protocol is Firecracker's: one message with a JSON array of
/// [dev.prestage.dataplane.memory.Regions] and a `userfaultfd`, and nothing more.
///
/// A [dev.prestage.dataplane.memory.MappedFile] is a binding to a file that the VM manager maps by
/// itself: it is read into the page cache, and a thread of its own looks every 20 ms which pages
/// came there.
///
/// Threading: one platform thread for each binding waits for its VM, then serves its faults. That
/// thread alone fills pages and knows which are there, so that a page is never filled after it was
/// removed; it fills what was staged only while no fault waits. Two platform threads read what is
/// to be staged, and 16 where the snapshot is far. One lock guards leases; it is held for work in
/// memory only. No memory of a VM and no mapped file is ever read from Java code. Owns the sockets,
/// the descriptors that VMs hand over and the snapshots' files.
///
/// Never fills a page with bytes that are not the snapshot's: while that cannot be read, the guest
/// waits and people are told.
@NullMarked
package dev.prestage.dataplane.memory;

import org.jspecify.annotations.NullMarked;
