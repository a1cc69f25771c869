package dev.prestage.dataplane;

import dev.prestage.dataplane.bandwidth.BandwidthEdge;
import dev.prestage.dataplane.bandwidth.Links;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.memory.MemoryEdge;
import dev.prestage.dataplane.network.NetworkEdge;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.host.StateLock;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/// One running data plane: its edges and the link to the control plane.
///
/// ```
///   guests ◀──▶ edges ──▶ AccessRing ──▶ LinkServer ◀──▶ control plane
///                 ▲                          │
///                 └───────── leases ─────────┘
/// ```
public final class DataPlane implements AutoCloseable {
  private final Parts parts = new Parts();
  private final BlockEdge disks;
  private final LinkServer link;

  /// Opens an edge on a host.
  @FunctionalInterface
  interface EdgeFactory {
    /// Opens it.
    ///
    /// @throws IOException with one line that says what is wrong and what to do
    Edge open(Host host) throws IOException;
  }

  /// Starts a data plane. When this returns, the VMs that were attached when the last one ended can
  /// be read, as far as their origins answered within two seconds; the others are tried again.
  ///
  /// @throws IOException with one line that says what is wrong and what to do; nothing runs then
  public static DataPlane start(Options options, Clock clock) throws IOException {
    return start(options, clock, List.of());
  }

  /// As above, with edges beside that for disks; each goes before the one of shares of links.
  static DataPlane start(Options options, Clock clock, List<EdgeFactory> more) throws IOException {
    return new DataPlane(options, clock, more);
  }

  private DataPlane(Options options, Clock clock, List<EdgeFactory> more) throws IOException {
    Troubles troubles = new Troubles(clock);
    Doorbell doorbell = new Doorbell();
    AccessRing ring = new AccessRing(AccessRing.DEFAULT_SLOTS, doorbell);
    // Spaces may begin to be served before there is a link to say so; its sessions ask for all.
    AtomicReference<@Nullable LinkServer> linked = new AtomicReference<>();
    Host host =
        new Host(
            ring,
            doorbell,
            troubles,
            clock,
            space -> {
              LinkServer server = linked.get();
              if (server != null) {
                server.tellReady(space);
              }
            });
    try {
      parts.own(StateLock.take(options.stateDirectory(), "data-plane"));
      Links links = new Links(options.links(), options.promises());
      List<Edge> edges = new ArrayList<>();
      this.disks = parts.own(new BlockEdge(options, links, host));
      edges.add(disks);
      edges.add(
          parts.own(new NetworkEdge(options.stateDirectory(), options.connectionsAddress(), host)));
      edges.add(parts.own(MemoryEdge.open(options.memorySockets(), options.snapshots(), host)));
      for (EdgeFactory factory : more) {
        edges.add(parts.own(factory.open(host)));
      }
      edges.add(parts.own(new BandwidthEdge(links, host)));
      this.link =
          parts.own(
              new LinkServer(
                  options.linkSocket(), new Edges(edges), ring, doorbell, troubles, clock));
      linked.set(link);
      link.start();
    } catch (IOException | RuntimeException e) {
      parts.closeAfter(e);
      throw e;
    }
  }

  /// Where disks are read over TCP, or null.
  public @Nullable InetSocketAddress nbdAddress() {
    return disks.nbdAddress();
  }

  /// The counters and levels of this moment, as the control plane gets them.
  public Frame.Status status() {
    return link.status();
  }

  /// Whether a control plane is connected.
  public boolean isControlled() {
    return link.isConnected();
  }

  /// Stops serving. What is on this host stays for the next start.
  @Override
  public void close() throws IOException {
    parts.close();
  }
}
