/// The peers: what others do in place of our forecaster, each one small class behind the same
/// interface.
///
/// They are here to be compared with, in one run, on the same host or in the simulator; the product
/// uses one only where `predict.forecaster` names it. Confined to one thread, as every forecaster.
/// They keep nothing over a restart.
@NullMarked
package dev.prestage.simulator.policy;

import org.jspecify.annotations.NullMarked;
