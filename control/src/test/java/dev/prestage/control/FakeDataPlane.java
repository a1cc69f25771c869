package dev.prestage.control;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.Frame;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/// A data plane without disks, on a real socket: it answers as a test wants it to, and says that
/// whatever is staged is ready at once.
final class FakeDataPlane implements AutoCloseable {
  static final long IMAGE_BYTES = 1000L * 65536 - 10;

  private final Path socket;
  private final ServerSocketChannel server;
  private final Thread thread = Thread.ofPlatform().name("fake-data-plane").unstarted(this::serve);
  private final Map<Long, Lease> held = new ConcurrentHashMap<>();
  final List<Frame> received = new CopyOnWriteArrayList<>();
  volatile String error = "";
  volatile long imageBytes = IMAGE_BYTES;

  /// An image that cannot be opened.
  volatile String missing = "";

  /// Where connections are served.
  volatile String networkAddress = "127.0.0.1:40123";

  volatile boolean silent;
  volatile long instance;
  private volatile @Nullable Link link;

  FakeDataPlane(Path socket, long instance) throws IOException {
    this.socket = socket;
    this.instance = instance;
    this.server = Link.listen(socket);
    thread.start();
  }

  private void serve() {
    while (server.isOpen()) {
      try (Link connection =
          Link.accept(server, socket, new Frame.Hello(FrameCodec.VERSION, 1, instance))) {
        link = connection;
        for (Lease lease : held.values()) {
          connection.send(new Frame.HeldLease(lease, ready(lease)));
        }
        while (true) {
          obey(connection.receive(), connection);
        }
      } catch (IOException e) {
        link = null;
      }
    }
  }

  private void obey(Frame frame, Link connection) throws IOException {
    received.add(frame);
    switch (frame) {
      case Frame.Bind bind when !silent -> {
        String refusal = bind.source().equals(missing) ? "no image '" + missing + "'" : error;
        if (refusal.isEmpty() && bind.type() == ResourceType.MEMORY_PAGE) {
          refusal = "this host serves no " + bind.type().text();
        }
        connection.send(
            refusal.isEmpty()
                ? served(bind)
                : new Frame.Answer(bind.requestId(), 0, null, "", refusal));
      }
      case Frame.Unbind detach when !silent ->
          connection.send(new Frame.Answer(detach.requestId(), 0, null, "", error));
      case Frame.BoundAll _ ->
          connection.send(
              new Frame.Status(
                  List.of(
                      new Frame.Counter("tier_capacity_bytes", "ssd", 1000),
                      new Frame.Counter("tier_used_bytes", "ssd", 10),
                      new Frame.Counter("demand_reads", "vm1", 3))));
      case Frame.Stage(Lease lease) -> {
        held.put(lease.id(), lease);
        connection.send(new Frame.Leases(List.of(ready(lease))));
      }
      default -> {}
    }
  }

  private Frame.Answer served(Frame.Bind bind) {
    return bind.type() == ResourceType.NETWORK_CONNECTION
        ? new Frame.Answer(
            bind.requestId(), 8, new Shape(8, 1, Measure.CONNECTIONS, 8), networkAddress, "")
        : new Frame.Answer(bind.requestId(), imageBytes, Shape.blocks(imageBytes), "", "");
  }

  static LeaseState ready(Lease lease) {
    return new LeaseState(lease.id(), lease.mask(), 0, 0, 0, 0, 0, 0, 0);
  }

  void send(Frame frame) throws IOException {
    Link connection = link;
    if (connection == null) {
      throw new IOException("no control plane is connected");
    }
    connection.send(frame);
  }

  void resident(int space, BitSet extents) throws IOException {
    send(new Frame.Resident(space, extents));
  }

  boolean isConnected() {
    return link != null;
  }

  /// Breaks the link; the server stays.
  void hangUp() throws IOException {
    Link connection = link;
    if (connection != null) {
      connection.close();
    }
  }

  <F extends Frame> List<F> received(Class<F> kind) {
    return received.stream().filter(kind::isInstance).map(kind::cast).toList();
  }

  void forgetLeases() {
    held.clear();
  }

  @Override
  public void close() throws IOException {
    server.close();
    hangUp();
  }
}
