package dev.prestage.control.command;

import dev.prestage.engine.history.AccessHistory;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// What a [Command] is answered with. Component names are the API's field names; units stand last
/// in a name.
public sealed interface Reply {
  /// Registered VMs.
  record Vms(List<VmView> vms) implements Reply {}

  /// One VM.
  ///
  /// @param image its first disk's; empty for a VM that is bound to nothing
  /// @param imageBytes the size of its first disk
  /// @param uri where its first disk is read, an NBD URI on a unix socket
  /// @param tcpUri the same over TCP, or null when that is off
  /// @param running whether a copy of its program runs
  /// @param served whether all of its disks can be read; false while an image cannot be opened
  /// @param resources all that it is bound to
  record VmView(
      String vm,
      String tenant,
      String program,
      String image,
      long imageBytes,
      String uri,
      @Nullable String tcpUri,
      boolean running,
      boolean served,
      List<ResourceView> resources)
      implements Reply {}

  /// What a VM is bound to.
  ///
  /// @param as what the VM calls it
  /// @param type `file-block` and so on
  /// @param source such as an image's name
  /// @param amount the size of the whole, in `measure`
  /// @param unitAmount the size of one unit, in `measure`
  /// @param measure `bytes` and so on
  /// @param uri where it is used: for a disk an NBD URI, for connections `address:port`; empty
  ///   while only a data plane knows that has not said so yet
  /// @param tcpUri the same over TCP, or null when that is off
  /// @param served whether it can be used now
  /// @param fill how far it is brought to this host, or null where nothing is
  record ResourceView(
      String as,
      String type,
      String source,
      long amount,
      long unitAmount,
      String measure,
      String uri,
      @Nullable String tcpUri,
      boolean served,
      @Nullable FillView fill) {}

  /// How far a disk is brought to this host behind everything else.
  ///
  /// @param heldBytes what of it is here, however it came
  /// @param bytesPerSecond what fill has brought lately of its image
  /// @param etaSeconds until all is here, at that rate; null while it stands still
  /// @param complete whether all is here, so that its VM depends on no origin
  record FillView(
      long heldBytes,
      long totalBytes,
      long bytesPerSecond,
      @Nullable Double etaSeconds,
      boolean complete) {}

  /// An allocation that was asked for.
  ///
  /// @param planned units that the forecast asks for and that were not on this host
  /// @param granted of these, leased so far
  /// @param ready of these, resident (or ended since)
  /// @param queued of these, waiting for capacity
  /// @param state `staging`; then `available` when all that was planned is here, or `partial` when
  ///   the rest was given up
  record Allocation(
      long allocation,
      String vm,
      String program,
      int planned,
      int granted,
      int ready,
      int queued,
      String state)
      implements Reply {}

  /// Live leases and the account of all.
  record Leases(List<LeaseView> leases, Account account) implements Reply {}

  /// One live lease.
  ///
  /// @param due when demand is expected, ISO-8601
  record LeaseView(
      long lease,
      String vm,
      String program,
      String as,
      String source,
      long first,
      int units,
      int ready,
      int ended,
      String due) {}

  /// Every unit ever granted by this control plane: `granted` = `live` + the sum of the outcomes.
  ///
  /// @param outcomes units by outcome: useful, late, unused, redundant, failed, cancelled,
  ///   unobserved
  /// @param queued ranges that wait for capacity
  record Account(long granted, long live, Map<String, Long> outcomes, long queued) {}

  /// What a VM is expected to touch next, soonest first.
  record ForecastView(String vm, String program, List<Expected> resources) implements Reply {}

  /// One expected resource.
  ///
  /// @param resource its readable name
  /// @param dueMillis from now; negative when overdue
  /// @param experts who spoke for it
  record Expected(String resource, double probability, double dueMillis, List<String> experts) {}

  /// How much of what a program's start is expected to touch is on this host.
  ///
  /// @param seconds for bringing all that is missing, one type after the other
  record Rank(
      String tenant,
      String program,
      long bytes,
      long bytesHere,
      double seconds,
      List<RankRow> types)
      implements Reply {}

  /// The same for one type of content.
  ///
  /// @param units expected, of images and snapshots that this control plane has seen
  /// @param unitsHere of these, on this host
  /// @param unitsUnknown expected, of those that no VM here was bound to since it started
  record RankRow(
      String type,
      int units,
      int unitsHere,
      int unitsUnknown,
      long bytes,
      long bytesHere,
      double seconds) {}

