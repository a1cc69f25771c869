package dev.prestage.control.vm.qmp;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.link.host.IoProblem;
import java.io.EOFException;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// One machine: its QMP socket, what its file says, and whether it runs.
///
/// A machine is running from QEMU's word on, and stopped when QEMU says so or ends the connection.
/// While its socket cannot be talked to for any other reason, what was known last holds.
final class QmpMachine {
  private static final System.Logger LOG = System.getLogger(QmpMachine.class.getName());

  /// The ids of objects that say what a machine runs, for those that have no file.
  private static final String PROGRAM = "/objects/prestage.program";

  private static final String IMAGE = "/objects/prestage.image";

  /// In these states the machine's program has not begun or has ended.
  private static final Set<String> NOT_RUNNING =
      Set.of("prelaunch", "inmigrate", "postmigrate", "shutdown", "preconfig");

  /// After what came was no QMP, the socket is left alone for so long.
  private static final Duration REST = Duration.ofSeconds(5);

  private final String name;
  private final Path socket;
  private final Duration deadline;
  private final Consumer<GuestEvent> tell;
  private final DiskLimits limits = new DiskLimits();

  /// Held while QEMU is asked, so that what belongs together is not mixed with what others ask.
  private final ReentrantLock asking = new ReentrantLock();

  private MachineFile file = MachineFile.NONE;
  private @Nullable Attachment label;
  private @Nullable Boolean running;
  private boolean inSession;
  private long restUntilNanos;

  /// Who can be asked.
  private volatile @Nullable QmpClient client;

  /// The same, or who has not greeted yet.
  private volatile @Nullable QmpClient connection;

  private volatile String trouble = "";
  private volatile boolean closed;

  /// Asks a machine that runs.
  @FunctionalInterface
  interface Question<T> {
    T ask(QmpClient client) throws IOException;
  }

  /// @param tell gets what happens, in order, on any thread; must not block
  QmpMachine(String name, Path socket, Duration deadline, Consumer<GuestEvent> tell) {
    this.name = name;
    this.socket = socket;
    this.deadline = deadline;
    this.tell = tell;
    this.restUntilNanos = System.nanoTime();
  }

  String name() {
    return name;
  }

  DiskLimits limits() {
    return limits;
  }

  // ---- what is known

  /// The guest, or null as long as it is not known whether it runs.
  synchronized @Nullable Guest guest() {
    return running == null ? null : new Guest(name, name, running, file.present(), attachment());
  }

  private @Nullable Attachment attachment() {
    return file.attachment() == null ? label : file.attachment();
  }

  synchronized boolean isConnected() {
    return client != null && Boolean.TRUE.equals(running);
  }

  /// Whether nothing is left of it.
  synchronized boolean isGone() {
    return !inSession && !file.present() && !Files.exists(socket);
  }

  /// One line about what is wrong, or empty.
  synchronized String trouble() {
    QmpClient now = client;
    if (!trouble.isEmpty()) {
      return name + ": " + trouble;
    }
    if (now != null && now.isSilent()) {
      return name + ": its QMP does not answer: QEMU hangs or is stopped";
    }
    return limits.isUnsettled()
        ? name + ": limits of its disks are being put back"
        : file.trouble();
  }

  // ---- what is looked at, by one thread

  /// Looks at its files, and begins a session where there is a socket and none.
  synchronized void look(Path definition) {
    MachineFile now = MachineFile.read(name, definition, file);
    final MachineFile before = file;
    file = now;
    if (!Objects.equals(before.attachment(), now.attachment()) && now.attachment() != null) {
      event(Kind.DEFINED);
    } else if (before.present() && !now.present()) {
      event(Kind.UNDEFINED);
    }
    if (inSession) {
      settleLater();
    } else if (!Files.exists(socket)) {
      trouble = "";
      runs(false);
    } else if (System.nanoTime() - restUntilNanos >= 0) {
      inSession = true;
      Thread.ofVirtual().name("qmp-session-" + name).start(this::session);
    }
  }

  private void settleLater() {
    QmpClient now = client;
    if (now != null && limits.isUnsettled() && !now.isSilent() && !asking.isLocked()) {
      Thread.ofVirtual().name("qmp-settle-" + name).start(() -> settle(now));
    }
  }

  // ---- a session

  private void session() {
    try {
      talk();
    } catch (IOException | RuntimeException e) {
      sessionFailed(e);
    } finally {
      client = null;
      synchronized (this) {
        inSession = false;
      }
    }
  }

  /// Connects, and stays until the connection is over.
  private void talk() throws IOException {
    QmpClient opened;
    try {
      opened = QmpClient.connect(socket, this::heard, deadline);
    } catch (ConnectException _) {
      // A QEMU that was killed leaves its socket.
      trouble = "";
      runs(false);
      return;
    }
    connection = opened;
    try (opened) {
      if (closed) {
        return;
      }
      awaitFrom(
          opened.greeting(), "its QMP socket does not greet: another client has it, or QEMU hangs");
      JsonNode _ = opened.execute("qmp_capabilities", QmpClient.object());
      Attachment found = label(opened);
      synchronized (this) {
        label = found;
      }
      client = opened;
      CompletableFuture<JsonNode> status = new CompletableFuture<>();
      CompletableFuture<Void> known =
          status.thenAccept(is -> runs(!NOT_RUNNING.contains(is.path("status").asText())));
      opened.submit("query-status", QmpClient.object(), status);
      awaitFrom(known, "its QMP does not say whether it runs: QEMU hangs");
      trouble = "";
      settle(opened);
      throw opened.ended().join();
    }
  }

