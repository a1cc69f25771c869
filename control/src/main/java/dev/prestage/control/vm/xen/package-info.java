/// Guests of Xen, by the tools that every Xen host has: `xl`, `xenstore-ls` and `xenstore-watch`,
/// run as child processes, where need be through `sudo` or `ssh`. Loaded only where Xen is
/// configured.
///
/// A [dev.prestage.control.vm.xen.XenHypervisor] is one connection. Once it is watched it owns a
/// child process that says when domains appear and end, and one thread that then looks at all
/// domains and tells what changed. When the child ends, or a look fails, the connection ends:
/// [dev.prestage.control.vm.GuestWatch] makes another one, and looks at all guests.
///
/// Each command has a deadline and is killed after it. Commands name domains by their numbers,
/// which Xen does not use again before it has used 32,000 others, so that none reaches a domain
/// that took over another one's name. Nothing is done to dom0.
@NullMarked
package dev.prestage.control.vm.xen;

import org.jspecify.annotations.NullMarked;
