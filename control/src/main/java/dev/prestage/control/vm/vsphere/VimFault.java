package dev.prestage.control.vm.vsphere;

import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Element;

/// The service refuses.
final class VimFault extends IOException {
  private static final long serialVersionUID = 1;

  /// What the service calls it, such as `NoPermission`.
  final String kind;

  /// The privilege that is missing, or empty.
  final String privilege;

  private VimFault(String kind, String privilege, String message) {
    super(message);
    this.kind = kind;
    this.privilege = privilege;
  }

  /// @param fault the element with the fault's type and fields, or null
  /// @param message what the service says of it, or empty
  static VimFault of(@Nullable Element fault, String message) {
    String kind = fault == null ? "" : Xml.type(fault);
    String line = message.lines().findFirst().orElse("").strip();
    return new VimFault(kind, Xml.text(fault, "privilegeId"), line.isEmpty() ? kind : line);
  }

  /// Whether it says that there is no session (any more).
  boolean isLoggedOut() {
    return kind.equals("NotAuthenticated");
  }
}
