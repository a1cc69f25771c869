/// Guests of libvirt, by bindings of our own to `libvirt.so.0`, which is loaded when it is first
/// used and not before.
///
/// This is, beside the data plane's system calls, the only package with native calls. A
/// [dev.prestage.control.vm.libvirt.LibvirtHypervisor] is used by one platform thread at a time,
/// because libvirt keeps a call's error for the calling thread, and calls block.
/// [dev.prestage.control.vm.libvirt.LibvirtConnector] owns the thread of libvirt's event loop.
@NullMarked
package dev.prestage.control.vm.libvirt;

import org.jspecify.annotations.NullMarked;
