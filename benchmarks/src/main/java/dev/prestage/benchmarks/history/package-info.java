/// What history costs: `prestage bench history`.
@NullMarked
package dev.prestage.benchmarks.history;

import org.jspecify.annotations.NullMarked;
