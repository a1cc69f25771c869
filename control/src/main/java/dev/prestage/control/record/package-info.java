/// History on QuestDB, embedded in the control plane.
///
/// One writer thread behind a bounded queue: a slow or broken database means lost history and a
/// loud health state, never a slow guest.
@NullMarked
package dev.prestage.control.record;

import org.jspecify.annotations.NullMarked;
