/// One touch of one resource, and how the staging of a resource ended.
///
/// [dev.prestage.engine.access.Feedback] tells how each unit of a
/// [dev.prestage.engine.access.Lease] ended: `allocate` publishes it and `predict` listens, and
/// both live here so that no arrow points back. Immutable values only.
@NullMarked
package dev.prestage.engine.access;

import org.jspecify.annotations.NullMarked;
