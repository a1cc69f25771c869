@NullMarked
package dev.prestage.dataplane.bandwidth;

import org.jspecify.annotations.NullMarked;
