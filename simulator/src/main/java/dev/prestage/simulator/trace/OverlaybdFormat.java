package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.List;

/// The trace file that overlaybd records while a container starts, to prefetch by it at the next.
///
/// Little-endian, padded as a C compiler pads. Header, 24 bytes: u32 magic, u64 bytes of records at
/// offset 8, u32 CRC-32C at 16, which is not checked. Records, 24 bytes: character `R` or `W`, u32
/// layer at offset 4, u64 count at 8, i64 offset at 16, both in bytes. Each layer is a device and a
/// stream. There are no times. Messages count the header as record 1.
final class OverlaybdFormat implements TraceFormat {
  private static final long MAGIC = 3_270_449_184L;
  private static final int HEADER_BYTES = 24;
  private static final int RECORD_BYTES = 24;

  @Override
  public String name() {
    return "overlaybd";
  }

  @Override
  public String summary() {
    return "binary trace that overlaybd records for prefetching";
  }

  @Override
  public List<String> suffixes() {
    return List.of();
  }

  @Override
  public boolean recognises(Head head) {
    byte[] bytes = head.bytes();
    if (bytes.length < HEADER_BYTES) {
      return false;
    }
    for (int i = 0; i < 4; i++) {
      if (bytes[i] != (byte) (MAGIC >>> (8 * i))) {
        return false;
      }
    }
    return true;
  }

  @Override
  public Trace read(Source source) throws IOException {
    if (!recognises(source.head())) {
      throw new TraceException(source.fileName() + ": no header of an overlaybd trace");
    }
    // The header is as long as a record.
    Records records = new Records(source, RECORD_BYTES);
    records.next();
    long dataBytes = records.i64(8);
    Requests requests = Requests.ofBytes(source, records, false);
    int run = requests.onlyRun();
    while (records.next()) {
      int operation = records.byteAt(0);
      if (operation != 'R' && operation != 'W') {
        throw records.wrong("operation " + operation + "; expected R (82) or W (87)");
      }
      int layer = requests.device("", records.u32(4));
      requests.bytes(0, run, layer, layer, records.i64(16), records.i64(8), operation == 'W');
    }
    long found = (records.number() - 1) * RECORD_BYTES;
    if (found != dataBytes) {
      throw new TraceException(
          source.fileName()
              + ": "
              + found
              + " bytes of records; expected "
              + Long.toUnsignedString(dataBytes)
              + ", as its header says");
    }
    return requests.toTrace();
  }
}
