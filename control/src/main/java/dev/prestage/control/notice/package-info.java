/// Spreads notices to whoever listens. A listener that does not keep up is cut off, never waited
/// for.
@NullMarked
package dev.prestage.control.notice;

import org.jspecify.annotations.NullMarked;
