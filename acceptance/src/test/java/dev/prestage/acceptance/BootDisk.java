package dev.prestage.acceptance;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Random;

/// A disk whose boot sector is a whole guest: it reads the first four MiB by the BIOS, writes what
/// it read last to its second sector, and switches the machine off.
///
/// A guest without ACPI cannot be switched off, and stays.
final class BootDisk {
  static final int SECTOR = 512;
  static final int BYTES = 16 << 20;

  /// Each read is of 64 sectors: half an extent.
  private static final int READS = 128;

  private static final int SECTORS_PER_READ = 64;

  /// The program, for 16-bit mode at 0:7c00:
  ///
  /// ```
  ///       xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 0x7c00; sti
  /// next: mov ah, 0x42; mov si, read; int 0x13      ; read by the packet
  ///       jc off
  ///       add dword [read + 8], 64; dec word [reads]; jnz next
  ///       mov ax, 0x4300; mov si, write; int 0x13
  /// off:  mov dx, 0x604; mov ax, 0x2000; out dx, ax ; ACPI: S5
  ///       hlt; jmp off + 7
  /// ```
  private static final byte[] PROGRAM =
      HexFormat.of()
          .parseHex(
              "31c08ed88ed0bc007cfbb442be807ccd13721766"
                  + "8106887c40000000ff0e907c75e8b80043bea07ccd13"
                  + "ba0406b80020eff4ebfd");

  private static final int READ = 0x80;
  private static final int COUNT = 0x90;
  private static final int WRITE = 0xa0;

  private BootDisk() {}

  /// Writes the disk; what the program leaves of it is random.
  static byte[] write(Path file) throws IOException {
    byte[] disk = new byte[BYTES];
    new Random(4712).nextBytes(disk);
    ByteBuffer boot = ByteBuffer.wrap(disk).order(ByteOrder.LITTLE_ENDIAN);
    boot.put(new byte[SECTOR]).put(0, PROGRAM);
    packet(boot, READ, SECTORS_PER_READ, 0);
    boot.putShort(COUNT, (short) READS);
    packet(boot, WRITE, 1, 1);
    boot.putShort(SECTOR - 2, (short) 0xaa55);
    Files.write(file, disk);
    return disk;
  }

  /// A packet of the BIOS's extended reads and writes; the buffer is at 1000:0.
  private static void packet(ByteBuffer boot, int at, int sectors, long first) {
    boot.putShort(at, (short) 16).putShort(at + 2, (short) sectors);
    boot.putInt(at + 4, 0x1000_0000).putLong(at + 8, first);
  }

  /// Where what the guest writes comes from.
  static int lastRead() {
    return (READS - 1) * SECTORS_PER_READ * SECTOR;
  }

  /// A libvirt domain that boots from the file.
  static String domain(String name, Path file, boolean acpi) {
    return """
    <domain type='qemu'>
      <name>%s</name>
      <memory unit='MiB'>64</memory>
      <vcpu>1</vcpu>
      <os><type arch='x86_64' machine='pc'>hvm</type></os>
      %s
      <devices>
        <disk type='file' device='disk'>
          <driver name='qemu' type='raw' cache='none'/>
          <source file='%s'/>
          <target dev='vda' bus='virtio'/>
        </disk>
        <graphics type='vnc' passwd='secret'/>
      </devices>
    </domain>
    """
        .formatted(name, acpi ? "<features><acpi/></features>" : "", file);
  }
}
