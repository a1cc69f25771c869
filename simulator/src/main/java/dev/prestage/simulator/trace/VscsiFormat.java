package dev.prestage.simulator.trace;

import java.io.IOException;

/// Commands to a virtual SCSI disk, as VMware's vscsiStats traces them and libCacheSim keeps them.
///
/// Little-endian records. Version 1, 32 bytes: u32 serial, u32 bytes, u32 segments, u16 command,
/// u16 version, u64 block (512 bytes), u64 microseconds. Version 2, 40 bytes: u16 command, u16
/// version, u32 serial, u32 bytes, u32 segments, u64 block, u64 microseconds, u64 response time.
/// The version is the high byte of its field. Commands other than READ and WRITE (6, 10, 12 and 16)
/// touch no blocks and are left out.
final class VscsiFormat implements TraceFormat {
  private static final Layout V1 = new Layout(1, 32, 14, 12, 4, 16, 24);
  private static final Layout V2 = new Layout(2, 40, 2, 0, 8, 16, 24);

  /// As many records must agree on the version as the file begins with, at most these.
  private static final int RECORDS_TO_TELL = 4;

  /// Where a version has its fields.
  private record Layout(
      int version, int recordBytes, int versionAt, int command, int length, int block, int micros) {
    boolean fits(byte[] bytes) {
      int records = Math.min(RECORDS_TO_TELL, bytes.length / recordBytes);
      for (int record = 0; record < records; record++) {
        int at = record * recordBytes;
        if (bytes[at + versionAt + 1] != version || !isScsi(bytes, at + command)) {
          return false;
        }
      }
      return records > 0;
    }

    /// SCSI's commands are a byte.
    private static boolean isScsi(byte[] bytes, int at) {
      return bytes[at + 1] == 0;
    }
  }

  @Override
  public String name() {
    return "vscsi";
  }

  @Override
  public String summary() {
    return "binary records of a virtual SCSI disk, versions 1 and 2";
  }

  @Override
  public boolean recognises(Head head) {
    return V1.fits(head.bytes()) || V2.fits(head.bytes());
  }

  @Override
  public Trace read(Source source) throws IOException {
    Head head = source.head();
    // Nothing fits what is shorter than a record: reading it says so.
    Layout layout = V2.fits(head.bytes()) ? V2 : V1;
    Records records = new Records(source, layout.recordBytes);
    Requests requests = Requests.ofBytes(source, records, true).clock();
    int run = requests.onlyRun();
    int device = requests.device("", 0);
    while (records.next()) {
      int version = records.u16(layout.versionAt) >>> 8;
      if (version != layout.version) {
        throw records.wrong(
            "version " + version + "; expected vSCSI version " + layout.version + " throughout");
      }
      int command = records.u16(layout.command);
      boolean write = isWrite(command);
      if (!write && !isRead(command)) {
        requests.skip("commands that neither read nor write");
        continue;
      }
      long micros = records.i64(layout.micros);
      if (micros < 0 || micros > Long.MAX_VALUE / 2000) {
        throw records.wrong(Long.toUnsignedString(micros) + " is too large (microseconds)");
      }
      long block = records.i64(layout.block);
      if (block < 0 || block > Long.MAX_VALUE >> 9) {
        throw records.wrong("block " + Long.toUnsignedString(block) + " is beyond every device");
      }
      // The length need not be whole blocks.
      requests.bytes(1000 * micros, run, 0, device, block << 9, records.u32(layout.length), write);
    }
    return requests.toTrace();
  }

  private static boolean isRead(int command) {
    return command == 0x28 || command == 0x88 || command == 0xa8 || command == 0x08;
  }

  private static boolean isWrite(int command) {
    return command == 0x2a || command == 0x8a || command == 0xaa || command == 0x0a;
  }
}
