package dev.prestage.engine.resource;

/// What a VM touches under a name of its own: `disk0` is this image, `memory` that snapshot.
///
/// @param id the host's number for it, in accesses and leases
/// @param vm whose it is
/// @param as what the VM calls it
/// @param space what it is
public record Binding(int id, Vm vm, String as, Space space) {}
