/// An edge of levels, as token buckets would be one: for tests of what is the same for all edges.
@NullMarked
package dev.prestage.dataplane.levels;

import org.jspecify.annotations.NullMarked;
