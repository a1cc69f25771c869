package dev.prestage.dataplane.edge;

import dev.prestage.engine.resource.Shape;

/// What an edge serves to a binding, and where.
///
/// @param address where the guest uses it, such as `127.0.0.1:40123`; empty where that follows from
///   the binding's name, as for disks
public record Bound(Shape shape, String address) {}
