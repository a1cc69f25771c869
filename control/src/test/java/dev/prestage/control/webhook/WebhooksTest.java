package dev.prestage.control.webhook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.control.notice.NoticeJson;
import dev.prestage.engine.stage.Notice;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class WebhooksTest {
  /// 2026-01-01T00:00:00Z.
  private static final long NOW = 1_767_225_600_000_000_000L;

  private static final String SECRET = "a-secret-of-some-length";
  private static final BackOff QUICK = new BackOff(Duration.ofMillis(10), Duration.ofMillis(40), 4);
  private static final Duration PATIENCE = Duration.ofMillis(500);
  private static final int QUEUED = 1000;

  @TempDir private Path folder;

  private final NoticeHub hub = new NoticeHub(() -> NOW);
  private final List<Webhooks> started = new ArrayList<>();
  private Receiver receiver;
  private Path secret;

  @BeforeEach
  void start() throws IOException {
    receiver = new Receiver(0);
    secret = Files.writeString(folder.resolve("secret"), SECRET + "\n");
  }

  @AfterEach
  void stop() {
    started.forEach(Webhooks::close);
    hub.close();
    receiver.close();
  }

  private Webhooks webhooks(BackOff backOff, URI... urls) throws IOException {
    List<Webhook> configured = new ArrayList<>();
    for (URI url : urls) {
      configured.add(
          new Webhook(configured.size() + 1, url, secret, Set.copyOf(NoticeJson.kinds())));
    }
    Webhooks webhooks = Webhooks.start(configured, hub, () -> NOW, backOff, PATIENCE, QUEUED);
    started.add(webhooks);
    return webhooks;
  }

  private static Notice settled(int allocation) {
    return new Notice.Available(NOW, "vm1", "web", allocation, 3, 196_608);
  }

  private Receiver.Request next() throws InterruptedException {
    return Objects.requireNonNull(receiver.next(), "no request came");
  }

  private static Reply.WebhookView await(Webhooks webhooks, Predicate<Reply.WebhookView> until) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (true) {
      Reply.WebhookView view = webhooks.views().getFirst();
      if (until.test(view)) {
        return view;
      }
      assertThat(System.nanoTime()).as("still %s", view).isLessThan(end);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }

  @Test
  void aNoticeIsPostedWithItsIdAndASignatureThatItsReceiverCanCheck() throws Exception {
    Webhooks webhooks = webhooks(QUICK, receiver.url());
    hub.publish(settled(42));
    Receiver.Request request = next();
    assertThat(request.method()).isEqualTo("POST");
    assertThat(request.body())
        .isEqualTo(
            "{\"id\":1767225600000000,\"event\":\"available\",\"time\":\"2026-01-01T00:00:00Z\","
                + "\"vm\":\"vm1\",\"program\":\"web\",\"allocation\":42,\"units\":3,"
                + "\"bytes\":196608}");
    String id = request.headers().getFirst("webhook-id");
    String timestamp = request.headers().getFirst("webhook-timestamp");
    assertThat(id).isEqualTo("1767225600000000");
    assertThat(timestamp).isEqualTo("1767225600");
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(SECRET.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
    byte[] signed = (id + "." + timestamp + "." + request.body()).getBytes(StandardCharsets.UTF_8);
    assertThat(request.headers().getFirst("webhook-signature"))
        .isEqualTo("v1," + Base64.getEncoder().encodeToString(mac.doFinal(signed)));
    assertThat(await(webhooks, view -> view.delivered() == 1).state()).isEqualTo("ok");
    assertThat(webhooks.state()).isEqualTo("ok");
  }

  /// The example in the tests of the reference libraries (standard-webhooks on GitHub).
  @Test
  void theSignatureIsThatOfStandardWebhooks() throws IOException {
    Path file =
        Files.writeString(folder.resolve("whsec"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    byte[] body = "{\"test\": 2432232314}".getBytes(StandardCharsets.UTF_8);
    assertThat(Signature.read(file).of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body))
        .isEqualTo("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  }

  @Test
  void onlyTheKindsThatWereAskedForAreSent() throws Exception {
    Webhook webhook = new Webhook(1, receiver.url(), secret, Set.of("degraded"));
    started.add(Webhooks.start(List.of(webhook), hub, () -> NOW, QUICK, PATIENCE, QUEUED));
    hub.publish(settled(1));
    hub.publish(new Notice.Degraded(NOW, "tier-full", "the tier is full"));
    assertThat(next().json().path("event").asText()).isEqualTo("degraded");
  }

  @Test
  void whatFailsIsSentAgainUnderTheSameIdAndTheOrderStays() throws Exception {
    receiver.status = 500;
    Webhooks webhooks = webhooks(QUICK, receiver.url());
    hub.publish(settled(1));
    hub.publish(settled(2));
    assertThat(next().json().path("allocation").asInt()).isEqualTo(1);
    receiver.status = 200;
    List<Integer> rest = new ArrayList<>();
    do {
      rest.add(next().json().path("allocation").asInt());
    } while (rest.getLast() == 1);
    assertThat(rest.getLast()).isEqualTo(2);
    Reply.WebhookView view = await(webhooks, now -> now.delivered() == 2);
    assertThat(view.failed()).isPositive();
    assertThat(view.dead()).isZero();
  }

  @Test
  void aNoticeThatIsNeverTakenIsADeadLetterAndTheNextOneIsSent() throws Exception {
    receiver.status = 503;
    Webhooks webhooks = webhooks(QUICK, receiver.url());
    hub.publish(settled(1));
    Reply.WebhookView failing = await(webhooks, view -> view.dead() == 1);
    assertThat(failing.state()).isEqualTo("failing");
    assertThat(failing.failed()).isEqualTo(4);
    assertThat(failing.deadLetters())
        .containsExactly(new Reply.DeadLetter(NOW / 1000, "available", "status 503"));
    assertThat(webhooks.state()).contains("webhook 1 (http://127.0.0.1:", "status 503");
    receiver.status = 204;
    hub.publish(settled(2));
    assertThat(await(webhooks, view -> view.delivered() == 1).state()).isEqualTo("ok");
  }

  @Test
  void aReceiverThatHangsDelaysNeitherNoticesNorOtherReceivers() throws Exception {
    receiver.hanging = true;
    try (Receiver other = new Receiver(0)) {
      Webhooks webhooks = webhooks(QUICK, receiver.url(), other.url());
      for (int i = 0; i < 100; i++) {
        hub.publish(settled(i));
      }
      for (int i = 0; i < 100; i++) {
        Receiver.Request request = Objects.requireNonNull(other.next());
        assertThat(request.json().path("allocation").asInt()).isEqualTo(i);
      }
      assertThat(await(webhooks, view -> view.failed() > 0).lastError())
          .isEqualTo("no answer within 500 ms");
    }
  }

  @Test
  void aReceiverThatIsRestartedGetsWhatItMissed() throws Exception {
    int port = receiver.port();
    URI url = receiver.url();
    receiver.close();
    Webhooks webhooks =
        webhooks(new BackOff(Duration.ofMillis(10), Duration.ofMillis(40), 10_000), url);
    hub.publish(settled(1));
    hub.publish(settled(2));
    await(webhooks, view -> view.failed() > 1);
    receiver = new Receiver(port);
    assertThat(next().json().path("allocation").asInt()).isEqualTo(1);
    assertThat(next().json().path("allocation").asInt()).isEqualTo(2);
    assertThat(await(webhooks, view -> view.delivered() == 2).state()).isEqualTo("ok");
  }

  @Test
  void whatWaitsIsBoundedAndWhatIsGivenUpIsCounted() throws Exception {
    receiver.status = 500;
    Webhook webhook = new Webhook(1, receiver.url(), secret, Set.of("available"));
    BackOff patient = new BackOff(Duration.ofMillis(10), Duration.ofMillis(10), 10_000);
    Webhooks webhooks = Webhooks.start(List.of(webhook), hub, () -> NOW, patient, PATIENCE, QUEUED);
    started.add(webhooks);
    for (int i = 0; i < 2000; i++) {
      hub.publish(settled(i));
    }
    await(webhooks, view -> view.failed() > 0);
    // Others' kinds take no place.
    for (int i = 0; i < 10_000; i++) {
      hub.publish(new Notice.Degraded(NOW, "tier-full", "the tier is full"));
    }
    receiver.status = 204;
    // One was being sent, and the newest waited.
    Reply.WebhookView view =
        await(webhooks, now -> now.delivered() >= QUEUED && now.delivered() + now.dead() >= 2000);
    assertThat(view.dead()).isPositive();
    assertThat(view.deadLetters()).hasSize(1);
    assertThat(view.deadLetters().getFirst().event()).isEmpty();
  }

  @Test
  void aRedirectIsNotFollowed() throws Exception {
    receiver.status = 302;
    Webhooks webhooks = webhooks(QUICK, receiver.url());
    hub.publish(settled(1));
    assertThat(await(webhooks, view -> view.dead() == 1).lastError()).isEqualTo("status 302");
    assertThat(receiver.otherCalls()).isZero();
  }

  @Test
  void nothingThatIsShownHoldsWhatIsSecret() throws Exception {
    receiver.status = 500;
    Webhooks webhooks = webhooks(QUICK, receiver.url());
    hub.publish(settled(1));
    Reply.WebhookView view = await(webhooks, now -> now.dead() == 1);
    assertThat(view + webhooks.state() + webhooks.counters())
        .doesNotContain("topsecret", "/hook", SECRET);
    Path noBase64 = Files.writeString(folder.resolve("bad"), "whsec_not!base64-but-secret");
    assertThatThrownBy(() -> Signature.read(noBase64))
        .hasMessageContaining("has no base64")
        .hasNoCause()
        .message()
        .doesNotContain("not!base64");
    Path missing = folder.resolve("missing");
    assertThatThrownBy(() -> Signature.read(missing)).hasMessageContaining("cannot be read");
    Path tooShort = Files.writeString(folder.resolve("short"), "short\n");
    assertThatThrownBy(() -> Signature.read(tooShort)).hasMessageContaining("at least 16 bytes");
  }
}
