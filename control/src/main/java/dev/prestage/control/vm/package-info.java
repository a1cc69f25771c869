/// What hypervisors are asked for, and how the control plane follows their guests.
///
/// A [dev.prestage.control.vm.Hypervisor] says what it can do; each ability is optional. Nothing in
/// the engine knows of it: what comes of guests' starts and stops are the commands that a VM
/// manager would send. [dev.prestage.control.vm.GuestWatch] owns one thread, on which all calls to
/// its hypervisor are made; listeners are called on the hypervisor's threads and only queue.
///
/// It never starts, stops, blocks or changes a guest. While a hypervisor is away it does nothing
/// but try to connect again.
@NullMarked
package dev.prestage.control.vm;

import org.jspecify.annotations.NullMarked;
