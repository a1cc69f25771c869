/// The data plane: serves what guests demand, and executes the plans of a control plane if there is
/// one. Alone, it serves for ever.
@NullMarked
package dev.prestage.dataplane;

import org.jspecify.annotations.NullMarked;
