package dev.prestage.control.vm;

import org.jspecify.annotations.Nullable;

/// A guest of a hypervisor.
///
/// @param id stays the same for as long as the guest is defined, whatever it is called
/// @param persistent whether it is there when it does not run
/// @param attachment null if none of its disks was attached
public record Guest(
    String id, String name, boolean running, boolean persistent, @Nullable Attachment attachment) {

  /// The name of the VM that it is, if it is registered.
  public String vm() {
    return attachment == null ? name : attachment.vm();
  }
}
