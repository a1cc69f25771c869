package dev.prestage.dataplane;

import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// All edges of a data plane as one: what concerns one of them finds it by type, space or number.
final class Edges implements Stager {
  private final List<Edge> edges;

  Edges(List<Edge> edges) {
    this.edges = List.copyOf(edges);
  }

  /// Begins to serve a binding at the edge of its type.
  ///
  /// @throws IOException with one line for whoever asked
  Bound open(Frame.Bind bind) throws IOException {
    for (Edge edge : edges) {
      if (edge.type() == bind.type()) {
        return edge.open(bind);
      }
    }
    List<String> served = edges.stream().map(edge -> edge.type().text()).toList();
    throw new IOException(
        "this host serves no " + bind.type().text() + ", only " + String.join(", ", served));
  }

  void close(int binding) throws IOException {
    for (Edge edge : edges) {
      edge.close(binding);
    }
  }

  void keepOnly(Set<String> names) throws IOException {
    for (Edge edge : edges) {
      edge.keepOnly(names);
    }
  }

  long purge(String tenant, String source) throws IOException {
    long amount = 0;
    for (Edge edge : edges) {
      amount += edge.purge(tenant, source);
    }
    return amount;
  }

  Set<Integer> spaces() {
    Set<Integer> spaces = new HashSet<>();
    edges.forEach(edge -> spaces.addAll(edge.spaces()));
    return spaces;
  }

  /// What stands ready of a space, or null if no edge serves it.
  Frame.@Nullable Resident ready(int space) {
    Edge edge = edgeOf(space);
    return edge == null ? null : new Frame.Resident(space, edge.ready(space));
  }

  private @Nullable Edge edgeOf(int space) {
    for (Edge edge : edges) {
      if (edge.serves(space)) {
        return edge;
      }
    }
    return null;
  }

  List<Edge.Held> takeHeld() {
    return edges.stream().flatMap(edge -> edge.takeHeld().stream()).toList();
  }

  boolean hasNews() {
    return edges.stream().anyMatch(Edge::hasNews);
  }

  void takeNews(Edge.News to) {
    edges.stream().filter(Edge::hasNews).forEach(edge -> edge.takeNews(to));
  }

  void giveBackExpired(long nowNanos) {
    edges.forEach(edge -> edge.giveBackExpired(nowNanos));
  }

  Frame.Status status() {
    List<Frame.Counter> counters = new ArrayList<>();
    edges.forEach(edge -> edge.count(counters));
    return new Frame.Status(counters);
  }

  /// A lease of a space that nobody serves any more fails at the first edge.
  @Override
  public void stage(Lease lease) {
    Edge edge = edgeOf(lease.space());
    (edge == null ? edges.getFirst() : edge).stager().stage(lease);
  }

  @Override
  public void cancel(long leaseId) {
    edges.forEach(edge -> edge.stager().cancel(leaseId));
  }

  @Override
  public void reclaim(long leaseId) {
    edges.forEach(edge -> edge.stager().reclaim(leaseId));
  }
}
