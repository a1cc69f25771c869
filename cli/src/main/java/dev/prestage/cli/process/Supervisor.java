package dev.prestage.cli.process;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Starts both planes as processes of their own and starts each again when it ends, later each time
/// while it keeps ending. A plane that says at its first start that it cannot (exit code 2) ends
/// the whole. Once started it is tried again even then: guests are being served by the other.
///
/// A plane ends by itself when its standard input does: when this process is gone, whichever way.
final class Supervisor {
  /// The exit code of a plane that would fail again: wrong configuration, a folder in use.
  static final int CANNOT_START = 2;

  /// Tells a plane how the process before it ended.
  private static final String LAST_EXIT = "PRESTAGE_LAST_EXIT";

  /// How a process ends by itself: as a shell counts signals, with SIGABRT, with which a JVM
  /// answers a fault of its own, SIGBUS, SIGFPE and SIGSEGV; and with 3, for want of memory
  /// (`ExitOnOutOfMemoryError`), which a damaged file asks for that announces too large a size.
  private static final Set<String> CRASHES = Set.of("134", "135", "136", "139", "3");

  private static final System.Logger LOG = System.getLogger(Supervisor.class.getName());

  /// The shortest pause before a plane is started again, and the longest.
  private static final Duration FIRST_PAUSE = Duration.ofMillis(50);

  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);

  /// How long a plane may take to end by itself.
  private static final long END_SECONDS = 15;

  /// A plane that ran for this long had started well.
  private static final Duration STEADY = Duration.ofSeconds(30);

  private static final Pattern SERVING = Pattern.compile("\"data-plane\"\\s*:\\s*\"ok\"");

  private final @Nullable Path configuration;
  private final Path temporary;
  private final long tierBytes;
  private final int connections;
  private final Path api;
  private final CountDownLatch stopping = new CountDownLatch(1);
  private final CountDownLatch controlEnded = new CountDownLatch(1);
  private volatile int exitCode;
  private volatile boolean finished;

  /// @param tierBytes the tiers' capacity, for which the data plane keeps checksums in memory
  /// @param connections how many NBD clients may be served, for which it keeps buffers
  /// @param api the API's socket
  Supervisor(
      @Nullable Path configuration, Path temporary, long tierBytes, int connections, Path api) {
    this.api = api;
    this.connections = connections;
    this.temporary = temporary;
    this.configuration = configuration;
    this.tierBytes = tierBytes;
  }

  /// Whether the plane that ran before the one that asks crashed, as opposed to being killed or
  /// ending in order.
  static boolean lastOneCrashed() {
    return isCrash(String.valueOf(System.getenv(LAST_EXIT)));
  }

  /// Whether a process with this exit code ended by itself, in no order.
  static boolean isCrash(String exitCode) {
    return CRASHES.contains(exitCode);
  }

  /// Runs until it is told to stop, or a plane cannot start.
  ///
  /// @return the exit code
  int run() throws InterruptedException {
    // Replies that wait may take 96 MiB (NbdLimits). Checksums take 1 MiB for each GiB of the tier,
    // twice that where extents lie far apart. Outside of the heap are the buffers of connections,
    // up to 1.25 MiB each, and those of fetches, 1 MiB each.
    long heapMib = 288 + 2 * (tierBytes >> 30);
    int directMib = 320 + connections * 5 / 4;
    // The data plane's heap is small and steady; the serial collector has no threads that compete
    // with demand for two cores.
    Plane data =
        new Plane(
            PlaneProcess.DATA,
            List.of(
                "-Xms64m",
                "-Xmx" + heapMib + "m",
                "-XX:MaxDirectMemorySize=" + directMib + "m",
                "-XX:+UseSerialGC"),
            // The control plane would miss the data plane, and say so.
            controlEnded,
            new CountDownLatch(1));
    Plane control =
        new Plane(
            PlaneProcess.CONTROL,
            List.of("-Xmx1g", "-XX:+UseG1GC", "-Djava.io.tmpdir=" + temporary),
            new CountDownLatch(0),
            controlEnded);
    Thread watcherOfData = data.watch();
    Thread watcherOfControl = control.watch();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  boolean told = !finished;
                  stopping.countDown();
                  join(watcherOfControl);
                  join(watcherOfData);
                  if (told) {
                    System.err.println("prestage: stopped");
                    // A signal asked for this, and all is done: not the signal's exit code.
                    Runtime.getRuntime().halt(0);
                  }
                },
                "stop"));
    Thread.ofPlatform().daemon().name("ready").start(this::sayWhenReady);
    watcherOfControl.join();
    watcherOfData.join();
    finished = true;
    return exitCode;
  }

  /// Says once that both planes work: the API answers, and it says so of the data plane.
  private void sayWhenReady() {
    try (PrestageClient client = PrestageClient.onSocket(api)) {
      while (!stopping.await(100, TimeUnit.MILLISECONDS)) {
        if (isServing(client)) {
          System.err.println("prestage: ready");
          return;
        }
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private static boolean isServing(PrestageClient client) {
    try {
      return SERVING.matcher(client.get("/health").text()).find();
    } catch (IOException _) {
      return false;
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// A plane's command. Its files are for this user only, and the JDK cannot set the umask: a shell
  /// sets it and becomes the plane. A terminal sends its signals to planes, too; they leave it to
  /// this process to end them in order.
  private List<String> commandLine(String plane, List<String> flags) {
    List<String> command =
        new ArrayList<>(List.of("/bin/sh", "-c", "umask 077; trap '' INT HUP; exec \"$@\"", "sh"));
    command.addAll(SelfCommand.line(flags, PlaneProcess.class.getName()));
    command.add(plane);
    Path file = configuration;
    if (file != null) {
      command.add(file.toString());
    }
    return command;
  }

  /// One child and the thread that keeps it running.
  private final class Plane {
    private final String name;
    private final List<String> command;
    private final CountDownLatch before;
    private final CountDownLatch ended;
    private int lastExit;

    /// @param before what ends before this plane when all end
    /// @param ended this plane's own end
    Plane(String name, List<String> flags, CountDownLatch before, CountDownLatch ended) {
      this.name = name;
      this.before = before;
      this.ended = ended;
      this.command = commandLine(name, flags);
    }

    Thread watch() {
      return Thread.ofPlatform().name(name).start(this::keepRunning);
    }

    private void keepRunning() {
      Duration pause = FIRST_PAUSE;
      boolean first = true;
      try {
        while (stopping.getCount() > 0) {
          long started = System.nanoTime();
          int code = runOnce();
          if (stopping.getCount() == 0) {
            return;
          }
          if (code == CANNOT_START && first) {
            exitCode = code;
            stopping.countDown();
            return;
          }
          first = false;
          boolean steady = System.nanoTime() - started > STEADY.toNanos();
          pause = steady ? FIRST_PAUSE : pause.multipliedBy(2);
          pause = pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
          LOG.log(
              WARNING,
              "the {0} ended with code {1}; starting it again in {2} ms",
              name,
              code,
              pause.toMillis());
          stopping.await(pause.toMillis(), TimeUnit.MILLISECONDS);
        }
      } catch (IOException e) {
        LOG.log(WARNING, "the {0} cannot be started: {1}", name, e.getMessage());
        exitCode = 1;
        stopping.countDown();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        ended.countDown();
      }
    }

    private int runOnce() throws IOException, InterruptedException {
      ProcessBuilder builder =
          new ProcessBuilder(command)
              .redirectOutput(ProcessBuilder.Redirect.INHERIT)
              .redirectError(ProcessBuilder.Redirect.INHERIT);
      builder.environment().put(LAST_EXIT, Integer.toString(lastExit));
      Process process = builder.start();
      LOG.log(INFO, "the {0} is pid {1}", name, Long.toString(process.pid()));
      while (process.isAlive() && stopping.getCount() > 0) {
        // Whichever comes first ends the wait; a plane's end is seen within this time at the
        // latest.
        if (process.waitFor(20, TimeUnit.MILLISECONDS)) {
          break;
        }
      }
      if (process.isAlive()) {
        boolean _ = before.await(END_SECONDS, TimeUnit.SECONDS);
        process.getOutputStream().close();
        if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
          process.destroyForcibly();
        }
      }
      lastExit = process.waitFor();
      return lastExit;
    }
  }
}
