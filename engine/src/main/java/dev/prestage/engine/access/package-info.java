/// One touch of one resource, and how the staging of a resource ended.
///
/// [dev.prestage.engine.access.StagingOutcome] is the feedback event: `stage` publishes it,
/// `predict` and `allocate` listen, and it lives here so that no arrow points back. Immutable
/// values only.
@NullMarked
package dev.prestage.engine.access;

import org.jspecify.annotations.NullMarked;
