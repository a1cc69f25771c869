/// The closed set of requests that a VM manager can make, shared by every front end. HTTP only
/// translates.
@NullMarked
package dev.prestage.control.command;

import org.jspecify.annotations.NullMarked;
