/// The models of this host's programs: one file each, loaded at the first question, kept after each
/// learnt run.
@NullMarked
package dev.prestage.control.model;

import org.jspecify.annotations.NullMarked;