  /// What staging did for each program and type of resource since the control plane started.
  ///
  /// @param since ISO-8601
  /// @param controls for each program of which a start was left without staging
  record Report(String since, List<ReportRow> rows, List<ControlRow> controls) implements Reply {}

  /// What staging is worth to a program: what its starts waited with and without it.
  ///
  /// @param controls starts that were left without
  /// @param controlSeconds what these waited on average
  /// @param staged starts with
  /// @param stagedSeconds what these waited on average
  /// @param savedSeconds a start, or null while nobody can say
  /// @param marginSeconds in 95 of 100 cases the truth is that close, or null while nobody can say
  /// @param pays whether the program is staged for; else only now and then, to see whether it pays
  ///   again
  record ControlRow(
      String tenant,
      String program,
      long controls,
      double controlSeconds,
      long staged,
      double stagedSeconds,
      @Nullable Double savedSeconds,
      @Nullable Double marginSeconds,
      boolean pays) {}

  /// One program and type.
  ///
  /// @param granted units: `live` and the sum of the outcomes
  /// @param outcomes units by outcome
  /// @param measure of the amounts: `bytes`, `connections` or `bytes-per-second`
  /// @param usefulAmount what was staged and demanded
  /// @param unusedAmount what was staged and given back without demand
  /// @param leadSeconds how long useful units stood ready before their demand, in all
  /// @param touches units that guests asked for, repeats at the same edge included
  /// @param waited of these, those that were not there
  /// @param waitedSeconds how long guests waited for them, in all
  /// @param coverage useful / (useful + waited), or null
  /// @param accuracy (useful + late) / (useful + late + unused), or null
  /// @param timeliness useful / (useful + late), or null
  record ReportRow(
      String tenant,
      String program,
      String type,
      long granted,
      long live,
      Map<String, Long> outcomes,
      String measure,
      long usefulAmount,
      long unusedAmount,
      double leadSeconds,
      long touches,
      long waited,
      double waitedSeconds,
      @Nullable Double coverage,
      @Nullable Double accuracy,
      @Nullable Double timeliness) {}

  /// The host's tiers, the fastest first.
  record Tiers(List<TierView> tiers) implements Reply {}

  /// One tier.
  ///
  /// @param kind `ram`, `ssd`, `hdd` or `nas`, as configured; empty if that is not known
  /// @param capacityBytes what it may hold; 0 while it cannot be used
  /// @param hits reads that got bytes from it
  /// @param promotedBytes what came from slower tiers
  /// @param demotedBytes what went to slower tiers
  /// @param foundBytes what was here when the data plane started
  /// @param stagedBytes what came from an origin for a forecast
  /// @param demandedBytes what came from an origin because a guest waited
  /// @param filledBytes what came from an origin behind everything else
  /// @param movedInBytes what came from other tiers
  /// @param movedOutBytes what went to other tiers
  /// @param evictedBytes what left the host to make room
  /// @param removedBytes what was given back: unused, purged, corrupt or of another version
  record TierView(
      String name,
      String kind,
      long capacityBytes,
      long usedBytes,
      long hits,
      long promotedBytes,
      long demotedBytes,
      long foundBytes,
      long stagedBytes,
      long demandedBytes,
      long filledBytes,
      long movedInBytes,
      long movedOutBytes,
      long evictedBytes,
      long removedBytes) {}

  /// The addresses that get notices, in the configuration's order.
  record Webhooks(List<WebhookView> webhooks) implements Reply {
    public Webhooks {
      webhooks = List.copyOf(webhooks);
    }
  }

  /// One address.
  ///
  /// @param webhook its place in the configuration, from 1
  /// @param url its scheme, host and port
  /// @param kinds of notices that it gets
  /// @param state `ok`, or `failing` when the last attempt failed
  /// @param lastError why it failed, or empty
  /// @param delivered notices that it took
  /// @param failed attempts that failed
  /// @param dead notices that were given up
  /// @param deadLetters the last of these
  record WebhookView(
      int webhook,
      String url,
      List<String> kinds,
      String state,
      String lastError,
      long delivered,
      long failed,
      long dead,
      List<DeadLetter> deadLetters) {}

  /// A notice that was given up.
  ///
  /// @param event its kind; empty for all that so many newer ones came after, in a row
  /// @param reason why the last attempt failed
  record DeadLetter(long id, String event, String reason) {}

