package dev.prestage.dataplane;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import dev.prestage.link.ProtocolException;
import dev.prestage.link.host.IoProblem;
import java.io.EOFException;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// The data plane's end of the link: takes one control plane at a time, a new one in place of the
/// old, and keeps it informed.
///
/// Threads: one accepts, one per control plane receives, one sends everything, one watches that the
/// sending does not stand still and that who connects greets. Nothing else in the data plane ever
/// waits for the control plane.
final class LinkServer implements AutoCloseable {
  private static final Logger LOG = System.getLogger(LinkServer.class.getName());

  // Accesses are gathered for a millisecond: at 100,000 a second a frame then carries a hundred,
  // and
  // a forecast loses a tenth of the 10 ms that a fetch takes.
  private static final long GATHER_NANOS = Duration.ofMillis(1).toNanos();
  private static final long IDLE_NANOS = Duration.ofMillis(100).toNanos();
  private static final long STATUS_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long STUCK_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long WATCH_NANOS = Duration.ofMillis(250).toNanos();

  /// A control plane greets as soon as it has connected. One that is starved of processor time
  /// connects again.
  private static final long GREETING_NANOS = Duration.ofSeconds(5).toNanos();

  private static final int ACCESSES_PER_FRAME = 4096;

  /// So many frames empty a ring that was full, and whatever else was half in it.
  private static final int ACCESS_FRAMES = AccessRing.DEFAULT_SLOTS / ACCESSES_PER_FRAME + 1;

  /// The JDK's word for what ECONNRESET says.
  private static final String RESET = "Connection reset";

  // The turn of orders that concern no VM.
  private static final int NO_VM = -1;

  private final Path socket;
  private final Edges edges;
  private final AccessRing ring;
  private final Doorbell doorbell;
  private final Troubles troubles;
  private final Clock clock;
  private final ServerSocketChannel listener;
  private final Frame.Hello self;
  private final Thread sender;

  /// Since when the peers are connected that have not greeted yet: each holds a thread.
  private final Map<SocketChannel, Long> greeting = new ConcurrentHashMap<>();

  private volatile @Nullable Session session;
  private volatile boolean closed;

  LinkServer(
      Path socket, Edges edges, AccessRing ring, Doorbell doorbell, Troubles troubles, Clock clock)
      throws IOException {
    this.socket = socket;
    this.edges = edges;
    this.ring = ring;
    this.doorbell = doorbell;
    this.troubles = troubles;
    this.clock = clock;
    this.listener = Link.listen(socket);
    long pid = ProcessHandle.current().pid();
    this.self = new Frame.Hello(FrameCodec.VERSION, pid, clock.nanos() ^ pid);
    this.sender = Thread.ofPlatform().daemon().name("link-send").unstarted(this::sendAll);
  }

  void start() {
    sender.start();
    Thread.ofPlatform().daemon().name("link-accept").start(this::accept);
    Thread.ofPlatform().daemon().name("link-watch").start(this::watch);
  }

  private void accept() {
    while (!closed) {
      try {
        SocketChannel channel = listener.accept();
        greeting.put(channel, clock.nanos());
        Thread.ofPlatform().daemon().name("link-receive").start(() -> greet(channel));
      } catch (ClosedChannelException _) {
        return;
      } catch (IOException e) {
        LOG.log(Level.WARNING, "cannot accept a control plane: {0}", e.getMessage());
        LockSupport.parkNanos(WATCH_NANOS);
      }
    }
  }

