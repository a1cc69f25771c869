/// The peers: what others do in place of our forecaster, each one small class behind the same
/// interface.
///
/// They are here to be compared with, in one run, on the same host or in the simulator; the product
/// does not use them.
@NullMarked
package dev.prestage.simulator.policy;

import org.jspecify.annotations.NullMarked;