  /// A host.
  ///
  /// @param nbdSocket where disks are served
  /// @param origins in the order in which they are asked for an image
  record Host(String nbdSocket, List<OriginView> origins) implements Reply {
    public Host {
      origins = List.copyOf(origins);
    }
  }

  /// A place that holds images.
  ///
  /// @param directory the folder that the images lie in
  record OriginView(String name, String directory) {}

  /// Rows of history.
  record History(List<AccessHistory.Row> rows) implements Reply {}

  /// What history adds up to. All of it is of touches: accesses that a guest asked for.
  sealed interface Aggregate extends Reply {}

  /// What is touched most, the most touched first.
  ///
  /// @param by `resource`, `program`, `vm` or `type`
  /// @param touches of everything that matches
  /// @param exact whether all that was touched could be counted one by one; if not, a row's numbers
  ///   are of the touches that it counts, and up to `missedUpTo` may be missing
  record Top(String by, long touches, boolean exact, List<TopRow> rows) implements Aggregate {}

  /// How something is touched.
  ///
  /// @param name a resource as `file-block:debian12.raw/4711`, or the program's, VM's, type's name
  /// @param waited of the touches, those that waited for an origin
  /// @param bursts series of touches without a long pause
  /// @param inUseNanos all bursts, each from its first touch to its last
  /// @param gapP50Nanos from a touch to the next of the same, in half of the cases at most
  record TopRow(
      String tenant,
      String name,
      long touches,
      long missedUpTo,
      long waited,
      double waitedShare,
      long latencyP50Nanos,
      long latencyP90Nanos,
      long latencyP99Nanos,
      long firstTimeNanos,
      long lastTimeNanos,
      long bursts,
      long inUseNanos,
      long gapP50Nanos) {}

  /// Touches by buckets of time, oldest first, empty ones too.
  ///
  /// @param exact whether all units of each bucket could be told apart
  record Timeline(long bucketNanos, boolean exact, List<TimelineRow> rows) implements Aggregate {}

  /// One bucket.
  ///
  /// @param timeNanos its begin
  /// @param units how many different ones were touched
  record TimelineRow(
      long timeNanos,
      long touches,
      long waited,
      int units,
      long latencyP50Nanos,
      long latencyP99Nanos) {}

  /// Which units follow which in a run of a VM, the most frequent first.
  ///
  /// @param transitions all of them
  /// @param outsideRuns touches that belong to no run and are not looked at
  /// @param exact as in [Top]
  record Transitions(long transitions, long outsideRuns, boolean exact, List<Transition> rows)
      implements Aggregate {}

  /// A unit and the next.
  ///
  /// @param probability of `to`, given `from`
  /// @param delayP50Nanos from one touch to the other, in half of the cases at most
  record Transition(
      String tenant,
      String from,
      String to,
      long count,
      long missedUpTo,
      double probability,
      long delayP50Nanos) {}

  /// In which order units are touched in a run of a VM.
  ///
  /// @param touches that belong to a run
  /// @param outsideRuns those that do not, and are not looked at
  /// @param exact as in [Top]
  /// @param stretches series of consecutive units, by length
  /// @param strides from one unit of a space to the next that is touched, the most frequent first
  /// @param ngrams three units one after the other, the most frequent first
  record Sequences(
      long touches,
      long outsideRuns,
      boolean exact,
      List<Stretches> stretches,
      List<Stride> strides,
      List<Ngram> ngrams)
      implements Aggregate {}

  /// Stretches of about the same length.
  ///
  /// @param fromUnits the shortest
  /// @param toUnits the longest
  /// @param units in all of them
  record Stretches(long fromUnits, long toUnits, long stretches, long units) {}

  /// How touches advance in a space.
  ///
  /// @param stride in units; 1 is the next
  /// @param share of all strides
  record Stride(long stride, long count, long missedUpTo, double share) {}

  /// Three units one after the other.
  ///
  /// @param resources their names, in the order of the touches
  record Ngram(String tenant, List<String> resources, long count, long missedUpTo) {}

  /// A program's model, in its own versioned format.
  record Model(ByteBuffer bytes) implements Reply {}

  /// What was removed of an image.
  ///
  /// @param bytes that were given back
  record Purged(long bytes) implements Reply {}

  /// What was learnt about programs.
  record Models(List<ModelView> models) implements Reply {}

