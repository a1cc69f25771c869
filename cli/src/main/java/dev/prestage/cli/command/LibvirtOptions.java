package dev.prestage.cli.command;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// Which libvirt is meant.
public final class LibvirtOptions {
  @Option(
      names = "--connect",
      paramLabel = "URI",
      description = "Which libvirt. Default: $LIBVIRT_DEFAULT_URI, else qemu:///system.")
  private @Nullable String uri;

  String uri() {
    String chosen = uri == null ? System.getenv("LIBVIRT_DEFAULT_URI") : uri;
    return chosen == null || chosen.isEmpty() ? "qemu:///system" : chosen;
  }
}
