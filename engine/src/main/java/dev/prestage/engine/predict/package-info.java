/// What will be touched next, with which probability, and when it is due.
///
/// One [dev.prestage.engine.predict.Forecaster] per tenant, program and resource type, shared by
/// all copies; one cursor per running copy. A forecaster stays silent about programs it has not
/// seen.
@NullMarked
package dev.prestage.engine.predict;

import org.jspecify.annotations.NullMarked;
