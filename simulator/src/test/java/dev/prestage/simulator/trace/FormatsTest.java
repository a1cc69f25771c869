package dev.prestage.simulator.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FormatsTest {
  @TempDir private Path folder;

  private Trace read(String name, String text) throws IOException {
    return read(name, text.getBytes(StandardCharsets.UTF_8));
  }

  private Trace read(String name, byte[] bytes) throws IOException {
    Path file = Files.write(folder.resolve(name), bytes);
    return TraceFiles.read(file, TraceFiles.AUTO, Progress.NONE);
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.capacity()];
    buffer.get(0, bytes);
    return bytes;
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /// Each request as `time stream r|w first+count`.
  private static List<String> rows(Trace trace) {
    List<String> rows = new ArrayList<>();
    for (int i = 0; i < trace.requests(); i++) {
      rows.add(
          trace.timeNanos(i)
              + " "
              + trace.stream(i)
              + (trace.isWrite(i) ? " w " : " r ")
              + trace.first(i)
              + "+"
              + trace.count(i));
    }
    return rows;
  }

  private static void refused(ThrowingCallable reading, String message) {
    assertThatThrownBy(reading).isInstanceOf(TraceException.class).hasMessage(message);
  }

  // vscsi

  private static void vscsi1(ByteBuffer out, int command, long block, int length, long micros) {
    out.putInt(1).putInt(length).putInt(1).putShort((short) command).putShort((short) 0x100);
    out.putLong(block).putLong(micros);
  }

  private static void vscsi2(ByteBuffer out, int command, long block, int length, long micros) {
    out.putShort((short) command).putShort((short) 0x200).putInt(1).putInt(length).putInt(1);
    out.putLong(block).putLong(micros).putLong(77);
  }

  @Test
  void bothVersionsOfVscsiAreToldApart() throws IOException {
    ByteBuffer one = little(3 * 32);
    vscsi1(one, 0x2a, 15, 1024, 5_000_000);
    vscsi1(one, 0x12, 0, 96, 5_000_001);
    vscsi1(one, 0x28, 8, 4096, 5_000_007);
    ByteBuffer two = little(2 * 40);
    vscsi2(two, 0x2a, 15, 1024, 5_000_000);
    vscsi2(two, 0x28, 8, 4096, 5_000_007);
    Trace first = read("a.vscsi", bytes(one));
    assertThat(rows(first)).containsExactly("0 0 w 1+2", "7000 0 r 1+1");
    assertThat(first.warnings())
        .containsExactly("Left out, commands that neither read nor write: 1.");
    assertThat(rows(read("named-otherwise", bytes(two)))).isEqualTo(rows(first));
  }

  @Test
  void aTraceWithoutAccessesSaysWhatItHasInstead() {
    ByteBuffer file = little(32);
    vscsi1(file, 0x12, 0, 96, 5_000_001);
    refused(
        () -> read("a.vscsi", bytes(file)),
        "a.vscsi: no accesses; expected at least one"
            + " (left out, commands that neither read nor write: 1)");
  }

  @Test
  void aVscsiFileThatEndsWithinARecordSaysWhere() {
    ByteBuffer file = little(32 + 17);
    vscsi1(file, 0x28, 8, 4096, 7);
    refused(
        () -> read("a.vscsi", bytes(file)),
        "a.vscsi, record 2: the file ends after 17 of the record's 32 bytes");
  }

  @Test
  void damagedVscsiRecordsAreRefused() {
    ByteBuffer version = little(64);
    vscsi1(version, 0x28, 8, 4096, 7);
    ByteBuffer length = little(32);
    vscsi1(length, 0x28, 8, -1, 7);
    ByteBuffer block = little(32);
    vscsi1(block, 0x28, -1, 512, 7);
    ByteBuffer page = little(32);
    vscsi1(page, 0x28, 1L << 43, 512, 7);
    refused(
        () -> read("a.vscsi", bytes(version)),
        "a.vscsi, record 2: version 0; expected vSCSI version 1 throughout");
    refused(
        () -> read("a.vscsi", bytes(length)),
        "a.vscsi, record 1: a request of 4294967295 bytes cannot be meant; expected at most 1 GiB");
    refused(
        () -> read("a.vscsi", bytes(block)),
        "a.vscsi, record 1: block 18446744073709551615 is beyond every device");
    refused(
        () -> read("a.vscsi", bytes(page)),
        "a.vscsi, record 1: page 1099511627776 is beyond the largest, 1099511627775");
  }

  // lis

  @Test
  void lisBlocksBecomePages() throws IOException {
    Trace trace = read("a.lis", "7 1 0 0\r\n7\t2 0 1\n\n 16 8 0 2 \n9 0 0 3");
    assertThat(rows(trace)).containsExactly("0 0 r 0+1", "0 0 r 0+2", "0 0 r 2+1");
    assertThat(trace.isTimed()).isFalse();
    assertThat(trace.runs()).containsExactly(new Trace.Run("a", 1, 0));
    assertThat(trace.warnings()).containsExactly("Left out, requests of no bytes: 1.");
  }

  @Test
  void malformedLinesSayFileLineAndField() {
    String good = "1 1 0 0\n\n# a comment\n";
    refused(
        () -> read("a.lis", good + "abc 1 0 0\n"),
        "a.lis, line 4: \"abc\" is not a number (start block)");
    refused(
        () -> read("a.lis", good + "1 -2 0 0\n"),
        "a.lis, line 4: \"-2\" is negative (number of blocks)");
    refused(
        () -> read("a.lis", good + "1 2 0\n"),
        "a.lis, line 4: 3 fields; expected start count ignored request");
    refused(
        () -> read("a.lis", "99999999999999999999 1 0 0\n"),
        "a.lis, line 1: \"99999999999999999999\" is too large (start block)");
    refused(
        () -> read("a.lis", "9223372036854775807 1 0 0\n"),
        "a.lis, line 1: block 9223372036854775807 is beyond every device");
    refused(
        () -> read("a.lis", "8796093022208 1 0 0\n"),
        "a.lis, line 1: page 1099511627776 is beyond the largest, 1099511627775");
    refused(
        () -> read("a.lis", "0 9223372036854775807 0 0\n"),
        "a.lis, line 1: a request of 9223372036854775807 blocks cannot be meant;"
            + " expected at most 1 GiB");
    refused(() -> read("a.lis", "# nothing\n"), "a.lis: no accesses; expected at least one");
    refused(
        () -> read("a.lis", "x".repeat(1 << 20)),
        "a.lis, line 1: longer than 65536 bytes; expected lines of text");
    refused(
        () -> read("a.lis", "\u001b[2J 1 0 0\n"),
        "a.lis, line 1: \"?[2J\" is not a number (start block)");
  }

  @Test
  void theLargestRequestIsAccepted() throws IOException {
    Trace trace = read("a.lis", "7 2097152 0 0\n");
    assertThat(trace.count(0)).isEqualTo((1 << 18) + 1);
    refused(
        () -> read("a.lis", "0 2097153 0 0\n"),
        "a.lis, line 1: a request of 2097153 blocks cannot be meant; expected at most 1 GiB");
  }

  @Test
  void distinctPagesAreCountedNearAndFar() throws IOException {
    String near = "0 80 0 0\n40 80 0 1\n0 8 0 2\n";
    Trace dense = read("near.lis", near);
    assertThat(dense.pages()).isEqualTo(21);
    assertThat(dense.distinctPages()).isEqualTo(15);
    Trace sparse = read("far.lis", near + "8796093022184 8 0 3\n");
    assertThat(sparse.first(3)).isEqualTo(Trace.MAX_PAGE - 2);
    assertThat(sparse.distinctPages()).isEqualTo(16);
  }

  // disksim, spc, msr: several devices

  @Test
  void devicesLieOneBehindTheOtherInTheOrderOfTheirNumbers() throws IOException {
    Trace trace = read("a.trace", "1000 10 0 8 1\n1500 2 16 8 0\n1400 10 8 16 1\n");
    // Device 2 has pages 0 to 2, then 1024 of gap.
    assertThat(rows(trace)).containsExactly("0 0 r 1027+1", "500 1 w 2+1", "400 0 r 1028+2");
    refused(
        () -> read("a.disksim", "1000 0 0 8 2\n"),
        "a.disksim, line 1: \"2\" is no type; expected 1 (read) or 0 (write)");
  }

  @Test
  void disksimTimesWithAPointAreMilliseconds() throws IOException {
    Trace trace = read("a.trace", "0.000000 0 80 8 1\n12.500000 0 84 8 0\n13.0000019 0 80 8 1\n");
    assertThat(rows(trace)).containsExactly("0 0 r 10+1", "12500000 0 w 10+2", "13000001 0 r 10+1");
    refused(
        () -> read("a.trace", "0.5 0 80 8 1\n12 0 80 8 0\n"),
        "a.trace, line 2: \"12\" is in nanoseconds; expected decimal milliseconds, as in the first"
            + " line");
    refused(
        () -> read("a.trace", "5 0 80 8 1\n12.5 0 80 8 0\n"),
        "a.trace, line 2: \"12.5\" is in milliseconds; expected whole nanoseconds, as in the first"
            + " line");
  }

  @Test
  void spcSizesAreBytesAndTimesSeconds() throws IOException {
    Trace trace = read("a.spc", "1,8,8192,R,10.5\n0,0,512,w,11.000000001,extra\n1,9,1,r,12\n");
    assertThat(rows(trace))
        .containsExactly("0 0 r 1026+2", "500000001 1 w 0+1", "1500000000 0 r 1026+1");
    refused(
        () -> read("a.spc", "1,8,8192,x,10.5\n"),
        "a.spc, line 1: \"x\" is no opcode; expected r or w");
    refused(
        () -> read("a.spc", "1,8,8192,r,10.5.1\n"),
        "a.spc, line 1: \"10.5.1\" is not a number (time in seconds)");
    refused(
        () -> read("a.spc", "1,8,8192,r\n"),
        "a.spc, line 1: 4 fields; expected ASU,LBA,bytes,r|w,seconds");
  }

  @Test
  void msrTicksAreOf100NanosecondsAndDisksAreTheirHosts() throws IOException {
    String line = "128166372003061629,usr,1,Read,8192,4096,41286\n";
    Trace trace = read("usr.csv", line + "128166372003061639,prn,0,Write,4095,2,5\n" + line);
    assertThat(rows(trace)).containsExactly("0 0 r 1028+1", "1000 1 w 0+2", "0 0 r 1028+1");
    Trace headed =
        read("h.csv", "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime\n" + line);
    assertThat(rows(headed)).containsExactly("0 0 r 2+1");
    refused(
        () -> read("usr.csv", line + "1,usr,1,Trim,8192,4096,41286\n"),
        "usr.csv, line 2: \"Trim\" is no Type; expected Read or Write");
  }

  // blkparse

  @Test
  void blkparseQueueEventsAreReadUpToTheSummary() throws IOException {
    String text =
        """
          8,0    3        1     0.000000000   697  G   W 223490 + 8 [kjournald]
          8,0    3        2     0.000001829   697  Q  WS 223488 + 8 [kjournald]
          8,16   1        1     0.000002000  1204  Q  RA 16 + 16 [a b]
          8,0    3        3     0.000003000   697  Q   D 0 + 800 [fstrim]
          8,0    3        4     0.000003500   697  Q FWS [kjournald]
          8,0    3        5     0.000004000     0  C   W 223488 + 8 [0]
          8,0    3        6     0.000005000     0  m   N cfq workload slice:100

        CPU0 (8,0):
         Reads Queued:           1,        4KiB  Writes Queued:           1,        4KiB
        Total (8,0):
        """;
    assertThat(rows(read("b.txt", text)))
        .containsExactly("0 697 w 27936+1", "171 1204 r " + (27937 + 1024 + 2) + "+2");
    refused(
        () -> read("b.blkparse", "8,0 1 1 0.0 5 Q R 5 +\n"),
        "b.blkparse, line 1: 9 fields; expected major,minor cpu sequence seconds pid action RWBS"
            + " sector + sectors [command]");
    refused(
        () -> read("b.blkparse", "8 1 1 0.0 5 Q R 5 + 1\n"),
        "b.blkparse, line 1: \"8\" is no device; expected major,minor");
  }

  private static String queued(int cpu, String seconds, String rwbs, long sector) {
    return "259,0  %3d        1     %s   100  Q %3s %d + 8 [dd]\n"
        .formatted(cpu, seconds, rwbs, sector);
  }

  private static final String SUMMARY =
      """
      dd (100)
       Reads Queued:           2,        8KiB\t Writes Queued:           0,        0KiB
       Allocation wait:        0        \t Allocation wait:         0
      a (b) c (7, ...)
       Reads Queued:           2,        8KiB\t Writes Queued:           0,        0KiB

      CPU0 (nvme0n1):
       Reads Queued:           2,        8KiB\t Writes Queued:           0,        0KiB
       Read depth:             1        \t Write depth:             0
       PC Reads Compl.:        1\t\t PC Writes Compl.:       0
       IO unplugs:             0        \t Timer unplugs:           0

      Total (nvme0n1):
       Reads Queued:           2,        8KiB\t Writes Queued:           0,        0KiB

      Throughput (R/W): 0KiB/s / 0KiB/s
      Events (nvme0n1): 1,234 entries
      Skips: 0 forward (0 -   0.0%)
      """;

  @Test
  void blkparseOutputsThatFollowEachOtherAreAllRead() throws IOException {
    String one = queued(0, "0.000000000", "R", 0) + queued(0, "0.500000000", "R", 8) + SUMMARY;
    Trace trace = read("b.txt", one + one);
    assertThat(rows(trace))
        .containsExactly(
            "0 100 r 0+1", "500000000 100 r 1+1", "0 100 r 0+1", "500000000 100 r 1+1");
    assertThat(trace.warnings())
        .containsExactly(
            "Times are not in order: they step back before 1 of 4 requests, first in line 21, by at"
                + " most 0.5 s. The file's order is kept.");
  }

  @Test
  void blkparsesInputFilesMayStandAnywhere() throws IOException {
    String input = "Input file my disks/sda.blktrace.0 added\n";
    String event = queued(0, "0.000000000", "R", 0);
    assertThat(rows(read("b.txt", input + input + event + SUMMARY + input + event)))
        .containsExactly("0 100 r 0+1", "0 100 r 0+1");
  }

  /// The lines that name the input files have a buffer of 4096 bytes of their own, which may end
  /// within one of them.
  @Test
  void anEventBehindHalfAnInputLineIsRead() throws IOException {
    int cpus = 160;
    StringBuilder inputs = new StringBuilder();
    StringBuilder events = new StringBuilder();
    for (int cpu = 0; cpu < cpus; cpu++) {
      inputs.append("Input file nvme0n1.blktrace.").append(cpu).append(" added\n");
      events.append(queued(cpu, "0.000000000", "R", 8L * cpu));
    }
    // Within a word, and within the file's number, where the digits of a device follow.
    int number = inputs.indexOf(".110 added");
    for (int cut : new int[] {4096, number, number + 1, number + 2, number + 3, number + 4}) {
      for (String device : List.of("259,0  ", "  8,16 ")) {
        String text =
            inputs.substring(0, cut)
                + events.toString().replace("259,0  ", device)
                + SUMMARY
                + inputs.substring(cut);
        Trace trace = read("b.txt", text);
        assertThat(trace.requests()).as(device + cut).isEqualTo(cpus);
        assertThat(trace.distinctPages()).as(device + cut).isEqualTo(cpus);
        // One device: no gap lies between the first page and the rest.
        assertThat(trace.first(cpus - 1)).as(device + cut).isEqualTo(cpus - 1);
      }
    }
  }

  @Test
  void blkparseZoneAppendsAreWritesAndOtherCommandsForZonesAreNone() throws IOException {
    StringBuilder text = new StringBuilder();
    for (String rwbs : List.of("ZR", "ZRA", "ZO", "ZC", "ZF", "D", "DE", "WZ", "WZS", "N", "FN")) {
      text.append(queued(0, "0.000000000", rwbs, 800));
    }
    for (String rwbs : List.of("ZA", "ZAS", "R", "RA", "W", "WFS", "FWS", "FWFSM")) {
      text.append(queued(0, "0.000000000", rwbs, 8));
    }
    String write = "0 100 w 1+1";
    String read = "0 100 r 1+1";
    assertThat(rows(read("b.txt", text.toString())))
        .containsExactly(write, write, read, read, write, write, write, write);
  }

  @Test
  void blkparseWithoutQueueEventsSaysWhichThereAre() {
    String text =
        """
          8,0    0        5     0.000000200   100  D   R 0 + 8 [dd]
          8,0    0        6     0.000400000     0  C   R 0 + 8 [0]
          8,0    0        0     0.000400000     0  m   N a message
          8,0    0       67     0.030299000   101  Q   D 16384 + 2048 [Web Content]
        """;
    refused(
        () -> read("b.txt", text),
        "b.txt: only C and D events; expected queue events (Q) of reads or writes");
  }

  @Test
  void aLineThatBlkparseNeverPrintsEndsTheReading() {
    String event = queued(0, "0.000000000", "R", 0);
    refused(
        () ->
            read(
                "b.blkparse",
                "1000000 311 postmaster 2048 8 R 8 1 0123456789abcdef0123456789abcdef"),
        "b.blkparse, line 1: \"1000000\" is no device; expected major,minor");
    refused(
        () -> read("b.txt", event + "\nsome 1 1 0.0 5 other words\n" + event),
        "b.txt, line 3: \"some\" is no device; expected major,minor");
    refused(
        () -> read("b.txt", event + SUMMARY + "1000000 311 postmaster 2048 8 R 8 1\n"),
        "b.txt, line 20: \"1000000\" is no device; expected major,minor");
    refused(
        () -> read("b.txt", event + "  8,0    3        1     0.0000"),
        "b.txt, line 2: 4 fields; expected major,minor cpu sequence seconds pid action RWBS sector"
            + " + sectors [command]");
    refused(
        () -> read("b.txt", event + "  8,0    3        1     0.000000000   697  Q   R 8 - 8 [x]"),
        "b.txt, line 2: \"-\" is no +; expected major,minor cpu sequence seconds pid action RWBS"
            + " sector + sectors [command]");
    refused(
        () -> read("b.txt", event + "  8,0    3        x     0.000000000   697  C   R 8 + 8 [0]"),
        "b.txt, line 2: \"x\" is not a number (sequence)");
  }

  @Test
  void commandsThatPassTheBlockLayerByAreNoAccesses() throws IOException {
    String text =
        queued(0, "0.000000000", "R", 0)
            + "  8,0    3 -2147483648     0.000000000   697  Q   R 36 (12 00 00 ..) [smartctl]\n"
            + "  8,0    3        1     0.000000000   697  Q   R 36 [smartctl]\n"
            + "  8,0    3        1     0.000000000   697  Q FWS [jbd2]\n";
    assertThat(rows(read("b.txt", text))).containsExactly("0 100 r 0+1");
  }

  // nbdkit

  @Test
  void nbdkitsReadsAndWritesAreReadOverMidnight() throws IOException {
    String text =
        """
        2026-11-22 23:59:59.586409 Ready thread_model=3
        2026-11-22 23:59:59.593574 Preconnect id=1 readonly=0 ...
        2026-11-22 23:59:59.593592 ...Preconnect id=1 return=0
        2026-11-22 23:59:59.593763 connection=1 Connect export="" tls=0 size=0x4000000 write=1
        2026-11-22 23:59:59.999999 connection=1 Read id=1 offset=0x1000 count=0x10000 ...
        2026-11-22 23:59:59.999999 connection=1 ...Read id=1 return=0
        2026-11-23 00:00:00.000001 connection=1 Write id=2 offset=0x1fff count=0x2 fua=1 ...
        2026-11-23 00:00:00.000002 connection=1 Zero id=3 offset=0x10000 count=0x10000 trim=0 ...
        2026-11-23 00:00:00.000003 connection=1 Trim id=4 offset=0x100000 count=0x100000 fua=0 ...
        2026-11-23 00:00:00.000004 connection=1 Flush id=5 ...
        2026-11-23 00:00:00.000005 connection=1 Disconnect transactions=5
        """;
    assertThat(rows(read("n.log", text))).containsExactly("0 0 r 1+16", "2000 0 w 1+2");
    refused(
        () ->
            read(
                "n.log",
                text + "2026-11-23 00:00:01.000000 connection=1 Read id=1 offset=7 count=0x1"),
        "n.log, line 12: \"offset=7\"; expected offset=0x and hexadecimal digits (offset)");
    refused(
        () -> read("n.log", text + "2026-13-23 00:00:01.000000 connection=1 Flush id=9 ..."),
        "n.log, line 12: \"2026-13-23\" is no date; expected YYYY-MM-DD");
  }

  @Test
  void nbdkitsExportsAreDevices() throws IOException {
    String text =
        """
        2026-11-22 23:00:00.000000 connection=1 Connect export="b" tls=0
        2026-11-22 23:00:00.000000 connection=2 Connect export="a" tls=0
        2026-11-22 23:00:00.000000 connection=3 Connect export="b" tls=0
        2026-11-22 23:00:00.000000 connection=1 Read id=1 offset=0x0 count=0x1 ...
        2026-11-22 23:00:00.000000 connection=2 Read id=1 offset=0x0 count=0x1 ...
        2026-11-22 23:00:00.000000 connection=3 Read id=1 offset=0x0 count=0x1 ...
        """;
    assertThat(rows(read("n.log", text)))
        .containsExactly("0 0 r 1025+1", "0 1 r 0+1", "0 0 r 1025+1");
  }

  @Test
  void nbdkitsExportsMayHaveBlanksAndQuotesInTheirNames() throws IOException {
    String text =
        """
        2026-11-22 23:00:00.000000 connection=1 Connect export="web disk.raw" tls=0
        2026-11-22 23:00:00.000000 connection=2 Connect export="web \\"logs\\".raw" tls=0
        2026-11-22 23:00:00.000000 connection=3 Connect export="web \\"logs\\" old" tls=0
        2026-11-22 23:00:00.000000 connection=4 Connect export=plain.raw tls=0
        2026-11-22 23:00:00.000000 connection=5 Connect export="web disk.raw" tls=1
        """;
    StringBuilder reads = new StringBuilder();
    for (int connection = 1; connection <= 5; connection++) {
      reads.append("2026-11-22 23:00:00.000000 connection=").append(connection);
      reads.append(" Read id=1 offset=0x2000 count=0x10000 ...\n");
    }
    Trace trace = read("n.log", text + reads);
    assertThat(trace.distinctPages()).isEqualTo(4 * 16);
    assertThat(trace.first(4)).isEqualTo(trace.first(0));
    refused(
        () -> read("n.log", text.replace(".raw\" tls=0", ".raw") + reads),
        "n.log, line 1: \"export=\"web\" has no closing quote (export)");
  }

  @Test
  void aSecondNbdkitsConnectionsAreItsOwn() throws IOException {
    String ready = "2026-11-22 23:00:00.000000 Ready thread_model=3\n";
    String connect = "2026-11-22 23:00:00.000000 connection=1 Connect export=a tls=0\n";
    String read = "2026-11-22 23:00:00.000000 connection=1 Read id=1 offset=0x0 count=0x1 ...\n";
    Trace trace = read("n.log", ready + connect + read + ready + read);
    assertThat(trace.distinctPages()).isEqualTo(2);
  }

  @Test
  void aLineThatNbdkitNeverWritesEndsTheReading() {
    String read = "2026-11-22 23:00:00.000000 connection=1 Read id=1 offset=0x0 count=0x1 ...\n";
    String shape = "date time connection=N Read|Write id=N offset=0xN count=0xN ...";
    refused(
        () -> read("n.log", read + "nbdkit: file.1: error: pread: Input/output error\n"),
        "n.log, line 2: \"nbdkit:\" is no date; expected YYYY-MM-DD");
    refused(
        () -> read("n.log", read + "2026-11-22 23:00 connection=1 Read\n"),
        "n.log, line 2: \"23:00\" is no time; expected HH:MM:SS.microseconds");
    refused(
        () -> read("n.log", read + "2026-11-22 23:00:00.000000 connection=1 read id=1\n"),
        "n.log, line 2: \"read\" is no action; expected " + shape);
    refused(
        () -> read("n.log", read + "2026-11-22 23:00:00.000000 connection=1\n"),
        "n.log, line 2: 3 fields; expected " + shape);
  }

  // times

  @Test
  void timesThatStepBackAreSaidWithTheirNumberAndTheFirstLine() throws IOException {
    Trace trace = read("a.trace", "1000 0 0 8 1\n\n3000 0 8 8 1\n500 0 16 8 1\n400 0 24 8 1\n");
    assertThat(trace.warnings())
        .containsExactly(
            "Times are not in order: they step back before 2 of 4 requests, first in line 4, by at"
                + " most 0.0000025 s. The file's order is kept.");
    ByteBuffer file = little(3 * 24);
    oracle(file, 100, 7);
    oracle(file, 40, 9);
    oracle(file, 40, 9);
    assertThat(read("w.oracleGeneral", bytes(file)).warnings())
        .singleElement()
        .asString()
        .contains("1 of 3 requests", "record 2", "most 60 s");
  }

  @Test
  void runsSideBySideNeedNotBeInOrder() throws IOException {
    String text = "t_us,stream,program,run,object,extent\n5,0,a,1,0,7\n3,1,b,1,0,7\n6,0,a,1,0,8\n";
    assertThat(read("a.csv", text).warnings()).isEmpty();
    assertThat(read("a.csv", text + "5,0,a,1,0,9\n").warnings())
        .singleElement()
        .asString()
        .contains("1 of 4 requests", "line 5");
  }

  // overlaybd

  private static void overlaybd(
      ByteBuffer out, char operation, int layer, long count, long offset) {
    out.putInt(operation).putInt(layer).putLong(count).putLong(offset);
  }

  private static ByteBuffer overlaybdHeader(int records, long dataBytes) {
    ByteBuffer out = little(24 * (1 + records));
    return out.putInt((int) 3_270_449_184L).putInt(0).putLong(dataBytes).putLong(0);
  }

  @Test
  void overlaybdLayersAreDevices() throws IOException {
    ByteBuffer file = overlaybdHeader(2, 48);
    overlaybd(file, 'R', 3, 8192, 4096);
    overlaybd(file, 'R', 1, 1, 0);
    Trace trace = read("trace", bytes(file));
    assertThat(rows(trace)).containsExactly("0 0 r 1026+2", "0 1 r 0+1");
    assertThat(trace.isTimed()).isFalse();
  }

  @Test
  void overlaybdFilesThatTheirHeaderDoesNotDescribeAreRefused() {
    ByteBuffer length = overlaybdHeader(1, 48);
    overlaybd(length, 'R', 0, 1, 0);
    refused(
        () -> read("trace", bytes(length)),
        "trace: 24 bytes of records; expected 48, as its header says");
    ByteBuffer count = overlaybdHeader(1, 24);
    overlaybd(count, 'R', 0, -1, 0);
    refused(
        () -> read("trace", bytes(count)),
        "trace, record 2: a request of 18446744073709551615 bytes cannot be meant;"
            + " expected at most 1 GiB");
    ByteBuffer offset = overlaybdHeader(1, 24);
    overlaybd(offset, 'R', 0, 1, -1);
    refused(
        () -> read("trace", bytes(offset)),
        "trace, record 2: byte 18446744073709551615 is beyond every device");
    refused(
        () ->
            TraceFiles.read(
                Files.write(folder.resolve("x"), new byte[48]), "overlaybd", Progress.NONE),
        "x: no header of an overlaybd trace");
  }

  // oracle-general

  private static void oracle(ByteBuffer out, int seconds, long object) {
    out.putInt(seconds).putLong(object).putInt(0).putLong(-1);
  }

  @Test
  void oracleGeneralObjectsArePages() throws IOException {
    ByteBuffer file = little(48);
    oracle(file, 100, 7);
    oracle(file, 102, 9);
    Trace trace = read("w.oracleGeneral.bin", bytes(file));
    assertThat(trace.name()).isEqualTo("w");
    assertThat(rows(trace)).containsExactly("0 0 r 7+1", "2000000000 0 r 9+1");
    assertThat(trace.warnings()).isEmpty();
  }

  @Test
  void hashedObjectsAreNumberedAndTheTraceSaysSo() throws IOException {
    ByteBuffer file = little(72);
    oracle(file, 0, -1);
    oracle(file, 0, 5);
    oracle(file, 0, -1);
    Trace trace = read("w.oracleGeneral", bytes(file));
    assertThat(rows(trace)).containsExactly("0 0 r 0+1", "0 0 r 1+1", "0 0 r 0+1");
    assertThat(trace.warnings()).singleElement().asString().contains("hashes", "mean nothing");
  }

  // access-csv

  @Test
  void aByteOrderMarkBeforeTheHeaderIsPassedOver() throws IOException {
    Trace trace =
        read(
            "a.csv",
            "\ufefft_us,stream,program,run,object,extent\r\n1,0,p,1,0,5\r\n2,0,p,1,0,6\r\n");
    assertThat(trace.requests()).isEqualTo(2);
    assertThat(trace.first(1)).isEqualTo(6);
  }

  @Test
  void extentsBelongToRuns() throws IOException {
    String text =
        """
        t_us,stream,program,run,object,extent
        5,0,gcc,1,0,7
        6,1,java,1,0,3
        7,0,gcc,2,0,7
        6,1,java,1,1,0
        """;
    Trace trace = read("starts64k.csv", text);
    assertThat(rows(trace))
        .containsExactly("5000 0 r 7+1", "6000 1 r 3+1", "7000 0 r 7+1", "6000 1 r 1032+1");
    assertThat(trace.runs())
        .containsExactly(
            new Trace.Run("gcc", 1, 0), new Trace.Run("java", 1, 1), new Trace.Run("gcc", 2, 0));
    assertThat(trace.run(3)).isEqualTo(1);
    assertThat(trace.unitBytes()).isEqualTo(65536);
    assertThat(read("starts4k.csv", text).unitBytes()).isEqualTo(4096);
    assertThat(read("starts.csv", text).unitBytes()).isEqualTo(65536);
    Path file = folder.resolve("starts4k.csv");
    assertThat(TraceFiles.read(file, "access-csv", OptionalInt.of(8192), Progress.NONE).unitBytes())
        .isEqualTo(8192);
  }

  @Test
  void lookupsLieInTheOrderOfTheInodes() throws IOException {
    Files.writeString(folder.resolve("dev.files.csv"), "ino,pages_seen\n30,10\n4,5\n7,2\n");
    String header = "t_us,pid,comm,ev,ino,start_page,npages\n";
    Trace trace = read("dev.csv", header + "0,11,cc,R,30,0,10\n5,12,x,M,4,4,1\n9,11,cc,F,7,1,1\n");
    assertThat(rows(trace)).containsExactly("0 11 r 7+10", "5000 12 r 4+1", "9000 11 r 6+1");
    assertThat(trace.runs()).containsExactly(new Trace.Run("dev", 1, 0));
    refused(
        () -> read("dev.csv", header + "0,11,cc,R,31,0,10\n"),
        "dev.csv, line 2: inode 31 is not in dev.files.csv");
    refused(
        () -> read("dev.csv", header + "0,11,cc,R,7,1,2\n"),
        "dev.csv, line 2: pages 1 + 2 of inode 7, which has 2 in dev.files.csv");
    refused(
        () -> read("other.csv", header + "0,11,cc,R,7,1,2\n"),
        folder.resolve("other.files.csv")
            + ": no such file; a recording of page-cache lookups needs it (ino,pages_seen)");
  }

  @Test
  void recordingsOfBootsAreReadBehindTheirComments() throws IOException {
    Trace trace =
        read("web-1.csv", "# role: web\n# seed: 1\nstart_us,end_us,offset,length\n5,9,512,4096\n");
    assertThat(rows(trace)).containsExactly("5000 0 r 0+2");
    assertThat(trace.name()).isEqualTo("web-1");
  }

  @Test
  void anUnknownHeaderNamesTheKnownOnes() {
    Path file = folder.resolve("x.csv");
    assertThatThrownBy(
            () -> TraceFiles.read(Files.writeString(file, "a,b\n"), "access-csv", Progress.NONE))
        .isInstanceOf(TraceException.class)
        .hasMessageStartingWith("x.csv, line 1: no header of an access CSV; expected one of t_us,");
  }

  // ---- an exported history

  private static final String HISTORY =
      "timeNanos,tenant,program,vm,type,space,resource,access,sizeBytes,cause,waited,latencyNanos,run\n";

  @Test
  void anExportedHistoryIsReadRunByRun() throws IOException {
    Trace trace =
        read(
            "week.csv",
            HISTORY
                + "9000,default,web,a,network-connection,\"db:1,proxy=v2\",0,READ,1,DEMAND,true,5,7\n"
                + "1000,default,web,a,file-block,x.raw,3,READ,65536,DEMAND,true,5,7\n"
                + "1500,default,web,b,file-block,x.raw,4,READ,65536,DEMAND,true,5,7\n"
                + "2000,default,web,a,file-block,y.raw,0,WRITE,65536,DEMAND,false,5,7\n"
                + "2100,default,web,a,file-block,x.raw,9,READ,65536,PREFETCH,false,5,7\n"
                + "2200,default,web,a,file-block,x.raw,9,READ,65536,DEMAND,false,5,0\n"
                + "2300,default,web,a,memory-page,m,9,READ,4096,DEMAND,false,5,7\n"
                + "3000,default,web,a,file-block,x.raw,3,READ,65536,DEMAND,true,5,8\n");
    assertThat(rows(trace))
        .containsExactly(
            "0 1 r 3+1",
            "500 2 r 4+1",
            "1000 1 w " + (5 + Requests.GAP_PAGES) + "+1",
            "2000 1 r 3+1");
    assertThat(trace.unitBytes()).isEqualTo(65536);
    assertThat(trace.runs())
        .containsExactly(
            new Trace.Run("default/web", 1, 1),
            new Trace.Run("default/web", 2, 2),
            new Trace.Run("default/web", 3, 1));
    assertThat(trace.warnings()).hasSize(1);
    assertThat(trace.warnings().getFirst()).startsWith("Left out, ").endsWith(": 3.");
  }

  @Test
  void aHistoryWithoutBlocksOrPagesIsRefused() {
    refused(() -> read("week.csv", HISTORY), "week.csv: no accesses; expected at least one");
  }
}
