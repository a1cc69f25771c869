package dev.prestage.control.vm.qmp;

import java.io.IOException;

/// QEMU answered that it will not do something. The message is QEMU's own.
final class QmpRefusal extends IOException {
  private static final long serialVersionUID = 1;

  /// QEMU's class of error, such as `DeviceNotFound`.
  final String kind;

  QmpRefusal(String kind, String description) {
    super(description);
    this.kind = kind;
  }
}
