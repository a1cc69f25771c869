package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Names of exports that are as long as they can be, or written for whoever reads the log.
@Timeout(60)
final class HostileNamesTest {
  private static final int UNKNOWN = 0x80000006;
  private static final int TOO_BIG = 0x80000009;
  // What NBD allows for a string.
  private static final int LONGEST = 4096;

  private @TempDir Path directory;
  private final Logger logger = Logger.getLogger("dev.prestage.dataplane.nbd");
  private final List<String> lines = new CopyOnWriteArrayList<>();
  private final Handler capture =
      new Handler() {
        @Override
        public void publish(LogRecord line) {
          lines.add(new SimpleFormatter().formatMessage(line));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };
  private Site site;
  private DataPlane plane;
  private ControlPlane control;

  @BeforeEach
  void attach() throws Exception {
    site = new Site(directory);
    site.image("disk.raw", 1000, 3);
    plane = site.start();
    control = site.control();
    assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).isEmpty();
    logger.addHandler(capture);
  }

  @AfterEach
  void stop() throws Exception {
    logger.removeHandler(capture);
    control.close();
    plane.close();
  }

  private static byte[] go(String name) {
    byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(6 + utf8.length).putInt(utf8.length).put(utf8).array();
  }

  @Test
  void theLongestNameIsUnknownInAShortTextAndTheConnectionLives() throws Exception {
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      for (String letter : new String[] {"a", "\n", "\ud83d\udc27"}) {
        int bytes = letter.getBytes(StandardCharsets.UTF_8).length;
        client.option(7, go(letter.repeat(LONGEST / bytes)));
        RawClient.Reply refused = client.reply();
        assertThat(refused.kind()).isEqualTo(UNKNOWN);
        assertThat(refused.text().getBytes(StandardCharsets.UTF_8))
            .hasSizeLessThanOrEqualTo(LONGEST);
      }
      client.option(7, go("a".repeat(LONGEST + 1)));
      assertThat(client.reply().kind()).isEqualTo(TOO_BIG);
      client.option(7, go("vm1"));
      assertThat(client.reply().kind()).as("INFO_EXPORT").isEqualTo(3);
    }
  }

  @Test
  void nbdinfoSaysThatThereIsNoExportOfTheLongestName() throws Exception {
    Tools.need("nbdinfo", "libnbd-bin");
    assertThat(Tools.run("nbdinfo", "--size", site.uri("a".repeat(LONGEST))).output())
        .contains("server has no export named");
  }

  private void hangUpOver(byte[] name) throws Exception {
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(1, name);
      assertThat(client.isHungUp()).isTrue();
    }
  }

  @Test
  void aNameForgesNoLineAndMovesNoTerminal() throws Exception {
    hangUpOver(
        "x\n2026-01-01 00:00:00.000 SEVERE the disk is dying\r\u001b[31m\u202e\u2028\u0085"
            .getBytes(StandardCharsets.UTF_8));
    assertThat(lines).hasSize(1);
    assertThat(lines.getFirst())
        .contains("'x\\u{a}2026-01-01 00:00:00.000 SEVERE the disk is dying\\u{d}\\u{1b}[31m")
        .contains("\\u{202e}\\u{2028}\\u{85}'")
        .doesNotContainPattern("[\\p{Cntrl}\\u0085\\u2028\\u202e]");
  }

  @Test
  void manyLongNamesMakeAFewShortLines() throws Exception {
    for (int i = 0; i < 200; i++) {
      hangUpOver((i + "A".repeat(60_000)).getBytes(StandardCharsets.UTF_8));
    }
    assertThat(lines).hasSizeBetween(1, 20).allMatch(line -> line.length() < 400);
  }
}
