/// What decides which pages are fetched ahead: the peers, each one small class after its paper, the
/// product's own engine, and the ceiling. [Policies] names them all, and a [Choice] is one of them
/// with its setting.
///
/// A policy sees requests and asks a host for pages; it knows neither how a trace is replayed nor
/// what is reported. Peers are here to be compared with; a running host uses one only where
/// `predict.forecaster` names it, through [PeerForecaster]. Confined to one thread; nothing is kept
/// over a restart.
@NullMarked
package dev.prestage.simulator.policy;

import org.jspecify.annotations.NullMarked;
