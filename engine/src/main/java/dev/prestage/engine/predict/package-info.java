/// What will be touched next, with which probability, and when it is due.
///
/// One [dev.prestage.engine.predict.Forecaster] per tenant, program and resource type, shared by
/// all copies; one cursor per running copy. Confined to the engine thread. Owns what was learnt,
/// bounded in size, and writes it in a versioned format ([dev.prestage.engine.predict.ModelFile]).
///
/// A forecaster says little about programs that it has not seen: neighbours of what they touch, and
/// what others touched of the same spaces. Asking for a forecast changes nothing; what a cursor
/// proposes is remembered, so that it can be learnt from.
@NullMarked
package dev.prestage.engine.predict;

import org.jspecify.annotations.NullMarked;
