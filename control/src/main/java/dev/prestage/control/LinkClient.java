package dev.prestage.control;

import static java.lang.System.Logger.Level.DEBUG;
import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// The control plane's end of the link: connects, and connects again for as long as it is open.
///
/// What is sent while nobody is connected is dropped: after each connection the data plane says
/// what it holds, and the control plane what it wants.
final class LinkClient implements Stager, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(LinkClient.class.getName());

  /// A data plane that starts anew is back in about a second; asking ten times a second costs
  /// nothing.
  private static final Duration RETRY = Duration.ofMillis(100);

  /// The data plane tells its numbers once a second.
  private static final Duration SILENCE = Duration.ofSeconds(5);

  private static final Duration WATCH = Duration.ofMillis(250);

  private final Path socket;
  private final Listener listener;
  private final Thread thread;
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile @Nullable Link open;
  private volatile @Nullable Link link;
  private volatile String state = "not connected yet";
  private volatile @Nullable String gaveUp;

  // When the data plane last said something; 0 before it has told its numbers once.
  private volatile long heardNanos;

  /// What happens on the link; all calls come from the link's thread.
  interface Listener {
    /// There is a connection. Nothing is sent over it before it is passed to [LinkClient#use]: what
    /// was decided before the listener knew of it is not meant for it.
    void connected(Link connection);

    void received(Frame frame) throws InterruptedException;

    void disconnected();
  }

  LinkClient(Path socket, Listener listener) {
    this.socket = socket;
    this.listener = listener;
    this.thread = Thread.ofPlatform().name("link").unstarted(this::run);
  }

  void start() {
    thread.start();
    Thread.ofPlatform().daemon().name("link-watch").start(this::watch);
  }

  /// A data plane that stands still would otherwise hold up whoever tells it something.
  private void watch() {
    long before = System.nanoTime();
    try {
      while (!closed.await(WATCH.toMillis(), TimeUnit.MILLISECONDS)) {
        long now = System.nanoTime();
        boolean stoodStill = now - before > SILENCE.toNanos() / 2;
        before = now;
        long heard = heardNanos;
        Link connection = open;
        if (connection == null || heard == 0) {
          continue;
        }
        if (stoodStill) {
          // This process did: what the data plane said meanwhile is not read yet.
          heardNanos = now;
        } else if (now - heard > SILENCE.toNanos()) {
          gaveUp =
              "the data plane, pid "
                  + connection.peer().pid()
                  + ", has said nothing for "
                  + SILENCE.toSeconds()
                  + " s: is it stopped, or the host overloaded?";
          heardNanos = 0;
          hangUp(connection);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void hangUp(Link connection) {
    try {
      connection.close();
    } catch (IOException e) {
      LOG.log(WARNING, "closing the link: {0}", reason(e));
    }
  }

  /// `ok`, or one line that says why there is no connection.
  String state() {
    Link connection = open;
    if (connection == null) {
      return state;
    }
    return connection == link ? "ok" : "the data plane has just come; try again";
  }

  private void run() {
    var hello =
        new Frame.Hello(
            FrameCodec.VERSION,
            ProcessHandle.current().pid(),
            ThreadLocalRandom.current().nextLong());
    try {
      do {
        connectOnce(hello);
      } while (!closed.await(RETRY.toMillis(), TimeUnit.MILLISECONDS));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void connectOnce(Frame.Hello hello) throws InterruptedException {
    boolean connected = false;
    try (Link connection = Link.connect(socket, hello)) {
      open = connection;
      if (closed.getCount() == 0) {
        return;
      }
      connected = true;
      LOG.log(INFO, "connected to the data plane, pid {0}", Long.toString(connection.peer().pid()));
      listener.connected(connection);
      gaveUp = null;
      while (true) {
        Frame frame = connection.receive();
        if (heardNanos != 0 || frame instanceof Frame.Status) {
          heardNanos = System.nanoTime();
        }
        listener.received(frame);
      }
    } catch (IOException | RuntimeException e) {
      heardNanos = 0;
      String silent = gaveUp;
      String why = silent == null ? reason(e) : silent;
      state = "no data plane on " + socket + " (" + why + "); trying again";
      open = null;
      if (connected && closed.getCount() != 0) {
        LOG.log(WARNING, "the data plane is gone: {0}", why);
        listener.disconnected();
      }
    }
  }

  private static String reason(Exception e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }

  /// From now on frames go over this connection, or nowhere.
  void use(@Nullable Link connection) {
    link = connection;
  }

  /// Sends a frame if there is a connection.
  ///
  /// @return whether the kernel took it
  boolean send(Frame frame) {
    Link connection = link;
    if (connection == null) {
      return false;
    }
    try {
      connection.send(frame);
      return true;
    } catch (IOException e) {
      // While this process ends, the link may be closed before the last thing to say.
      LOG.log(
          closed.getCount() == 0 ? DEBUG : WARNING, "cannot tell the data plane: {0}", reason(e));
      return false;
    }
  }

  @Override
  public void stage(Lease lease) {
    send(new Frame.Stage(lease));
  }

  @Override
  public void cancel(long leaseId) {
    send(new Frame.Cancel(leaseId));
  }

  @Override
  public void reclaim(long leaseId) {
    send(new Frame.Reclaim(leaseId));
  }

  @Override
  public void close() {
    closed.countDown();
    Link connection = open;
    if (connection != null) {
      hangUp(connection);
    }
    thread.interrupt();
    try {
      thread.join(Duration.ofSeconds(5));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
