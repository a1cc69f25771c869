package dev.prestage.control.vm;

import org.jspecify.annotations.Nullable;

/// A guest of a hypervisor.
///
/// @param id stays the same for as long as the guest is defined, whatever it is called
/// @param persistent whether it is there when it does not run
/// @param attachment null if none of its disks was attached
/// @param label the program that its definition names by itself, or empty
public record Guest(
    String id,
    String name,
    boolean running,
    boolean persistent,
    @Nullable Attachment attachment,
    String label) {
  /// Of a hypervisor whose labels are attachments.
  public Guest(
      String id,
      String name,
      boolean running,
      boolean persistent,
      @Nullable Attachment attachment) {
    this(id, name, running, persistent, attachment, "");
  }

  /// The name of the VM that it is, if it is registered.
  public String vm() {
    return attachment == null ? name : attachment.vm();
  }

  /// The program that it runs, or empty if nobody said.
  public String program() {
    return attachment == null ? label : attachment.program();
  }
}
