/// Networks for forecasters are trained by a process of its own, from what history holds.
@NullMarked
package dev.prestage.control.train;

import org.jspecify.annotations.NullMarked;
