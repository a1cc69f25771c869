/// The closed set of requests that a VM manager can make, shared by every front end. HTTP only
/// translates.
///
/// Immutable values and one port, [dev.prestage.control.command.Commands], which any thread may
/// call and which waits for the answer. Nothing here decides; what cannot be done ends in a
/// [dev.prestage.control.command.Refusal] whose message is the user's.
@NullMarked
package dev.prestage.control.command;

import org.jspecify.annotations.NullMarked;
