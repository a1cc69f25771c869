/// How much of something will be asked for in the next window of time, as a quantile.
///
/// A program's runs say what is needed after its start ([dev.prestage.engine.predict]); this says
/// it for what comes by itself: bursts that repeat, that last, or that a time of day brings.
@NullMarked
package dev.prestage.engine.predict.amount;

import org.jspecify.annotations.NullMarked;