  private void greet(SocketChannel channel) {
    try {
      Link link;
      try {
        link = Link.greet(channel, socket, self);
      } finally {
        greeting.remove(channel);
      }
      var mine = new Session(link);
      Session before;
      synchronized (this) {
        before = session;
        session = mine;
      }
      if (before != null) {
        LOG.log(Level.INFO, "a new control plane takes the place of the one before");
        before.close();
      }
      LOG.log(Level.INFO, "control plane {0} is connected", Long.toString(link.peer().pid()));
      LockSupport.unpark(sender);
      mine.receive();
    } catch (EOFException | ClosedChannelException _) {
      LOG.log(Level.INFO, "the control plane is gone; serving goes on");
    } catch (IOException e) {
      // A peer that ends with something unread resets the link: it is gone like any other.
      boolean gone = RESET.equals(e.getMessage());
      LOG.log(
          gone ? Level.INFO : Level.WARNING,
          gone
              ? "the control plane is gone; serving goes on"
              : "link to the control plane: " + IoProblem.explain(e));
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, "the link failed at what the control plane sent", e);
    }
  }

  private void sendAll() {
    long statusNanos = clock.nanos();
    while (!closed) {
      Session current = session;
      if (current == null) {
        giveBackExpired();
        LockSupport.parkNanos(this, STATUS_NANOS);
        continue;
      }
      try {
        boolean sent = current.sendNews();
        if (clock.nanos() >= statusNanos) {
          current.send(edges.status());
          statusNanos = clock.nanos() + STATUS_NANOS;
        }
        if (sent) {
          LockSupport.parkNanos(this, GATHER_NANOS);
        } else {
          doorbell.sleep(IDLE_NANOS, current::hasNews);
        }
      } catch (IOException e) {
        // Its receiving thread says so.
        LOG.log(Level.DEBUG, "sending to the control plane", e);
        current.close();
      } catch (RuntimeException e) {
        // A defect; the next control plane must still be told.
        LOG.log(Level.ERROR, "sending to the control plane failed", e);
        current.close();
      }
    }
  }

  /// Nobody else does it while there is no control plane.
  private void giveBackExpired() {
    try {
      edges.giveBackExpired(clock.nanos());
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, "giving back what was not used failed", e);
    }
  }

  private void watch() {
    while (!closed) {
      LockSupport.parkNanos(this, WATCH_NANOS);
      Session current = session;
      if (current != null && current.isStuck(clock.nanos() - STUCK_NANOS)) {
        LOG.log(Level.WARNING, "the control plane takes nothing any more: closing its link");
        current.close();
      }
      hangUpOnSilentPeers(clock.nanos() - GREETING_NANOS);
    }
  }

  private void hangUpOnSilentPeers(long sinceNanos) {
    greeting.forEach((channel, connected) -> {
      if (connected <= sinceNanos) {
        LOG.log(Level.WARNING, "a peer on the link does not say who it is: closing its connection");
        try {
          channel.close();
        } catch (IOException e) {
          LOG.log(Level.DEBUG, "while closing a silent peer", e);
        }
      }
    });
  }

  /// A space has become readable without anybody asking just now.
  void tellReady(int space) {
    Session current = session;
    if (current != null) {
      current.tellReady(space);
    }
  }

  /// The numbers of this moment.
  Frame.Status status() {
    return edges.status();
  }

  /// Whether a control plane is connected.
  boolean isConnected() {
    return session != null;
  }

  @Override
  public void close() throws IOException {
    closed = true;
    listener.close();
    Session current = session;
    if (current != null) {
      current.close();
    }
    LockSupport.unpark(sender);
    Files.deleteIfExists(socket);
  }

  /// One control plane.
  private final class Session {
    private final Link link;
    private final Queue<Supplier<? extends @Nullable Frame>> outbox = new ConcurrentLinkedQueue<>();
    private final Set<String> attached = new HashSet<>();

    // Of the receiving thread.
    private final Map<Integer, CompletableFuture<Void>> turns = new HashMap<>();
    private volatile long sendingSinceNanos;

    Session(Link link) {
      this.link = link;
      for (Edge.Held held : edges.takeHeld()) {
        outbox.add(() -> new Frame.HeldLease(held.lease(), held.state()));
      }
      edges.spaces().forEach(this::tellReady);
    }

    void receive() throws IOException {
      try {
        while (true) {
          obey(link.receive());
        }
      } finally {
        close();
      }
    }

    private void obey(Frame frame) throws IOException {
      switch (frame) {
        case Frame.Bind bind -> {
          attached.add(bind.name());
          inTurn(
              bind.binding(),
              () -> {
                bound(bind);
                tellReady(bind.space());
              });
        }
        case Frame.Unbind(long requestId, int binding) ->
            inTurn(
                binding,
                () ->
                    answer(
                        requestId,
                        () -> {
                          edges.close(binding);
                          return new Frame.Answer(requestId, 0, null, "", "");
                        }));
        case Frame.Purge(long requestId, String tenant, String source) ->
            inTurn(
                NO_VM,
                () ->
                    answer(
                        requestId,
                        () ->
                            new Frame.Answer(
                                requestId, edges.purge(tenant, source), null, "", "")));
        case Frame.BoundAll() -> {
          // One that has been replaced no longer decides who is gone.
          if (session == this) {
            edges.keepOnly(attached);
          }
        }
        case Frame.Stage(var lease) -> edges.stage(lease);
        case Frame.Cancel(long leaseId) -> edges.cancel(leaseId);
        case Frame.Reclaim(long leaseId) -> edges.reclaim(leaseId);
        case Frame.Hello _,
            Frame.Answer _,
            Frame.Accesses _,
            Frame.Leases _,
            Frame.HeldLease _,
            Frame.Resident _,
            Frame.Evicted _,
            Frame.Status _,
            Frame.Trouble _ ->
            throw new ProtocolException(
                "the control plane sent a " + frame.getClass().getSimpleName());
      }
      doorbell.ring();
    }

    /// Runs orders for one VM one after the other, off this thread: an origin that hangs in `open`
    /// delays what concerns its VM and nothing else.
    private void inTurn(int vm, Runnable order) {
      CompletableFuture<Void> mine =
          turns
              .getOrDefault(vm, CompletableFuture.completedFuture(null))
              .thenRunAsync(order, task -> Thread.ofVirtual().name("order-" + vm).start(task));
      turns.put(vm, mine);
      turns.values().removeIf(CompletableFuture::isDone);
    }

    private void tellReady(int space) {
      outbox.add(() -> edges.ready(space));
      doorbell.ring();
    }

    private void bound(Frame.Bind bind) {
      answer(
          bind.requestId(),
          () -> {
            Bound bound = edges.open(bind);
            return new Frame.Answer(
                bind.requestId(), bound.shape().amount(), bound.shape(), bound.address(), "");
          });
    }

    private void answer(long requestId, Order order) {
      Frame.Answer answer;
      try {
        answer = order.run();
      } catch (IOException e) {
        answer = new Frame.Answer(requestId, 0, null, "", IoProblem.explain(e));
      } catch (RuntimeException e) {
        LOG.log(Level.ERROR, "an order of the control plane failed", e);
        answer = new Frame.Answer(requestId, 0, null, "", "a defect: " + e);
      }
      Frame.Answer said = answer;
      outbox.add(() -> said);
    }

    boolean hasNews() {
      return !outbox.isEmpty() || !ring.isEmpty() || edges.hasNews();
    }

    /// Sends what has happened since the last call; tells whether there was any.
    boolean sendNews() throws IOException {
      boolean any = false;
      for (var next = outbox.poll(); next != null; next = outbox.poll()) {
        Frame frame = next.get();
        if (frame != null) {
          send(frame);
        }
        any = true;
      }
      // A unit that demand has ended is news once its access is in the ring. The news are taken
      // first and sent last, so that no unit's end comes without the access that ended it.
      List<Frame> news = new ArrayList<>();
      if (edges.hasNews()) {
        edges.takeNews(new NewsFrames(news));
        any = true;
      }
      any |= sendAccesses();
      for (Frame frame : news) {
        send(frame);
      }
      for (var trouble = troubles.poll(); trouble != null; trouble = troubles.poll()) {
        send(trouble);
      }
      return any;
    }

    /// Sends all accesses that were in the ring before; returns whether there were any.
    private boolean sendAccesses() throws IOException {
      int count = ACCESSES_PER_FRAME;
      boolean any = false;
      for (int frames = 0; frames < ACCESS_FRAMES && count == ACCESSES_PER_FRAME; frames++) {
        List<Frame.AccessRecord> accesses = new ArrayList<>();
        count =
            ring.drain(
                (binding, space, offset, amount, time, type, cause, waited, latency) ->
                    accesses.add(
                        new Frame.AccessRecord(
                            binding, space, offset, amount, time, type, cause, waited, latency)),
                ACCESSES_PER_FRAME);
        if (count > 0) {
          send(new Frame.Accesses(accesses));
          any = true;
        }
      }
      return any;
    }

    void send(Frame frame) throws IOException {
      sendingSinceNanos = clock.nanos();
      link.send(frame);
      sendingSinceNanos = 0;
    }

    boolean isStuck(long beforeNanos) {
      long since = sendingSinceNanos;
      return since != 0 && since < beforeNanos;
    }

    void close() {
      synchronized (LinkServer.this) {
        if (session == this) {
          session = null;
        }
      }
      try {
        link.close();
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "closing the link", e);
      }
    }
  }

  /// News of the edges as frames.
  private record NewsFrames(List<Frame> frames) implements Edge.News {
    @Override
    public void changed(List<LeaseState> states) {
      if (!states.isEmpty()) {
        frames.add(new Frame.Leases(states));
      }
    }

    @Override
    public void gone(int space, long first, int units) {
      frames.add(new Frame.Evicted(space, first, units));
    }
  }

  @FunctionalInterface
  private interface Order {
    Frame.Answer run() throws IOException;
  }
}
