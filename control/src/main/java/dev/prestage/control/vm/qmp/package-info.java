/// Guests of plain QEMU, through the QMP sockets in one directory.
///
/// A QMP socket serves one client, so a process has one connection to each, which
/// [dev.prestage.control.vm.qmp.QmpConnector] owns and its hypervisors share. Each connection has a
/// virtual thread that reads; one more looks at the directory. Questions are asked on the caller's
/// thread, one at a time for each machine, and end at a deadline: a machine that does not answer
/// holds up nobody who asks others.
///
/// Machines are changed by limits of disks and sizes of memory only, when these are asked for. What
/// a disk's limits were before is kept in QEMU itself, as an object that nothing uses, so that it
/// is there after any crash of ours and gone with the machine.
@NullMarked
package dev.prestage.control.vm.qmp;

import org.jspecify.annotations.NullMarked;
