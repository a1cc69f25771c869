package dev.prestage.control.webhook;

import java.net.URI;
import java.nio.file.Path;
import java.util.Set;

/// An address that gets notices.
///
/// @param number its place in the configuration, from 1
/// @param url where requests go; may hold secrets, so it is never shown whole
/// @param secretFile the file with the key that requests are signed with
/// @param kinds the kinds of notices that it gets
public record Webhook(int number, URI url, Path secretFile, Set<String> kinds) {
  public Webhook {
    kinds = Set.copyOf(kinds);
  }

  /// The address without what may be secret: scheme, host and port.
  public String shown() {
    return url.getScheme() + "://" + url.getRawAuthority();
  }

  @Override
  public String toString() {
    return "webhook " + number + " (" + shown() + ")";
  }
}
