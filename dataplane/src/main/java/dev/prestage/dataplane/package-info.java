/// The data plane: serves what guests demand, and executes the plans of a control plane if there is
/// one. [dev.prestage.dataplane.DataPlane] wires it.
///
/// Each type of resource has an [dev.prestage.dataplane.edge.Edge]; the only one so far is
/// [dev.prestage.dataplane.BlockEdge], disks over NBD.
///
/// Alone, it serves for ever: it remembers its attachments, and nothing in it waits for the control
/// plane. Plans and registrations come over the link; accesses, lease states and counters go back
/// from a bounded ring, and what does not fit is dropped and counted.
///
/// Threading: demand threads (`nbd`) look at residency, serve or join a fetch, and put the access
/// into the ring; fetch threads (`block`) move bytes; one thread sends to the control plane, one
/// receives. Owns the state directory, with a lock that keeps a second data plane out.
///
/// Does nothing by itself: without leases it is a cache in front of the origins.
@NullMarked
package dev.prestage.dataplane;

import org.jspecify.annotations.NullMarked;
