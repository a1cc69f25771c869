package dev.prestage.dataplane.memory;

import java.util.concurrent.atomic.LongAdder;

/// What happened at one endpoint since this data plane began.
///
/// @param faults pages that a guest waited for
/// @param zeroFaults touches of removed pages, and of pages that came meanwhile
/// @param staged pages that were filled before they were touched
/// @param failures attempts to fill a page that failed
/// @param dropped accesses that the control plane will not hear of
record Counts(
    LongAdder faults,
    LongAdder zeroFaults,
    LongAdder staged,
    LongAdder failures,
    LongAdder dropped) {
  Counts() {
    this(new LongAdder(), new LongAdder(), new LongAdder(), new LongAdder(), new LongAdder());
  }
}
