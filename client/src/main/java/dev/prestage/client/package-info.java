/// The Java client of Prestage's API: HTTP/1.1 over a unix socket, or over TCP with a token. It
/// needs nothing but the JDK, whose own HTTP client knows no unix sockets.
///
/// [dev.prestage.client.PrestageClient] sends requests and hands back what came, as bytes: it does
/// not know the shapes of the API's JSON. An error of the API is an
/// [dev.prestage.client.ApiException] with the API's own words; no answer at all is an
/// [java.io.IOException].
///
/// Threading: a client may be used by any thread; each request has a connection of its own.
@NullMarked
package dev.prestage.client;

import org.jspecify.annotations.NullMarked;
