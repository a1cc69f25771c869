/// What a VM touches, and who touches it: resources, the spaces they lie in, programs and VMs.
///
/// Immutable values only; safe to share between threads.
@NullMarked
package dev.prestage.engine.resource;

import org.jspecify.annotations.NullMarked;
