package dev.prestage.control.webhook;

import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// All addresses that get notices.
public final class Webhooks implements AutoCloseable {
  private final List<WebhookSender> senders = new ArrayList<>();

  private Webhooks() {}

  /// Sends what is published from now on.
  ///
  /// @throws IOException one line, if a secret cannot be read
  public static Webhooks start(List<Webhook> configured, NoticeHub hub, Clock clock)
      throws IOException {
    return start(configured, hub, clock, BackOff.DEFAULT, Delivery.PATIENCE, WebhookSender.QUEUED);
  }

  static Webhooks start(
      List<Webhook> configured,
      NoticeHub hub,
      Clock clock,
      BackOff backOff,
      Duration patience,
      int queued)
      throws IOException {
    List<Signature> signatures = new ArrayList<>();
    for (Webhook webhook : configured) {
      signatures.add(Signature.read(webhook.secretFile()));
    }
    Webhooks webhooks = new Webhooks();
    for (int i = 0; i < configured.size(); i++) {
      Webhook webhook = configured.get(i);
      Delivery delivery = new Delivery(webhook.url(), signatures.get(i), patience);
      webhooks.senders.add(new WebhookSender(webhook, delivery, backOff, queued, hub, clock));
    }
    webhooks.senders.forEach(WebhookSender::start);
    return webhooks;
  }

  /// How each stands.
  public List<Reply.WebhookView> views() {
    return senders.stream().map(WebhookSender::view).toList();
  }

  /// `ok`, or one line on the first that does not take notices.
  public String state() {
    return senders.stream()
        .map(WebhookSender::trouble)
        .filter(Objects::nonNull)
        .findFirst()
        .orElse("ok");
  }

  /// What they count, for the metrics.
  public List<Reply.Counter> counters() {
    List<Reply.Counter> counters = new ArrayList<>();
    for (Reply.WebhookView view : views()) {
      Map<String, String> label = Map.of("webhook", Integer.toString(view.webhook()));
      counters.add(new Reply.Counter("webhooks_delivered", label, true, view.delivered()));
      counters.add(new Reply.Counter("webhooks_failed", label, true, view.failed()));
      counters.add(new Reply.Counter("webhooks_dead", label, true, view.dead()));
    }
    return counters;
  }

  @Override
  public void close() {
    senders.forEach(WebhookSender::close);
  }
}
