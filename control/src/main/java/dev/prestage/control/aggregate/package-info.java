/// What the history of accesses adds up to: how often and how long resources are touched, when, and
/// in which order.
///
/// Each class is a fold over the rows of one scan, oldest first, and gives its reply at the end:
/// [dev.prestage.control.aggregate.TopAccesses], [dev.prestage.control.aggregate.Timeline],
/// [dev.prestage.control.aggregate.Transitions], [dev.prestage.control.aggregate.Sequences]. All of
/// them look at touches only ([dev.prestage.control.aggregate.Touches]): demand, and nothing that
/// Prestage did itself.
///
/// [dev.prestage.control.aggregate.Usage] is an hour of it, which can be stored and added to
/// others.
///
/// Memory does not grow with the window. What is counted by key is counted in a
/// [dev.prestage.control.aggregate.FrequentKeys] of a fixed number of keys; replies say whether
/// that was enough to count all keys exactly. Where counting takes most of a scan's time it is done
/// in [dev.prestage.control.aggregate.FrequentPairs], the same in arrays. What is remembered of
/// runs is remembered of the [dev.prestage.control.aggregate.Recent] ones. Quantiles come from
/// [dev.prestage.control.aggregate.LogHistogram]s of at most 0.6 KB. The largest fold holds about
/// 40 MB at its bound.
///
/// Threading: a fold belongs to one scan and is confined to its thread.
@NullMarked
package dev.prestage.control.aggregate;

import org.jspecify.annotations.NullMarked;
