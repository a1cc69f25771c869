package dev.prestage.control.command;

import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// One request to the control plane. Each has exactly one kind of [Reply]; a request that cannot be
/// met ends in a [Refusal].
public sealed interface Command {
  /// Register a VM; what it is bound to can be used at the reply's addresses at once. The same
  /// registration again is harmless.
  ///
  /// @param vm the VM manager's name for it: 1 to 128 characters of letters, digits, `.`, `_`, `-`
  /// @param program the program that it runs, same form
  /// @param tenant whose it is, or null for `default`
  /// @param resources what the VM is bound to; none for one of which only starts and stops are
  ///   followed
  record RegisterVm(
      String vm, String program, @Nullable String tenant, List<RequestedResource> resources)
      implements Command {
    public RegisterVm {
      resources = List.copyOf(resources);
    }
  }

  /// Something that a VM is to be bound to.
  ///
  /// @param as what the VM calls it, same form as a VM's name
  /// @param source what it is: for a disk the image's file name at the origin, for connections the
  ///   upstream as `host:port`, an IPv6 address in brackets
  record RequestedResource(String as, ResourceType type, String source) {}

  /// Forget a VM: its export closes, its leases end. A VM whose disk has open NBD connections is in
  /// conflict with that, because its guest would get I/O errors.
  ///
  /// @param force remove it all the same; its connections are closed
  record RemoveVm(String vm, boolean force) implements Command {}

  /// All VMs, or the one named.
  record ShowVms(@Nullable String vm) implements Command {}

  /// The VM's copy of its program starts now: a run begins, and what is forecast for it is staged.
  record StartProgram(String vm) implements Command {}

  /// The copy ended: the run is learnt.
  record StopProgram(String vm) implements Command {}

  /// Pre-allocate whatever is predicted for the start of the VM's program, ahead of that start.
  record Allocate(String vm) implements Command {}

  /// How far an allocation is.
  record ShowAllocation(long allocation) implements Command {}

  /// Takes an allocation back. What is on its way for it is called off, unless the VM's program
  /// runs by now. Answered with [Reply.Done].
  record ReleaseAllocation(long allocation) implements Command {}

  /// Live leases, newest first, and the account of all.
  ///
  /// @param vm only this VM's live leases, or all
  record ShowLeases(@Nullable String vm, int limit) implements Command {}

  /// What a VM is expected to touch next; for a VM whose program is not running, what its start
  /// would touch.
  record ShowForecast(String vm, int limit) implements Command {}

  /// How much of a program's predicted working set this host holds, so that a scheduler can choose
  /// a host.
  ///
  /// @param tenant whose program it is, or null for `default`
  record RankProgram(String program, @Nullable String tenant) implements Command {}

  /// What staging did for each program and type of resource.
  record ShowReport() implements Command {}

  /// The host's tiers.
  record ShowTiers() implements Command {}

  /// How the addresses that get notices stand.
  record ShowWebhooks() implements Command {}

  /// Where this host's disks are served and its images lie, for tools on it.
  record ShowHost() implements Command {}

  /// Remove what this host's tiers hold of an image, in every version; it is fetched again when it
  /// is read.
  ///
  /// @param tenant whose it is, or null for `default`
  record PurgeImage(String image, @Nullable String tenant) implements Command {}

  /// A question to the history, answered without the engine.
  sealed interface HistoryQuestion extends Command {}

  /// Accesses from history, oldest first.
  record ShowHistory(
      @Nullable String program, @Nullable String vm, long fromNanos, long toNanos, int limit)
      implements HistoryQuestion {}

  /// Accesses from history, oldest first; of more than the limit, the oldest. Pages are read one
  /// after the other: the next begins at the time of the last row.
  ///
  /// @param skip so many of the first are left out, because the page before had them
  record ReadHistory(AccessHistory.Selection selection, int skip, int limit)
      implements HistoryQuestion {}

  /// What is touched most.
  ///
  /// @param burstGapNanos how long a pause within one burst of touches may be
  record ShowTop(AccessHistory.Selection selection, By by, long burstGapNanos, int limit)
      implements HistoryQuestion {}

  /// By what touches are counted.
  enum By {
    RESOURCE,
    PROGRAM,
    VM,
    TYPE;

    /// The name in the API.
    public String text() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /// Touches by buckets of time.
  record ShowTimeline(AccessHistory.Selection selection, long bucketNanos)
      implements HistoryQuestion {}

  /// Which units follow which.
  record ShowTransitions(AccessHistory.Selection selection, int limit) implements HistoryQuestion {}

  /// In which order units are touched.
  record ShowSequences(AccessHistory.Selection selection, int limit) implements HistoryQuestion {}

  /// Predict and stage, or only serve.
  record SetPredicting(boolean on) implements Command {}

  /// What was learnt about a program, as bytes for another host.
  record ExportModel(String program, @Nullable String tenant) implements Command {}

  /// Take what another host learnt. It replaces what this host knows about that program.
  record ImportModel(ByteBuffer model) implements Command {}

  /// What was learnt about each program.
  record ShowModels() implements Command {}

  /// Train a program's network from history, in the background.
  record TrainModel(String program, @Nullable String tenant) implements Command {}

  /// Which models of a program there are: the one that serves, and earlier ones.
  record ShowModelVersions(String program, @Nullable String tenant) implements Command {}

  /// What two models of a program differ in.
  ///
  /// @param from the number of one, kept or serving, or null for the one that served last
  /// @param to that of the other, or null for the one that serves
  record DiffModels(
      String program, @Nullable String tenant, @Nullable Integer from, @Nullable Integer to)
      implements Command {}

  /// Have an earlier model serve a program again.
  ///
  /// @param version its number, or null for the one that served last
  record RollBackModel(String program, @Nullable String tenant, @Nullable Integer version)
      implements Command {}

  /// Learn again from history alone what is known about a program, in the background.
  record RebuildModel(String program, @Nullable String tenant) implements Command {}

  /// Whether all parts work.
  record ShowHealth() implements Command {}

  /// Every counter and level.
  record ShowCounters() implements Command {}
}