  /// Waits for what QEMU has not said yet; says so when that takes longer than an answer should.
  private void awaitFrom(CompletableFuture<?> saying, String otherwise) throws IOException {
    try {
      try {
        Object _ = saying.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
      } catch (TimeoutException _) {
        say(otherwise);
        Object _ = saying.get();
      }
    } catch (ExecutionException e) {
      throw cause(e);
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  private static IOException cause(ExecutionException e) {
    return e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
  }

  private void sessionFailed(Exception e) {
    if (closed) {
      return;
    }
    if (e instanceof QmpClient.Garbage) {
      rest("its socket does not speak QMP: " + e.getMessage());
    } else if (e instanceof EOFException
        || e.getCause() instanceof EOFException
        || isReset(e)
        || !Files.exists(socket)) {
      trouble = "";
      runs(false);
    } else {
      rest("its QMP socket cannot be used: " + reason(e));
    }
  }

  /// A QEMU that ends with unread commands resets the connection.
  private static boolean isReset(Exception e) {
    String message = "" + e.getMessage();
    return message.contains("reset") || message.contains("Broken pipe");
  }

  private static String reason(Exception e) {
    return e instanceof IOException io ? IoProblem.explain(io) : e.toString();
  }

  private void rest(String what) {
    say(what);
    synchronized (this) {
      restUntilNanos = System.nanoTime() + Math.min(REST.toNanos(), deadline.toNanos());
    }
  }

  private void say(String what) {
    if (!what.equals(trouble)) {
      LOG.log(WARNING, "qemu: " + name + ": " + what);
    }
    trouble = what;
  }

  /// What the machine's objects say of its program, where it has any.
  private static @Nullable Attachment label(QmpClient client, String name) throws IOException {
    String program = identity(client, PROGRAM);
    return program.isEmpty() ? null : new Attachment(name, program, identity(client, IMAGE), "");
  }

  private @Nullable Attachment label(QmpClient opened) throws IOException {
    return label(opened, name);
  }

  private static String identity(QmpClient client, String object) throws IOException {
    try {
      return client
          .execute("qom-get", QmpClient.object().put("path", object).put("property", "identity"))
          .asText();
    } catch (QmpRefusal _) {
      return "";
    }
  }

  // ---- what happens

  /// On the reading thread.
  private void heard(JsonNode message) {
    switch (message.path("event").asText()) {
      case "RESUME" -> runs(true);
      case "SHUTDOWN" -> runs(false);
      case "RESET" -> reset();
      // A paused machine goes on with its run, and a button that was pressed is no stop.
      default -> {}
    }
  }

  /// What ran has ended, and the machine boots again.
  private synchronized void reset() {
    if (Boolean.TRUE.equals(running)) {
      event(Kind.STOPPED);
      event(Kind.STARTED);
    }
  }

  private synchronized void runs(boolean now) {
    boolean ran = Boolean.TRUE.equals(running);
    boolean unknown = running == null;
    running = now;
    if (unknown && !now && attachment() != null) {
      // Now it is known that it is there.
      event(Kind.DEFINED);
    }
    if (ran != now) {
      event(now ? Kind.STARTED : Kind.STOPPED);
    }
  }

  private void event(Kind kind) {
    tell.accept(new GuestEvent(name, name, kind));
  }

  // ---- questions

  /// Asks QEMU, while nobody else does.
  ///
  /// @throws HypervisorException one line that names the machine
  <T> T ask(Question<T> question) throws HypervisorException {
    QmpClient now = client;
    if (now == null || now.ended().isDone()) {
      String known = trouble;
      throw known.isEmpty()
          ? HypervisorException.gone(
              "'%s' does not run: nothing answers at %s".formatted(name, socket))
          : new HypervisorException("qemu: " + name + ": " + known);
    }
    asking.lock();
    try {
      return question.ask(now);
    } catch (QmpRefusal e) {
      throw new HypervisorException("qemu: " + name + " refuses: " + e.getMessage());
    } catch (IOException e) {
      throw new HypervisorException("qemu: " + name + ": " + e.getMessage());
    } finally {
      asking.unlock();
    }
  }

  /// Puts back what limits were before where nobody holds others.
  private void settle(QmpClient at) {
    asking.lock();
    try {
      int restored = limits.settle(at);
      if (restored > 0) {
        LOG.log(INFO, "qemu: {0}: the limits of {1} disks are as before", name, restored);
      }
    } catch (IOException e) {
      LOG.log(WARNING, "qemu: " + name + ": limits are not put back yet: " + e.getMessage());
    } finally {
      asking.unlock();
    }
  }

  void close() {
    closed = true;
    QmpClient now = connection;
    if (now != null) {
      now.close();
    }
  }
}
