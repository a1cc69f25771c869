package dev.prestage.simulator.policy;

import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.trace.Trace;

/// Where a policy is to work.
///
/// @param capacityPages of a host's cache
/// @param lead requests until a fetched page is usable; 0 in closed loop, where time decides
/// @param thresholds the product's
/// @param limits the product's, for one host
public record Place(
    Trace trace, int capacityPages, int lead, Thresholds thresholds, Limits limits) {}
