package dev.prestage.control.vm;

import java.io.IOException;

/// A hypervisor cannot be asked, or refuses. The message is one line that says what to do.
public final class HypervisorException extends IOException {
  private static final long serialVersionUID = 1;

  private final boolean gone;

  public HypervisorException(String message) {
    this(message, false);
  }

  private HypervisorException(String message, boolean gone) {
    super(message);
    this.gone = gone;
  }

  /// The guest that was asked about is not there any more.
  public static HypervisorException gone(String message) {
    return new HypervisorException(message, true);
  }

  /// Whether the guest is gone, and nothing else is wrong.
  public boolean isGone() {
    return gone;
  }

  static HypervisorException cannot(String hypervisor, Ability ability) {
    return new HypervisorException(hypervisor + " cannot " + ability.words());
  }
}
