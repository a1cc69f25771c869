/// Connections of guests to upstreams, such as databases: each binding has a listener on this host
/// that relays to its upstream, and a connection that was forecast is open before the guest asks.
///
/// [dev.prestage.dataplane.network.NetworkEdge] is the edge, an
/// [dev.prestage.dataplane.network.Endpoint] one binding's listener, a
/// [dev.prestage.dataplane.network.Relay] one guest's connection after its first answer; the
/// [dev.prestage.dataplane.network.Reserve] carries out leases. The unit is a level: unit `j` of an
/// upstream is the `j`-th connection that a guest has open at once.
///
/// Threading: one platform thread, the [dev.prestage.dataplane.network.Loop], accepts guests,
/// connects them and passes on what is said up to the first answer; then two virtual threads per
/// connection relay. One virtual thread per connection that is being opened ahead. One lock guards
/// levels and leases; it is held for work in memory and for calls that never block. Names are
/// resolved on platform threads, because the resolver's call would hold a carrier. Owns the
/// listeners, the guests' connections and those to upstreams.
///
/// Does nothing ahead without a lease, and says nothing on a connection that is ahead: no TLS, no
/// login. A forecast that fails costs its guest nothing but the wait that it would have had anyway.
@NullMarked
package dev.prestage.dataplane.network;

import org.jspecify.annotations.NullMarked;
