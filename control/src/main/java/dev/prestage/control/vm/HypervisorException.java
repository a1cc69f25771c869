package dev.prestage.control.vm;

import java.io.IOException;

/// A hypervisor cannot be asked, or refuses. The message is one line that says what to do.
public final class HypervisorException extends IOException {
  private static final long serialVersionUID = 1;

  public HypervisorException(String message) {
    super(message);
  }

  static HypervisorException cannot(String hypervisor, Ability ability) {
    return new HypervisorException(hypervisor + " cannot " + ability.words());
  }
}
