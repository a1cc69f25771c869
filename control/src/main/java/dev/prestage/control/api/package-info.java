/// The API over HTTP: JSON requests in, JSON answers and server-sent events out, Prometheus
/// metrics.
///
/// On a unix socket for the same user or root, by peer credentials; on TCP only with a token.
@NullMarked
package dev.prestage.control.api;

import org.jspecify.annotations.NullMarked;
