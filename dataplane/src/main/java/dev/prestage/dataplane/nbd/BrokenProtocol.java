package dev.prestage.dataplane.nbd;

import java.io.IOException;

/// The client broke the protocol in a way that leaves nothing to answer.
final class BrokenProtocol extends IOException {
  private static final long serialVersionUID = 1;

  BrokenProtocol(String message) {
    super(message);
  }
}
