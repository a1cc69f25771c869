/// What the API must bear: a thousand VMs, a steady load of requests, and many streams of events.
///
/// [dev.prestage.benchmarks.api.ApiGate] runs all of it against a real host. Requests have a due
/// time, and their latency counts from it, so that a server that stalls is charged for each request
/// that could not be sent meanwhile.
///
/// Threading: a platform thread for each connection of the load, a virtual one for each stream.
@NullMarked
package dev.prestage.benchmarks.api;

import org.jspecify.annotations.NullMarked;
