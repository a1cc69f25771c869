package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.linux.HandOver;
import dev.prestage.dataplane.linux.PageFaults;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One binding: a unix socket at which its VM manager hands over the memory of a VM that is being
/// restored, again and again, one VM at a time.
final class Endpoint implements Target {
  private static final Logger LOG = System.getLogger(Endpoint.class.getName());

  /// A thousand regions take less; Firecracker makes one or two.
  private static final int LARGEST_MESSAGE = 64 * 1024;

  /// What connects says what it wants at once.
  private static final long PATIENCE_NANOS = Duration.ofSeconds(5).toNanos();

  private static final Duration PATIENCE_AT_END = Duration.ofSeconds(5);

  private final String name;
  private final String tenant;
  private final String source;
  private final List<MemoryEdge.Folder> folders;
  private final Snapshot snapshot;
  private final HandOver socket;
  private final Path path;
  private final Staging staging;
  private final Host host;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment message = arena.allocate(LARGEST_MESSAGE + 1L);
  private final Thread thread;
  private final ServedProcess served;
  private final Counts counts = new Counts();
  private volatile int binding;
  private volatile int space;
  private volatile @Nullable PageServer server;
  private volatile boolean closed;

  /// Listens; nobody is served before [#start].
  ///
  /// @throws IOException with one line that says why not
  Endpoint(
      String name,
      int binding,
      int space,
      String tenant,
      String source,
      List<MemoryEdge.Folder> folders,
      Path path,
      Staging staging,
      Host host)
      throws IOException {
    this.name = name;
    this.binding = binding;
    this.space = space;
    this.tenant = tenant;
    this.source = source;
    this.folders = folders;
    this.path = path;
    this.staging = staging;
    this.host = host;
    this.served = new ServedProcess(path.resolveSibling(path.getFileName() + ".pid"));
    this.snapshot = Snapshot.open(folders, source);
    try {
      this.socket = HandOver.listen(path);
    } catch (IOException e) {
      snapshot.close();
      throw e;
    }
    this.thread = Thread.ofPlatform().daemon().name("memory-" + name).unstarted(this::run);
  }

