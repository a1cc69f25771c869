package dev.prestage.cli.command;

import java.util.ArrayList;
import java.util.List;

/// What Prestage does for guests of each platform, and the test that shows it. The table in
/// `docs/platforms.md` is this one.
final class PlatformMatrix {
  /// The platform has nothing for it.
  static final String NONE = "none";

  /// It could be, and is not done or not shown.
  static final String NOT_YET = "not yet";

  /// Prestage's own host does it, whatever runs the guest; no guest of this platform shows it.
  static final String AS_HOST = "as any host";

  static final List<Row> ROWS =
      List.of(
          row("any host", "file blocks", "HostTest", "HostTest", "DataPlaneTest"),
          row("any host", "memory", "MemoryHostTest", "MemoryHostTest", "MemoryTest"),
          row(
              "any host",
              "connections",
              "ConnectionsHostTest",
              "ConnectionsHostTest",
              "ConnectionsTest"),
          row("any host", "bandwidth", "BandwidthHostTest", "BandwidthHostTest", "LeasesTest"),
          row("QEMU", "file blocks", "QemuHostTest", AS_HOST, AS_HOST),
          row("QEMU", "memory", "QemuHostTest", "GuestMemoryHostTest", "GuestMemoryHostTest"),
          row("QEMU", "connections", AS_HOST, AS_HOST, AS_HOST),
          row("QEMU", "bandwidth", AS_HOST, AS_HOST, AS_HOST),
          row("libvirt/KVM", "file blocks", "LibvirtHostTest", "LibvirtHostTest", AS_HOST),
          row("libvirt/KVM", "memory", "LibvirtHostTest", "LibvirtHostTest", "LibvirtHostTest"),
          row("libvirt/KVM", "connections", AS_HOST, AS_HOST, AS_HOST),
          row("libvirt/KVM", "bandwidth", AS_HOST, AS_HOST, AS_HOST),
          row("Firecracker", "file blocks", NOT_YET, NOT_YET, NOT_YET),
          row("Firecracker", "memory", AS_HOST, AS_HOST, AS_HOST),
          row("Firecracker", "connections", AS_HOST, AS_HOST, AS_HOST),
          row("Firecracker", "bandwidth", NOT_YET, NOT_YET, NOT_YET),
          row("Cloud Hypervisor", "file blocks", NOT_YET, NOT_YET, NOT_YET),
          row("Cloud Hypervisor", "memory", NOT_YET, NOT_YET, NOT_YET),
          row("Cloud Hypervisor", "connections", AS_HOST, AS_HOST, AS_HOST),
          row("Cloud Hypervisor", "bandwidth", NOT_YET, NOT_YET, NOT_YET),
          row("Xen", "file blocks", "XenHostTest", AS_HOST, AS_HOST),
          row("Xen", "memory", "XenHostTest", "XenHostTest", "XenHostTest"),
          row("Xen", "connections", AS_HOST, AS_HOST, AS_HOST),
          row("Xen", "bandwidth", AS_HOST, AS_HOST, AS_HOST),
          row("vSphere", "file blocks", NONE, NONE, NONE),
          row("vSphere", "memory", "VsphereTest", "VsphereTest", "VsphereTest"),
          row("vSphere", "connections", AS_HOST, AS_HOST, AS_HOST),
          row("vSphere", "bandwidth", NONE, NONE, NONE));

  private PlatformMatrix() {}

  /// One platform and one type of resource. A cell is a test's class, or one of the words above.
  record Row(
      String platform, String resource, String observe, String preAllocate, String deAllocate) {

    List<String> cells() {
      return List.of(observe, preAllocate, deAllocate);
    }
  }

  private static Row row(
      String platform, String resource, String observe, String preAllocate, String deAllocate) {
    return new Row(platform, resource, observe, preAllocate, deAllocate);
  }

  /// The table as it stands in the manual.
  static List<String> markdown() {
    List<String> lines = new ArrayList<>();
    lines.add("| Platform | Resource | Observe | Pre-allocate | De-allocate |");
    lines.add("|---|---|---|---|---|");
    for (Row row : ROWS) {
      lines.add(
          "| %s | %s | %s |"
              .formatted(row.platform(), row.resource(), String.join(" | ", row.cells())));
    }
    return lines;
  }
}
