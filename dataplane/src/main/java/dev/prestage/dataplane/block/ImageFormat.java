package dev.prestage.dataplane.block;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/// Formats of disk images that are no raw images, by what their files begin with.
///
/// Sources: QEMU's `docs/interop/qcow2.txt`; VMware's "Virtual Disk Format 5.0"; Microsoft's
/// MS-VHDX, 2.2.1.
enum ImageFormat {
  QCOW2("qcow2", "QFI\u00fb"),
  VMDK("vmdk", "KDMV"),
  VMDK_DESCRIPTOR("vmdk", "# Disk DescriptorFile"),
  VHDX("vhdx", "vhdxfile");

  /// What tells each of them.
  static final int LONGEST_MAGIC = 21;

  private final String title;
  private final String magic;

  ImageFormat(String title, String magic) {
    this.title = title;
    this.magic = magic;
  }

  /// As QEMU's tools call it.
  String title() {
    return title;
  }

  /// The format of a file, or null if it begins as none of these.
  ///
  /// @param start the first bytes
  static @Nullable ImageFormat of(ByteBuffer start) {
    String text = StandardCharsets.ISO_8859_1.decode(start.duplicate()).toString();
    for (ImageFormat format : values()) {
      if (text.startsWith(format.magic)) {
        return format;
      }
    }
    return null;
  }
}
