/// Trains the neural half of a forecaster: a corpus of requests in, a network out. The only process
/// that loads PyTorch.
@NullMarked
package dev.prestage.trainer;

import org.jspecify.annotations.NullMarked;
