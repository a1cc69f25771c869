package dev.prestage.client;

/// One event of the API's stream.
///
/// @param id what to pass as the last id after a reconnect; empty when the event has none
/// @param kind `staged`, `available`, `complete`, `unavailable`, `queued`, `reclaimed`, `degraded`,
///   or `missed` when earlier events are no longer kept
/// @param data JSON
public record ApiEvent(String id, String kind, String data) {}
