/// What will be touched next, with which probability, and when it is due.
///
/// One [dev.prestage.engine.predict.Forecaster] per tenant, program and resource type, shared by
/// all copies; one cursor per running copy. Confined to the engine thread. Owns what was learnt,
/// bounded in size, and writes it in a versioned format ([dev.prestage.engine.predict.ModelFile]).
///
/// A forecaster stays silent about programs it has not seen, and asking one changes nothing.
@NullMarked
package dev.prestage.engine.predict;

import org.jspecify.annotations.NullMarked;
