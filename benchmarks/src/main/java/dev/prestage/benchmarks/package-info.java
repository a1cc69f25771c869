/// Benchmarks that compare side by side in one run, and what their gates have in common.
@NullMarked
package dev.prestage.benchmarks;

import org.jspecify.annotations.NullMarked;
