package dev.prestage.cli.config;

import dev.prestage.control.notice.NoticeJson;
import dev.prestage.control.webhook.Webhook;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// The part `notices.webhooks` of a configuration. Messages never repeat an address, because its
/// path or query may be all that protects it.
final class WebhookSettings {
  private WebhookSettings() {}

  static List<Webhook> read(Section notices, Path folder) throws ConfigurationException {
    List<Webhook> webhooks = new ArrayList<>();
    Set<URI> urls = new HashSet<>();
    for (Section section : notices.sections("webhooks")) {
      Optional<URI> named = section.value("url", Optional.empty(), WebhookSettings::url);
      String secretFile = section.text("secretFile", "");
      if (named.isEmpty() || secretFile.isEmpty()) {
        throw section.missing(
            named.isEmpty() ? "url" : "secretFile",
            "a webhook has an address and the file with the secret that signs what it gets");
      }
      URI url = named.get();
      if (!urls.add(url)) {
        throw section.refused("url", "is that of a webhook above: name all its kinds there");
      }
      List<String> kinds = section.values("kinds", WebhookSettings::kind);
      webhooks.add(
          new Webhook(
              webhooks.size() + 1,
              url,
              folder.resolve(secretFile),
              Set.copyOf(kinds.isEmpty() ? NoticeJson.kinds() : kinds)));
      section.close();
    }
    return webhooks;
  }

  private static Optional<URI> url(String text) {
    URI url;
    try {
      url = new URI(text);
    } catch (URISyntaxException _) {
      throw new IllegalArgumentException("it is no URL");
    }
    boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
    if (!http || url.getHost() == null || url.getRawFragment() != null) {
      throw new IllegalArgumentException("it is no URL such as https://hooks.example/prestage");
    }
    if (url.getRawUserInfo() != null) {
      throw new IllegalArgumentException(
          "it holds a user's name; requests are signed with 'secretFile', leave the name out");
    }
    return Optional.of(url);
  }

  private static String kind(String text) {
    if (!NoticeJson.kinds().contains(text)) {
      throw new IllegalArgumentException(
          "'" + text + "' is none of " + String.join(", ", NoticeJson.kinds()));
    }
    return text;
  }
}