  /// What was learnt about one program's accesses of one type.
  ///
  /// @param runs complete runs
  /// @param resources that its starts touch
  /// @param requests all of them
  /// @param memoryBytes about
  /// @param network whether a trained network serves, one on trial included
  /// @param networkGainBits by how many bits a request the last network made forecasts of the next
  ///   one better, or null before any was tried
  /// @param training how far the last training is, or null
  record ModelView(
      String tenant,
      String program,
      String type,
      int runs,
      int resources,
      long requests,
      long memoryBytes,
      boolean network,
      @Nullable Double networkGainBits,
      @Nullable Training training) {}

  /// How far the training of a program's network is, or the learning again of what is known about
  /// it.
  ///
  /// @param state `queued`, `reading`, `training`; then `serving`, `rejected` because the network
  ///   that serves is better, or `failed`; `rebuilding`, then `rebuilt` or `failed`
  /// @param line one line about it
  record Training(String tenant, String program, String state, String line) implements Reply {
    public static final String QUEUED = "queued";
    public static final String READING = "reading";
    public static final String TRAINING = "training";
    public static final String SERVING = "serving";
    public static final String REJECTED = "rejected";
    public static final String FAILED = "failed";
    public static final String REBUILDING = "rebuilding";
    public static final String REBUILT = "rebuilt";

    private static final Set<String> UNDER_WAY = Set.of(QUEUED, READING, TRAINING, REBUILDING);

    /// Whether it is over, in one way or another.
    public boolean hasEnded() {
      return !UNDER_WAY.contains(state);
    }
  }

  /// The model that serves a program, and the earlier ones that are kept.
  record ModelVersions(String tenant, String program, List<ModelVersion> versions)
      implements Reply {}

  /// One of them.
  ///
  /// @param serving whether it serves now; it is the first
  /// @param how `learnt`, `imported`, `rebuilt`, `trained`, `rolled-back`, `fetched` or `unknown`
  /// @param since when it began to serve, or null if that is not known
  /// @param dataFrom the begin of the data that it was made of, or null
  /// @param dataTo their end, or null
  /// @param seed of what was random in its training, or null
  /// @param runs that it was learnt from when another one took its place; null while it serves
  /// @param bytes of its file
  /// @param line one line about it
  /// @param trouble empty, or why it cannot be used
  record ModelVersion(
      int number,
      boolean serving,
      String how,
      @Nullable String since,
      @Nullable String dataFrom,
      @Nullable String dataTo,
      @Nullable Long seed,
      @Nullable Long runs,
      long bytes,
      String line,
      String trouble) {}

  /// What two models of a program differ in.
  ///
  /// @param types what each was learnt of, one at least
  record ModelDiff(
      String tenant, String program, ModelVersion from, ModelVersion to, List<ModelTypeDiff> types)
      implements Reply {}

  /// The same, of one type of resources. What one of the two does not know counts as 0 in it.
  ///
  /// @param fromRuns runs that it was learnt from
  /// @param fromNetwork whether it has a network
  /// @param fromNetworkGainBits by how many bits a request its last network made forecasts better,
  ///   or null before any was tried
  /// @param fromExpected how many units a start is expected to touch, with .1 at least
  /// @param both how many of them are expected by both
  /// @param jaccard `both` by how many are expected by either; 1 if none is
  /// @param changes the units whose probability changes most, at most ten, the largest first
  record ModelTypeDiff(
      String type,
      int fromRuns,
      int toRuns,
      boolean fromNetwork,
      boolean toNetwork,
      @Nullable Double fromNetworkGainBits,
      @Nullable Double toNetworkGainBits,
      int fromExpected,
      int toExpected,
      int both,
      double jaccard,
      List<ModelChange> changes) {}

  /// A unit that a start is expected to touch with another probability.
  record ModelChange(String resource, double from, double to) {}

  /// What was imported.
  record Imported(String tenant, String program, int runs, int resources) implements Reply {}

  /// Whether all parts work.
  ///
  /// @param status `ok`, or `degraded` when a part does not work; guests are served in either case
  /// @param predicting whether the switch is on
  /// @param dryRun whether what would be staged is only accounted for
  /// @param parts each part and `ok` or one line that says what is wrong and what to do
  record Health(String status, boolean predicting, boolean dryRun, Map<String, String> parts)
      implements Reply {}

  /// Every counter and level.
  record Counters(List<Counter> counters) implements Reply {}

  /// One number.
  ///
  /// @param name a Prometheus name without its prefix
  /// @param labels label names and values
  /// @param cumulative whether it only rises
  record Counter(String name, Map<String, String> labels, boolean cumulative, double value) {}

  /// It was done, and there is nothing to tell.
  record Done() implements Reply {}
}
