/// The frames between data plane and control plane, and the socket that carries them.
///
/// The data plane listens on a unix socket, as the process that outlives the other; the control
/// plane connects, and connects again. Each side proves to be the same user by its peer
/// credentials. Each frame is `u32 length, u8 kind, payload`, big-endian; the first in each
/// direction is [dev.prestage.link.Frame.Hello] with the protocol's version, and another version is
/// refused with both numbers.
///
/// Any thread may send, one receives, and both block; who opened a [dev.prestage.link.Link] owns
/// it. Nothing is retried or kept: what is sent on a link that broke is lost, and after the next
/// greeting both sides say anew what they hold and want.
@NullMarked
package dev.prestage.link;

import org.jspecify.annotations.NullMarked;
