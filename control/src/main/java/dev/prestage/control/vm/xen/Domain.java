package dev.prestage.control.vm.xen;

import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Guest;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A domain as it was seen.
///
/// @param number its domain id
/// @param labels what an administrator said of it, by their names without `prestage.`
record Domain(int number, String name, boolean running, Map<String, String> labels) {
  /// The least memory that it may be given, in MiB.
  static final String LEAST = "least";

  /// Without `program` a domain is not labelled, whatever else is said of it.
  @Nullable Attachment attachment() {
    String program = labels.getOrDefault("program", "");
    return program.isEmpty()
        ? null
        : new Attachment(
            labels.getOrDefault("vm", vmName(name)),
            program,
            labels.getOrDefault("image", ""),
            labels.getOrDefault("disk", ""));
  }

  /// Its name stands for it: unless a configuration names one, `xl create` makes a new UUID each
  /// time.
  Guest guest() {
    return new Guest(name, name, running, false, attachment());
  }

  /// A domain may be called what a VM cannot be.
  private static String vmName(String name) {
    String allowed = name.replaceAll("[^A-Za-z0-9._-]", "-").replaceFirst("^\\.", "-");
    return allowed.isEmpty() ? "-" : allowed.substring(0, Math.min(allowed.length(), 128));
  }
}
