/// The models of this host's programs: one file each, loaded at the first question, kept after each
/// learnt run, and what was counted over all of a tenant's, a file for each type of resource.
///
/// Asked and told on the engine thread; files are written by one thread of its own, the latest
/// state only. Owns the folder of models. A file that cannot be used is moved aside and said, and
/// what it held is learnt anew; one that cannot be written is said and written again after the next
/// run.
@NullMarked
package dev.prestage.control.model;

import org.jspecify.annotations.NullMarked;
