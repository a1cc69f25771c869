/// Spreads notices to whoever listens, in the order in which they were published, with ascending
/// ids so that a listener can go on where it was.
///
/// [dev.prestage.control.notice.NoticeHub] owns one ring of the newest notices and no threads. A
/// listener that does not keep up is cut off and counted, never waited for; nothing is kept over a
/// restart.
@NullMarked
package dev.prestage.control.notice;

import org.jspecify.annotations.NullMarked;
