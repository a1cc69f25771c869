/// I/O bandwidth of the links to origins: who may read next, what of a link is promised to whom,
/// and how much of it each VM asks for.
///
/// [dev.prestage.dataplane.bandwidth.TokenTree] decides, in arithmetic of nanoseconds.
/// [dev.prestage.dataplane.bandwidth.Link] is one link with its VMs, asked by the fetches of the
/// block package. [dev.prestage.dataplane.bandwidth.BandwidthEdge] is the edge: bindings, leases
/// and accesses. One lock guards all of it; nobody waits for anything while having it.
///
/// A link without bindings is not scheduled: nothing here is asked, and nothing waits.
@NullMarked
package dev.prestage.dataplane.bandwidth;

import org.jspecify.annotations.NullMarked;
