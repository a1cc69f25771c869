/// The neural half of the forecaster: a recurrent network over the requests of a program, trained
/// elsewhere and only run here.
@NullMarked
package dev.prestage.engine.predict.neural;

import org.jspecify.annotations.NullMarked;
