package dev.prestage.control.webhook;

import dev.prestage.control.notice.NoticeHub;
import dev.prestage.control.notice.NoticeJson;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// Sends one notice to one address, once. Only that address is called.
final class Delivery implements AutoCloseable {
  /// What is asked of a receiver: to keep what it gets and to answer. Longer than a round trip
  /// across an ocean and a receiver's own database take.
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private final URI url;
  private final Signature signature;
  private final Duration patience;
  private final HttpClient client;

  Delivery(URI url, Signature signature, Duration patience) {
    this.url = url;
    this.signature = signature;
    this.patience = patience;
    this.client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .proxy(ProxySelector.of(null))
            .connectTimeout(patience)
            .build();
  }

  /// Sends it and waits for the answer, as long as the patience lasts.
  ///
  /// @param timestampSeconds when it is sent, since the epoch
  /// @return empty when the receiver has taken it, else why not, in a few words
  String send(NoticeHub.Entry entry, long timestampSeconds) throws InterruptedException {
    byte[] body = NoticeJson.of(entry);
    String id = Long.toString(entry.id());
    HttpRequest request =
        HttpRequest.newBuilder(url)
            .header("Content-Type", "application/json")
            .header("User-Agent", "prestage")
            .header("webhook-id", id)
            .header("webhook-timestamp", Long.toString(timestampSeconds))
            .header("webhook-signature", signature.of(id, timestampSeconds, body))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body))
            .build();
    CompletableFuture<HttpResponse<Void>> answer =
        client.sendAsync(request, HttpResponse.BodyHandlers.discarding());
    try {
      // The client's own limit ends with the head of an answer, and a body may never end.
      int status = answer.get(patience.toMillis(), TimeUnit.MILLISECONDS).statusCode();
      return status >= 200 && status <= 299 ? "" : "status " + status;
    } catch (TimeoutException _) {
      return "no answer within " + patience.toMillis() + " ms";
    } catch (ExecutionException e) {
      // A message may hold parts of the address; the class says what kind of trouble it is.
      Throwable cause = e.getCause() == null ? e : e.getCause();
      return "no connection (" + cause.getClass().getSimpleName() + ")";
    } finally {
      answer.cancel(true);
    }
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
