/// A burst on a link that others fill: what it gets without a promise, with one that a rule makes
/// once it is seen, and with one that was forecast.
@NullMarked
package dev.prestage.benchmarks.bandwidth;

import org.jspecify.annotations.NullMarked;
