package dev.prestage.link;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Everything that one plane can say to the other.
public sealed interface Frame {

  /// First in both directions.
  ///
  /// @param version the sender's protocol version, [FrameCodec#VERSION]
  /// @param pid the sender's process, for messages to people
  /// @param instance a number that differs for each start of the process
  record Hello(int version, long pid, long instance) implements Frame {}

  // ---- control plane to data plane

  /// Serve a space to a VM under a name, such as an NBD export's. Repeating it is harmless.
  ///
  /// @param requestId echoed in the [Answer]
  /// @param binding the number of the VM's use of the space, in access records and leases
  /// @param name the name under which it is served
  /// @param space the space's number in access records and leases
  /// @param type what its units are
  /// @param tenant whose it is
  /// @param source what it is at the origin, such as an image's name
  record Bind(
      long requestId,
      int binding,
      String name,
      int space,
      ResourceType type,
      String tenant,
      String source)
      implements Frame {}

  /// Stop serving a binding and close its connections. Its leases end.
  record Unbind(long requestId, int binding) implements Frame {}

  /// Remove what this host holds of a source, in every version. Answered with the amount that was
  /// given back.
  record Purge(long requestId, String tenant, String source) implements Frame {}

  /// All bindings have been sent since [Hello]; one that was not among them is gone.
  record BoundAll() implements Frame {}

  /// Stage a range ([dev.prestage.engine.stage.Stager#stage]).
  record Stage(Lease lease) implements Frame {}

  /// Call off what is not moved yet ([dev.prestage.engine.stage.Stager#cancel]).
  record Cancel(long leaseId) implements Frame {}

  /// Give back what is unused ([dev.prestage.engine.stage.Stager#reclaim]).
  record Reclaim(long leaseId) implements Frame {}

  // ---- data plane to control plane

  /// What became of a [Bind], an [Unbind] or a [Purge].
  ///
  /// @param amount what was given back by a purge, the size of what was bound, else 0
  /// @param shape the shape of what was bound, else null
  /// @param address where the guest uses what was bound, such as `127.0.0.1:40123`; empty where
  ///   that follows from the name under which it is served, and for all else
  /// @param error one line for the person who asked, or empty
  record Answer(long requestId, long amount, @Nullable Shape shape, String address, String error)
      implements Frame {}

  /// A batch of accesses, in the order in which the edge saw them.
  record Accesses(List<AccessRecord> records) implements Frame {}

  /// One request at an edge. A request that has to wait is reported twice: when it came, for
  /// whoever predicts, and when it was answered, for whoever keeps history.
  ///
  /// @param binding by number
  /// @param space by number
  /// @param offset where it begins in the space
  /// @param amount how much; at least 1
  /// @param timeNanos when it came, nanoseconds since the epoch
  /// @param waited whether it had to wait for an origin
  /// @param latencyNanos from request to reply, or [dev.prestage.engine.access.Access#PENDING]
  record AccessRecord(
      int binding,
      int space,
      long offset,
      int amount,
      long timeNanos,
      AccessType type,
      Cause cause,
      boolean waited,
      long latencyNanos) {}

  /// The state of leases that changed; after a new connection, of all live ones with the lease
  /// itself.
  record Leases(List<LeaseState> states) implements Frame {}

  /// A lease that the data plane still holds from an earlier control plane, sent once after
  /// [Hello].
  record HeldLease(Lease lease, LeaseState state) implements Frame {}

  /// Which units of a space are on this host, sent when a space is bound and after [Hello].
  ///
  /// @param units the bits of resident units
  record Resident(int space, BitSet units) implements Frame {}

  /// Units that left this host, or were found corrupt.
  record Evicted(int space, long first, int units) implements Frame {}

  /// Counters and levels by name, cumulative since the data plane's start, sent about once a
  /// second. The first one after [Hello] also says that all held leases have been named.
  record Status(List<Counter> counters) implements Frame {}

  /// One number of a [Status].
  ///
  /// @param name such as `demand_reads`, in the form of a Prometheus name without its prefix
  /// @param label such as a VM's or a tier's name, or empty
  record Counter(String name, String label, long value) {}

  /// Something that a person should know: full disk, dead origin, corrupt unit.
  ///
  /// @param kind one word that stays the same for the same trouble, such as `tier-full`
  /// @param text one line: what, where, what to do
  record Trouble(String kind, String text) implements Frame {}
}
