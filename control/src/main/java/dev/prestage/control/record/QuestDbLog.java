package dev.prestage.control.record;

import io.questdb.log.LogFactory;
import io.questdb.log.LogLevel;
import io.questdb.log.LogRecordUtf8Sink;
import io.questdb.log.LogWriter;
import io.questdb.mp.RingQueue;
import io.questdb.mp.SCSequence;
import io.questdb.mp.SynchronizedJob;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/// Leads QuestDB's own log into ours: what is critical as a warning, errors for debugging, the rest
/// nowhere. Left alone it writes tens of lines to standard output at each start.
///
/// QuestDB makes this object from `questdb-log.conf`, by the class's name; that is why it is
/// public.
public final class QuestDbLog extends SynchronizedJob implements LogWriter {
  private static final System.Logger LOG = System.getLogger("dev.prestage.history.questdb");

  /// QuestDB's name for the system property that names its log configuration.
  private static final String PROPERTY = LogFactory.CONFIG_SYSTEM_PROPERTY;

  /// QuestDB has a thread for its log that looks at the queue at least a hundred times a second,
  /// which takes 1 % of a core, for a line in a month. The thread does nothing else, so it waits
  /// here.
  private static final long PAUSE_NANOS = Duration.ofMillis(100).toNanos();

  private final RingQueue<LogRecordUtf8Sink> ring;
  private final SCSequence sequence;
  private final int level;

  /// For QuestDB.
  public QuestDbLog(RingQueue<LogRecordUtf8Sink> ring, SCSequence sequence, int level) {
    this.ring = ring;
    this.sequence = sequence;
    this.level = level;
  }

  /// Must run before any other class of QuestDB is touched. Harmless when repeated.
  static synchronized void install() {
    if (System.getProperty(PROPERTY) != null) {
      return; // the operator wants to see QuestDB's own log
    }
    // The only way in is a property with the name "out" and a line on standard error; the property
    // is taken back and that one line is swallowed, everybody else's pass.
    PrintStream standardError = System.err;
    System.setProperty(PROPERTY, "/dev/prestage/control/record/questdb-log.conf");
    System.setErr(new WithoutGreeting(standardError));
    try {
      LogFactory.getInstance();
    } finally {
      System.setErr(standardError);
      System.clearProperty(PROPERTY);
    }
  }

  @Override
  public void bindProperties(LogFactory factory) {}

  @Override
  protected boolean runSerially() {
    boolean busy = sequence.consumeAll(ring, this::write);
    if (!busy) {
      LockSupport.parkNanos(this, PAUSE_NANOS);
    }
    return busy;
  }

  private void write(LogRecordUtf8Sink line) {
    int lineLevel = line.getLevel();
    if ((lineLevel & level) == 0) {
      return;
    }
    if ((lineLevel & LogLevel.CRITICAL) != 0) {
      LOG.log(System.Logger.Level.WARNING, text(line));
    } else if ((lineLevel & LogLevel.ERROR) != 0 && LOG.isLoggable(System.Logger.Level.DEBUG)) {
      LOG.log(System.Logger.Level.DEBUG, text(line));
    }
  }

  private static String text(LogRecordUtf8Sink line) {
    byte[] bytes = new byte[line.size()];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = line.byteAt(i);
    }
    return new String(bytes, StandardCharsets.UTF_8).strip();
  }

  private static final class WithoutGreeting extends PrintStream {
    WithoutGreeting(PrintStream out) {
      super(out, true, StandardCharsets.UTF_8);
    }

    @Override
    public void println(String line) {
      if (line == null || !line.startsWith("Log configuration loaded")) {
        super.println(line);
      }
    }
  }
}
