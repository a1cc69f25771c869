/// The connections' demo and gate: a service whose database and cache are a delayed link away, with
/// its connections opened by itself, by a pool, and ahead by Prestage.
///
/// All of it runs in a network of its own ([dev.prestage.benchmarks.network.OwnNetwork]), which
/// nobody else sees and which needs no root. Threading: virtual threads for the service and its
/// upstreams, two platform threads for the link. Owns the hosts that it starts.
@NullMarked
package dev.prestage.benchmarks.network;

import org.jspecify.annotations.NullMarked;
