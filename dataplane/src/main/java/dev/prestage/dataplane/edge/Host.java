package dev.prestage.dataplane.edge;

import dev.prestage.engine.time.Clock;
import java.util.function.IntConsumer;

/// What a data plane lends to its edges.
///
/// @param ring where accesses go
/// @param doorbell rung when there is news
/// @param trouble hears what a person should know
/// @param ready hears the numbers of spaces that began to be served without being asked just now
public record Host(
    AccessRing ring, Doorbell doorbell, Trouble trouble, Clock clock, IntConsumer ready) {}
