/// VM disks over NBD: any virtual machine monitor that speaks it reads from this host's tier, and
/// each read is seen.
///
/// Serves fixed newstyle, read-only, on a unix socket and on TCP; simple and structured replies
/// (one chunk per read, so "don't fragment" always holds), several connections per disk. Refuses
/// writes, and all commands and options that it does not advertise: flush, trim, cache, block
/// status, TLS.
///
/// Threading: one blocking platform thread per listening socket and per connection, because a
/// blocking thread answered fastest (12.6 us against 35 us of a virtual thread, 4 KiB at depth 1),
/// and a second thread for a connection once one of its reads has to wait. No lock is shared
/// between connections. Owns the sockets and the buffers of each connection.
///
/// Replies that had to wait share one memory ([ReplyMemory]): each VM and each connection has a
/// share, and while a read waits for memory, clients that take their replies slowly ([Pace]) are
/// turned out.
///
/// Does nothing for a client that misbehaves but to answer with the protocol's error, or to hang up
/// where the protocol has no answer.
@NullMarked
package dev.prestage.dataplane.nbd;

import org.jspecify.annotations.NullMarked;
