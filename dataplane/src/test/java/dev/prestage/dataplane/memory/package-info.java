/// A VM manager for tests, in C, and what drives it.
@NullMarked
package dev.prestage.dataplane.memory;

import org.jspecify.annotations.NullMarked;
