/// Caches without prefetch, each after its paper: what replacement alone can do.
///
/// Confined to one thread.
@NullMarked
package dev.prestage.simulator.cache;

import org.jspecify.annotations.NullMarked;
