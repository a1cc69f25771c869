package dev.prestage.dataplane.edge;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.util.BitSet;
import java.util.List;
import java.util.Set;

/// The place where guests' demand for one type of resource passes through this host.
///
/// What guests ask of it does not go through this interface and never waits for anything behind it.
/// The methods here are called by the link's threads, [#open] and [#close(int)] by a thread of the
/// order's own.
public interface Edge extends AutoCloseable {
  /// What it serves.
  ResourceType type();

  /// Begins to serve a binding, or says again what it serves; blocks for as long as its origin
  /// takes.
  ///
  /// @throws IOException with one line for whoever asked
  Bound open(Frame.Bind bind) throws IOException;

  /// Stops serving a binding. Leases that were granted for it end. A number that it does not know
  /// is not its own.
  ///
  /// @throws IOException if that cannot be remembered
  void close(int binding) throws IOException;

  /// Stops serving all bindings whose names are not among these.
  void keepOnly(Set<String> names) throws IOException;

  /// Removes what it holds of a source, as far as nobody uses it; returns the amount that was given
  /// back.
  long purge(String tenant, String source) throws IOException;

  /// What carries out leases. Leases of spaces that the edge does not know are not its own.
  Stager stager();

  /// The numbers of the spaces that it serves.
  Set<Integer> spaces();

  /// Whether it serves a space; asked for each lease.
  boolean serves(int space);

  /// Which units of a space stand ready, whoever had them staged.
  BitSet ready(int space);

  /// All leases that a new control plane must know of: live ones, and those that ended while nobody
  /// listened.
  List<Held> takeHeld();

  /// Whether [#takeNews] has something to tell.
  boolean hasNews();

  /// Tells what has happened since the last call.
  void takeNews(News to);

  /// Gives back what is ready and was not demanded, of leases whose time is over. Called while no
  /// control plane is there to ask for it.
  void giveBackExpired(long nowNanos);

  /// The numbers of this moment.
  void count(List<Frame.Counter> into);

  @Override
  void close() throws IOException;

  /// A lease with its state.
  record Held(Lease lease, LeaseState state) {}

  /// Hears what has happened at an edge.
  interface News {
    /// The state of these leases changed.
    void changed(List<LeaseState> states);

    /// These units are not ready any more.
    void gone(int space, long first, int units);
  }
}