  @Override
  public void start() {
    thread.start();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String tenant() {
    return tenant;
  }

  @Override
  public String source() {
    return source;
  }

  /// What a VM manager is told as `backend_path`.
  @Override
  public String address() {
    return path.toString();
  }

  @Override
  public int binding() {
    return binding;
  }

  @Override
  public int space() {
    return space;
  }

  /// The size of the snapshot when the binding was made, which decides how many units it has.
  @Override
  public long sizeBytes() {
    return snapshot.sizeBytes();
  }

  /// The snapshot as it was when the binding was made.
  @Override
  public Snapshot snapshot() {
    return snapshot;
  }

  /// The VM that is served now, or null.
  @Override
  public @Nullable PageServer server() {
    return server;
  }

  @Override
  public boolean isMapped() {
    return false;
  }

  /// It knows by its page server what was touched.
  @Override
  public void expect(long first, int units, boolean comes) {}

  @Override
  public void count(List<Frame.Counter> into) {
    PageServer serving = server;
    into.add(new Frame.Counter("memory_connections", name, serving == null ? 0 : 1));
    into.add(new Frame.Counter("memory_missing", name, serving == null ? 0 : serving.missing()));
    into.add(new Frame.Counter("memory_faults", name, counts.faults().sum()));
    into.add(new Frame.Counter("memory_zero_faults", name, counts.zeroFaults().sum()));
    into.add(new Frame.Counter("memory_staged", name, counts.staged().sum()));
    into.add(new Frame.Counter("memory_failures", name, counts.failures().sum()));
    into.add(new Frame.Counter("accesses_dropped", name, counts.dropped().sum()));
  }

  /// The control plane counts anew. While it is unknown to the staging.
  @Override
  public void renumber(int newBinding, int newSpace) {
    binding = newBinding;
    space = newSpace;
  }

  private void run() {
    served
        .left()
        .ifPresent(pid ->
            trouble(
                "the page server of process "
                    + pid
                    + " has ended before it: pages that are missing stay so and its guest"
                    + " hangs; end that process and restore the VM"));
    while (!closed) {
      try {
        if (socket.await(null, null, -1).arrived() && !closed) {
          HandOver.Peer peer = socket.accept();
          if (peer != null) {
            welcome(peer);
          }
        }
      } catch (RuntimeException | Error e) {
        LOG.log(Level.ERROR, "serving memory failed", e);
        trouble("serving its memory failed: " + e + "; see the log");
      }
    }
  }

  /// Under which its troubles are told: one VM's are not to hide another's.
  String kind() {
    return "memory:" + name;
  }

  private void trouble(String what) {
    host.trouble().report(kind(), "VM " + name + ": " + what);
  }

  private void welcome(HandOver.Peer peer) {
    PageServer accepted = null;
    try {
      accepted = accept(peer);
    } catch (IOException e) {
      peer.close();
      if (!closed) {
        trouble(
            "process "
                + peer.pid()
                + " is not served: "
                + IoProblem.explain(e)
                + "; its guest hangs at the first missing page, so end that process");
      }
    }
    if (accepted == null) {
      return;
    }
    try (PageServer serving = accepted) {
      try {
        served.write(serving.pid());
        server = serving;
        if (closed) {
          return; // the one who closed this saw no server
        }
        staging.began(this);
        LOG.log(Level.INFO, "VM {0}: serving process {1}", name, Long.toString(serving.pid()));
        serving.run();
      } finally {
        // Before it is closed: nobody is to read with what it has opened.
        server = null;
      }
    } finally {
      staging.ended(this);
      if (!closed) {
        served.clear();
      }
    }
  }

  /// Hears what a peer says, which must be the message of a VM manager.
  private PageServer accept(HandOver.Peer peer) throws IOException {
    PageFaults faults = null;
    Snapshot opened = null;
    try {
      int length = 0;
      long deadline = System.nanoTime() + PATIENCE_NANOS;
      while (true) {
        HandOver.Peer.Message part = peer.receive(message.asSlice(length));
        if (part.faults() != null) {
          if (faults == null) {
            faults = part.faults();
          } else {
            part.faults().close();
          }
        }
        length += Math.max(0, part.bytes());
        String text = text(length);
        requirePossible(text, length);
        if (isWhole(text)) {
          if (faults == null) {
            throw new IOException("no userfaultfd came with its memory regions");
          }
          opened = Snapshot.open(folders, source);
          if (opened.sizeBytes() != snapshot.sizeBytes()) {
            throw new IOException(
                "snapshot '"
                    + source
                    + "' has another size than when the VM was added; remove and add the VM");
          }
          Regions regions = Regions.parse(text, opened.sizeBytes());
          return new PageServer(this, socket, peer, faults, regions, opened, staging, counts, host);
        }
        long left = deadline - System.nanoTime();
        if (part.bytes() == 0 || left <= 0 || closed) {
          throw new IOException("it did not say all of its memory regions");
        }
        if (part.bytes() < 0) {
          var _ = socket.await(peer, null, (int) (left / 1_000_000) + 1);
        }
      }
    } catch (IOException | RuntimeException e) {
      if (faults != null) {
        faults.close();
      }
      if (opened != null) {
        opened.close();
      }
      throw e;
    }
  }

  private String text(int length) {
    return new String(
        message.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }

  private static void requirePossible(String text, int length) throws IOException {
    if (length > LARGEST_MESSAGE) {
      throw new IOException("it says more than " + LARGEST_MESSAGE + " bytes");
    }
    if (!text.isBlank() && !text.stripLeading().startsWith("[")) {
      throw new IOException("what it says is no JSON array of memory regions");
    }
  }

  private static boolean isWhole(String text) {
    return text.stripTrailing().endsWith("]");
  }

  @Override
  public String toString() {
    return source;
  }

  /// Ends the service. A VM that is served keeps what it has and hangs at what it has not.
  @Override
  public void close() throws IOException {
    closed = true;
    PageServer serving = server;
    if (serving != null) {
      serving.stop();
    }
    socket.wake();
    try {
      if (!thread.join(PATIENCE_AT_END)) {
        // A read of a snapshot hangs. What the thread holds is its own until it comes back.
        trouble("its service does not end, because a read of its snapshot does not");
        return;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    }
    snapshot.close();
    socket.close();
    arena.close();
  }
}
