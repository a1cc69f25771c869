package dev.prestage.control;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Refusal.Reason;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Notice;
import dev.prestage.link.Frame;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class ControlPlaneTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  @TempDir Path folder;
  private final HostClock clock = new HostClock();
  private final List<Notice> notices = new CopyOnWriteArrayList<>();
  private final Kept history = new Kept();
  private final List<AutoCloseable> open = new ArrayList<>();
  private Path state = Path.of("");

  private static final class Kept implements ControlPlane.HistorySink {
    final BlockingQueue<Access> accesses = new LinkedBlockingQueue<>();
    final List<String> forgotten = new CopyOnWriteArrayList<>();
    volatile @Nullable CountDownLatch stuck;

    @Override
    public void offer(Access access, Binding binding) {
      CountDownLatch latch = stuck;
      if (latch != null) {
        try {
          latch.await();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
      accesses.add(access);
    }

    @Override
    public void forget(Vm vm) {
      forgotten.add(vm.name());
    }

    @Override
    public List<AccessHistory.Row> find(AccessHistory.Query query) {
      return List.of();
    }

    @Override
    public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) {}

    @Override
    public String state() {
      return "ok";
    }
  }

  @BeforeEach
  void prepare() throws IOException {
    state = Files.createDirectory(folder.resolve("state"));
  }

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private FakeDataPlane dataPlane() throws IOException {
    FakeDataPlane plane = new FakeDataPlane(folder.resolve("link.sock"), 1);
    open.add(plane);
    return plane;
  }

  private ControlPlane controlPlane(Path folderOfState, Duration patience) throws IOException {
    ControlPlane plane =
        ControlPlane.start(
            new ControlPlane.Options(
                folderOfState,
                folder.resolve("link.sock"),
                folder.resolve("nbd.sock"),
                "localhost:10809",
                Thresholds.all(0.25),
                Limits.DEFAULT,
                Duration.ofSeconds(1),
                true,
                false,
                0,
                learnt -> learnt),
            clock,
            history,
            notices::add,
            patience);
    open.add(plane);
    return plane;
  }

  private ControlPlane controlPlane() throws IOException {
    return controlPlane(state, PATIENCE);
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      LockSupport.parkNanos(2_000_000);
    }
  }

  private static void awaitLinked(ControlPlane plane) {
    await("linked", () -> "ok".equals(health(plane).status()));
    await("confirmed", () -> !tiers(plane).isEmpty());
  }

  private static Reply ask(ControlPlane plane, Command command) {
    try {
      return plane.execute(command);
    } catch (Refusal e) {
      throw new AssertionError(command + " was refused: " + e.getMessage(), e);
    }
  }

  private static Reply.Health health(ControlPlane plane) {
    return (Reply.Health) ask(plane, new Command.ShowHealth());
  }

  private static List<Reply.TierView> tiers(ControlPlane plane) {
    return ((Reply.Tiers) ask(plane, new Command.ShowTiers())).tiers();
  }

  private static Reply.Leases leases(ControlPlane plane) {
    return (Reply.Leases) ask(plane, new Command.ShowLeases(null, 1000));
  }

  private static List<Reply.VmView> vms(ControlPlane plane) {
    return ((Reply.Vms) ask(plane, new Command.ShowVms(null))).vms();
  }

  private static double counter(ControlPlane plane, String name) {
    return ((Reply.Counters) ask(plane, new Command.ShowCounters()))
        .counters().stream()
            .filter(counter -> counter.name().equals(name))
            .mapToDouble(Reply.Counter::value)
            .sum();
  }

  private static Command register(String vm, String program, String image) {
    return new Command.RegisterVm(
        vm,
        program,
        null,
        List.of(new Command.RequestedResource("disk0", ResourceType.FILE_BLOCK, image)));
  }

  private static void assertRefused(
      ControlPlane plane, Command command, Reason reason, String message) {
    assertThatThrownBy(() -> plane.execute(command))
        .isInstanceOfSatisfying(
            Refusal.class, refusal -> assertThat(refusal.reason()).isEqualTo(reason))
        .hasMessageContaining(message);
  }

  private int space(FakeDataPlane data, String vm) {
    return data.received(Frame.Bind.class).stream()
        .filter(attach -> attach.name().equals(vm))
        .findFirst()
        .orElseThrow()
        .space();
  }

  private Frame.Accesses touches(FakeDataPlane data, String vm, long first, int extents) {
    Frame.Bind attach =
        data.received(Frame.Bind.class).stream()
            .filter(a -> a.name().equals(vm))
            .toList()
            .getLast();
    List<Frame.AccessRecord> records = new ArrayList<>();
    for (int i = 0; i < extents; i++) {
      records.add(
          new Frame.AccessRecord(
              attach.binding(),
              attach.space(),
              (first + i) * 65536,
              65536,
              clock.nanos(),
              AccessType.READ,
              Cause.DEMAND,
              false,
              1000));
    }
    return new Frame.Accesses(records);
  }

  /// One run that touches 50 extents here and 30 there.
  private void learn(ControlPlane plane, FakeDataPlane data, String vm) throws Exception {
    ask(plane, new Command.StartProgram(vm));
    data.send(touches(data, vm, 100, 50));
    data.send(touches(data, vm, 700, 30));
    for (int i = 0; i < 80; i++) {
      assertThat(history.accesses.poll(30, TimeUnit.SECONDS)).isNotNull();
    }
    ask(plane, new Command.StopProgram(vm));
  }

  /// All leaves the tier, and the control plane has heard of it.
  private void evictAll(FakeDataPlane data, String vm) throws Exception {
    data.send(new Frame.Evicted(space(data, vm), 0, 1000));
    Frame.AccessRecord like = touches(data, vm, 0, 1).records().getFirst();
    data.send(
        new Frame.Accesses(
            List.of(
                new Frame.AccessRecord(
                    like.binding(),
                    like.space(),
                    0,
                    1,
                    like.timeNanos(),
                    AccessType.READ,
                    Cause.MAINTENANCE,
                    false,
                    1))));
    next();
  }

  // ---- registrations

  @Test
  void registeredVmIsServedAtItsUriAndRepeatingIsHarmless() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    Reply.VmView view = (Reply.VmView) ask(plane, register("vm1", "web", "debian"));
    assertThat(view.imageBytes()).isEqualTo(FakeDataPlane.IMAGE_BYTES);
    assertThat(view.uri()).startsWith("nbd+unix:///vm1?socket=").endsWith("nbd.sock");
    assertThat(view.tcpUri()).isEqualTo("nbd://localhost:10809/vm1");
    assertThat(view.tenant()).isEqualTo("default");
    assertThat(ask(plane, register("vm1", "web", "debian"))).isEqualTo(view);
    assertThat(data.received(Frame.Bind.class)).hasSize(1);
    assertRefused(plane, register("vm1", "db", "debian"), Reason.CONFLICT, "remove it first");
    assertRefused(plane, register("vm1", "web", "other"), Reason.CONFLICT, "remove it first");
    assertRefused(plane, register("../vm", "web", "debian"), Reason.INVALID, "is no name");
    assertRefused(plane, register("vm2", "web", ".hidden"), Reason.INVALID, "image");
    assertThat(vms(plane)).containsExactly(view);
  }

  private static Command.RegisterVm withDisks(String vm, String... images) {
    List<Command.RequestedResource> disks = new ArrayList<>();
    for (String image : images) {
      disks.add(
          new Command.RequestedResource("disk" + disks.size(), ResourceType.FILE_BLOCK, image));
    }
    return new Command.RegisterVm(vm, "web", null, disks);
  }

  @Test
  void aVmWithTwoDisksHasTwoAddressesAndOneRun() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    Reply.VmView view = (Reply.VmView) ask(plane, withDisks("vm1", "debian", "data"));
    assertThat(view.resources())
        .extracting(Reply.ResourceView::as, Reply.ResourceView::source, Reply.ResourceView::amount)
        .containsExactly(
            tuple("disk0", "debian", FakeDataPlane.IMAGE_BYTES),
            tuple("disk1", "data", FakeDataPlane.IMAGE_BYTES));
    assertThat(view.resources().getLast().tcpUri()).isEqualTo("nbd://localhost:10809/vm1/disk1");
    assertThat(ask(plane, withDisks("vm1", "debian", "data"))).isEqualTo(view);
    assertRefused(plane, withDisks("vm1", "data", "debian"), Reason.CONFLICT, "remove it first");
    ask(plane, new Command.StartProgram("vm1"));
    data.send(touches(data, "vm1", 100, 50));
    data.send(touches(data, "vm1/disk1", 700, 30));
    Set<Long> runs = new HashSet<>();
    Set<Integer> bindings = new HashSet<>();
    for (int i = 0; i < 80; i++) {
      Access access = requireNonNull(history.accesses.poll(30, TimeUnit.SECONDS));
      runs.add(access.run());
      bindings.add(access.binding());
    }
    assertThat(runs).hasSize(1).doesNotContain(Access.NO_RUN);
    assertThat(bindings).hasSize(2);
    ask(plane, new Command.StopProgram("vm1"));
    Reply.ForecastView forecast =
        (Reply.ForecastView) ask(plane, new Command.ShowForecast("vm1", 1000));
    assertThat(forecast.resources())
        .extracting(Reply.Expected::resource)
        .contains("file-block:debian/100", "file-block:data/700");
    ask(plane, new Command.RemoveVm("vm1", true));
    assertThat(data.received(Frame.Unbind.class)).hasSize(2);
  }

  private static Command.RegisterVm withUpstream(String vm, String upstream) {
    return new Command.RegisterVm(
        vm,
        "web",
        null,
        List.of(
            new Command.RequestedResource("disk0", ResourceType.FILE_BLOCK, "debian"),
            new Command.RequestedResource("db", ResourceType.NETWORK_CONNECTION, upstream)));
  }

  @Test
  void connectionsAreUsedWhereTheDataPlaneSaysAlsoWhenItHasMoved() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    Reply.VmView view = (Reply.VmView) ask(plane, withUpstream("vm1", "[2001:db8::1]:5432"));
    assertThat(view.uri()).startsWith("nbd+unix:///vm1?socket=");
    Reply.ResourceView connections = view.resources().getLast();
    assertThat(connections)
        .isEqualTo(
            new Reply.ResourceView(
                "db",
                "network-connection",
                "[2001:db8::1]:5432",
                8,
                1,
                "connections",
                "127.0.0.1:40123",
                null,
                true,
                null));
    data.networkAddress = "127.0.0.1:40999";
    data.hangUp();
    await(
        "the new address is known",
        () -> vms(plane).getFirst().resources().getLast().uri().equals("127.0.0.1:40999"));
    data.send(connect(data, 3));
    Access access = requireNonNull(history.accesses.poll(30, TimeUnit.SECONDS));
    assertThat(Resource.index(access.resource())).isEqualTo(3);
    assertThat(access.amount()).isEqualTo(1);
  }

  @Test
  void aVmWithoutDisksIsRemovedAlsoJustAfterARestartOfTheDataPlane() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(
        plane,
        new Command.RegisterVm(
            "vm1",
            "web",
            null,
            List.of(new Command.RequestedResource("db", ResourceType.NETWORK_CONNECTION, "db:1"))));
    plane.close();
    ControlPlane next = controlPlane();
    awaitLinked(next);
    CompletableFuture<Reply> removal = waitingRemoval(next);
    data.send(connections(0));
    assertThat(removal.get(20, TimeUnit.SECONDS)).isEqualTo(new Reply.Done());
  }

  private Frame.Accesses connect(FakeDataPlane data, int level) {
    Frame.Bind bind = data.received(Frame.Bind.class).getLast();
    return new Frame.Accesses(
        List.of(
            new Frame.AccessRecord(
                bind.binding(),
                bind.space(),
                level,
                1,
                clock.nanos(),
                AccessType.UNKNOWN,
                Cause.DEMAND,
                false,
                1000)));
  }

  @Test
  void whatWasLearntOfConnectionsGoesToAnotherHost() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, withUpstream("vm1", "db:5432"));
    ask(plane, new Command.StartProgram("vm1"));
    for (int level = 0; level < 3; level++) {
      data.send(connect(data, level));
    }
    for (int level = 0; level < 3; level++) {
      assertThat(history.accesses.poll(30, TimeUnit.SECONDS)).isNotNull();
    }
    ask(plane, new Command.StopProgram("vm1"));
    byte[] model = modelOf(plane, "web");
    plane.close();

    ControlPlane other = controlPlane(folder.resolve("other"), PATIENCE);
    awaitLinked(other);
    assertThat(ask(other, new Command.ImportModel(ByteBuffer.wrap(model))))
        .isEqualTo(new Reply.Imported("default", "web", 1, 3));
    ask(other, withUpstream("vm9", "db:5432"));
    Reply.Allocation asked = (Reply.Allocation) ask(other, new Command.Allocate("vm9"));
    assertThat(asked.planned()).isEqualTo(3);
  }

  @Test
  void onlyTheSourceOfConnectionsIsHostAndPort() throws Exception {
    dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    for (String source :
        List.of(
            "db",
            "db:",
            "db:0",
            "db:65536",
            "a b:1",
            "::1:5432",
            "[::1]",
            "../db:1",
            "d/b:1",
            "d:1,proxy=v1")) {
      assertRefused(plane, withUpstream("vm1", source), Reason.INVALID, "is not host:port");
    }
    assertRefused(plane, register("vm1", "web", "db:5432"), Reason.INVALID, "is no name");
    assertThat(vms(plane)).isEmpty();
    ask(plane, withUpstream("vm1", "db_1.example.org:5432"));
    ask(plane, withUpstream("vm2", "web.example.org:8080,proxy=v2"));
  }

  @Test
  void whereOneOfTwoDisksIsRefusedNothingIsRegistered() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    data.missing = "data";
    assertRefused(plane, withDisks("vm1", "debian", "data"), Reason.INVALID, "no image 'data'");
    assertThat(vms(plane)).isEmpty();
    await("both are undone", () -> data.received(Frame.Unbind.class).size() == 2);
    assertRefused(
        plane,
        new Command.RegisterVm(
            "vm1",
            "web",
            null,
            List.of(new Command.RequestedResource("m", ResourceType.MEMORY_PAGE, "snapshot"))),
        Reason.INVALID,
        "serves no memory-page");
  }

  @Test
  void aVmThatIsBoundToNothingIsFollowedAcrossARestart() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, withDisks("vm1"));
    ask(plane, new Command.StartProgram("vm1"));
    assertThat(vms(plane).getFirst().running()).isTrue();
    ask(plane, new Command.StopProgram("vm1"));
    assertThat(vms(plane).getFirst().running()).isFalse();
    plane.close();
    plane = controlPlane();
    awaitLinked(plane);
    assertThat(vms(plane)).hasSize(1);
    ask(plane, new Command.StartProgram("vm1"));
    assertThat(vms(plane).getFirst().running()).isTrue();
    ask(plane, new Command.RemoveVm("vm1", false));
    assertThat(vms(plane)).isEmpty();
    assertThat(data.received(Frame.Bind.class)).isEmpty();
  }

  @Test
  void whatTheDataPlaneRefusesIsToldAndNotRegistered() throws Exception {
    FakeDataPlane data = dataPlane();
    data.error = "no image 'debian' at origin nas";
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    assertRefused(plane, register("vm1", "web", "debian"), Reason.INVALID, "no image 'debian'");
    assertThat(vms(plane)).isEmpty();
  }

  @Test
  void whatTheDataPlaneCannotServeIsSaidAtTheSameRegistrationAndAtTheStart() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    data.send(new Frame.Trouble("attach", "VM 'vm1' cannot be served yet"));
    data.send(new Frame.Status(List.of(new Frame.Counter("disk_served", "vm1", 0))));
    await("it is known", () -> vms(plane).stream().noneMatch(Reply.VmView::served));
    assertThat(health(plane).parts().get("attach")).contains("cannot be served yet");
    data.error = "is the share mounted?";
    assertRefused(plane, register("vm1", "web", "debian"), Reason.INVALID, "share mounted");
    assertRefused(plane, new Command.StartProgram("vm1"), Reason.UNAVAILABLE, "has no disk now");
    assertThat(vms(plane)).hasSize(1);
    data.error = "";
    data.send(new Frame.Status(List.of(new Frame.Counter("disk_served", "vm1", 1))));
    await("it is known", () -> vms(plane).stream().allMatch(Reply.VmView::served));
    assertThat(health(plane).status()).as("what is over is not said any more").isEqualTo("ok");
    ask(plane, register("vm1", "web", "debian"));
    ask(plane, new Command.StartProgram("vm1"));
  }

  private static Frame.Status filled(String disk, long held, int complete) {
    return filled(disk, held, complete, complete);
  }

  private static Frame.Status filled(String disk, long held, int complete, int completions) {
    return new Frame.Status(
        List.of(
            new Frame.Counter("fill_held_bytes", disk, held),
            new Frame.Counter("fill_total_bytes", disk, 1000),
            new Frame.Counter("fill_rate_bytes", disk, 100),
            new Frame.Counter("fill_complete", disk, complete),
            new Frame.Counter("fill_completions", disk, completions)));
  }

  private List<Notice.Complete> completes() {
    return notices.stream()
        .filter(Notice.Complete.class::isInstance)
        .map(Notice.Complete.class::cast)
        .toList();
  }

  @Test
  void aDiskThatIsCompleteIsSaidOnceForEachVmAndAgainAfterItWasNot() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    assertThat(vms(plane).getFirst().resources().getFirst().fill()).isNull();
    data.send(filled("vm1", 400, 0));
    Supplier<Reply.@Nullable FillView> fill =
        () -> vms(plane).getFirst().resources().getFirst().fill();
    await("it is known", () -> fill.get() != null);
    assertThat(fill.get()).isEqualTo(new Reply.FillView(400, 1000, 100, 6.0, false));
    assertThat(completes()).isEmpty();
    data.send(filled("vm1", 1000, 1));
    data.send(filled("vm1", 1000, 1));
    data.send(new Frame.Status(List.of()));
    await("nothing is known", () -> fill.get() == null);
    data.send(filled("vm1", 1000, 1));
    await("it is known", () -> fill.get() != null);
    assertThat(completes())
        .singleElement()
        .isEqualTo(
            new Notice.Complete(
                completes().getFirst().timeNanos(), "vm1", "web", "disk0", "debian", 1000));
    data.send(filled("vm1", 999, 0));
    data.send(filled("vm1", 1000, 1));
    await("it is said again", () -> completes().size() == 2);
    // Lost and here again between two reports, and lost once more with the same words.
    var loss =
        new Frame.Trouble(
            "incomplete:" + vms(plane).getFirst().tenant() + "/debian", "some was evicted");
    data.send(loss);
    data.send(filled("vm1", 1000, 1, 2));
    await("it is said again", () -> completes().size() == 3);
    assertThat(health(plane).parts()).as("it is over").doesNotContainKey(loss.kind());
    data.send(loss);
    await("it is said again", () -> losses() == 2);
    data.send(filled("vm1", 1000, 1, 3));
    await("it is said again", () -> completes().size() == 4);
    // One that comes later hears of it, too.
    ask(plane, register("vm2", "web", "debian"));
    data.send(filled("vm2", 1000, 1));
    await("it is said", () -> completes().size() == 5);
    assertThat(completes().getLast().vm()).isEqualTo("vm2");
  }

  private long losses() {
    return notices.stream()
        .filter(notice -> notice instanceof Notice.Degraded loss && loss.kind().contains("/debian"))
        .count();
  }

  @Test
  void aRunThatNobodyStopsEndsAndIsLearntOnceItsDiskIsClosed() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    ask(plane, new Command.StartProgram("vm1"));
    Frame.Status open = new Frame.Status(List.of(new Frame.Counter("disk_connections", "vm1", 1)));
    Frame.Status shut = new Frame.Status(List.of(new Frame.Counter("disk_connections", "vm1", 0)));
    data.send(open);
    await(
        "it ends",
        () -> {
          assertDoesNotThrow(() -> data.send(shut));
          return vms(plane).stream().noneMatch(Reply.VmView::running);
        });
  }

  @Test
  void aRegistrationThatIsRefusedIsTakenBackAtTheDataPlane() throws Exception {
    FakeDataPlane data = dataPlane();
    data.error = "no image 'debian' at origin nas";
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    assertRefused(plane, register("vm1", "web", "debian"), Reason.INVALID, "no image 'debian'");
    int vm = data.received(Frame.Bind.class).getFirst().binding();
    await(
        "the data plane stops trying",
        () ->
            data.received(Frame.Unbind.class).stream().anyMatch(detach -> detach.binding() == vm));
  }

  @Test
  void withoutADataPlaneRegistrationIsUnavailableAndHealthDegraded() throws Exception {
    ControlPlane plane = controlPlane();
    assertRefused(plane, register("vm1", "web", "debian"), Reason.UNAVAILABLE, "");
    assertThat(vms(plane)).isEmpty();
    await("the reason is known", () -> health(plane).parts().toString().contains("trying again"));
    assertThat(health(plane).status()).isEqualTo("degraded");
    dataPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
  }

  @Test
  void silentDataPlaneIsGivenUpAndTheLateAnswerRegistersNothing() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane(state, Duration.ofSeconds(1));
    awaitLinked(plane);
    data.silent = true;
    assertRefused(plane, register("vm1", "web", "debian"), Reason.UNAVAILABLE, "no answer");
    Frame.Bind attach = data.received(Frame.Bind.class).getFirst();
    data.send(new Frame.Answer(attach.requestId(), 4096, Shape.blocks(4096), "", ""));
    await("undone", () -> !data.received(Frame.Unbind.class).isEmpty());
    assertThat(vms(plane)).isEmpty();
  }

  @Test
  void dataPlaneThatGoesAwayMeanwhileIsTold() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    data.silent = true;
    CompletableFuture<Void> refused =
        CompletableFuture.runAsync(() ->
            assertRefused(
                plane, register("vm1", "web", "debian"), Reason.UNAVAILABLE, "went away"));
    await("asked", () -> !data.received(Frame.Bind.class).isEmpty());
    data.hangUp();
    refused.join();
  }

  @Test
  void sameRegistrationTwiceAtOnceIsOne() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    data.silent = true;
    CompletableFuture<Reply> first = later(plane, register("vm1", "web", "debian"));
    await("asked", () -> !data.received(Frame.Bind.class).isEmpty());
    CompletableFuture<Reply> second = later(plane, register("vm1", "web", "debian"));
    assertRefused(plane, register("vm1", "db", "debian"), Reason.CONFLICT, "vm1");
    Frame.Bind attach = data.received(Frame.Bind.class).getFirst();
    data.send(new Frame.Answer(attach.requestId(), 65536, Shape.blocks(65536), "", ""));
    assertThat(first.join()).isEqualTo(second.join());
    assertThat(data.received(Frame.Bind.class)).hasSize(1);
    assertThat(vms(plane)).hasSize(1);
  }

  private static CompletableFuture<Reply> later(ControlPlane plane, Command command) {
    return CompletableFuture.supplyAsync(() -> {
      try {
        return plane.execute(command);
      } catch (Refusal e) {
        throw new CompletionException(e);
      }
    });
  }

  @Test
  void registrationsAndNumbersSurviveARestart() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    ask(plane, register("vm2", "web", "alpine"));
    ask(plane, new Command.RemoveVm("vm1", false));
    List<Reply.VmView> before = vms(plane);
    plane.close();
    data.received.clear();
    ControlPlane next = controlPlane();
    awaitLinked(next);
    assertThat(vms(next)).isEqualTo(before);
    Frame.Bind attach = data.received(Frame.Bind.class).getFirst();
    assertThat(attach.name()).isEqualTo("vm2");
    assertThat(attach.space()).isEqualTo(1);
    assertThat(data.received(Frame.BoundAll.class)).hasSize(1);
    ask(next, register("vm3", "web", "debian"));
    assertThat(space(data, "vm3")).isZero();
    assertThat(data.received(Frame.Bind.class).getLast().binding()).isGreaterThan(attach.binding());
  }

  @Test
  void removedVmIsUnknownAndMayBeRegisteredAnew() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    ask(plane, new Command.RemoveVm("vm1", true));
    assertThat(data.received(Frame.Unbind.class)).hasSize(1);
    for (Command command :
        List.of(
            new Command.RemoveVm("vm1", false),
            new Command.ShowVms("vm1"),
            new Command.StartProgram("vm1"),
            new Command.StopProgram("vm1"),
            new Command.Allocate("vm1"),
            new Command.ShowForecast("vm1", 10),
            new Command.ShowLeases("vm1", 10))) {
      assertRefused(plane, command, Reason.UNKNOWN, "no VM is registered as 'vm1'");
    }
    ask(plane, register("vm1", "db", "debian"));
  }

  @Test
  void stateThatCannotBeWrittenRefusesAndChangesNothing() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    Path next = Files.createDirectory(state.resolve("registrations.json.next"));
    assertRefused(
        plane, register("vm2", "web", "debian"), Reason.UNAVAILABLE, "cannot keep registrations");
    assertRefused(
        plane, new Command.RemoveVm("vm1", true), Reason.UNAVAILABLE, "cannot keep registrations");
    assertThat(vms(plane)).extracting(Reply.VmView::vm).containsExactly("vm1");
    assertThat(data.received(Frame.Bind.class)).hasSize(1);
    assertThat(data.received(Frame.Unbind.class)).isEmpty();
    Files.delete(next);
    ask(plane, register("vm2", "web", "debian"));
  }

  @Test
  void whatIsRefusedLeavesNoNameBehind() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    byte[] model = modelOf(plane, "web");
    Path file = state.resolve("registrations.json");
    data.error = "there is no such image";
    assertRefused(plane, register("vm2", "db", "alpine"), Reason.INVALID, "no such image");
    assertThat(file).content().doesNotContain("alpine").doesNotContain("\"db\"");
    data.error = "";
    ask(plane, register("vm3", "db", "alpine"));
    assertThat(space(data, "vm3")).isEqualTo(1);

    // The same model with an image of another name, cut short within what was learnt.
    String text = new String(model, StandardCharsets.ISO_8859_1).replace("debian", "nobody");
    byte[] cut = Arrays.copyOf(text.getBytes(StandardCharsets.ISO_8859_1), model.length - 8);
    ByteBuffer header = ByteBuffer.wrap(cut);
    CRC32C crc = new CRC32C();
    crc.update(cut, 20, cut.length - 20);
    header.putInt(12, cut.length - 20).putInt(16, (int) crc.getValue());
    String before = Files.readString(file);
    assertRefused(
        plane, new Command.ImportModel(ByteBuffer.wrap(cut)), Reason.INVALID, "is refused");
    ask(plane, new Command.SetPredicting(true));
    assertThat(file).content().doesNotContain("nobody");
    assertThat(before).doesNotContain("nobody");
  }

  private static byte[] modelOf(ControlPlane plane, String program) {
    ByteBuffer bytes = ((Reply.Model) ask(plane, new Command.ExportModel(program, null))).bytes();
    byte[] model = new byte[bytes.remaining()];
    bytes.get(model);
    return model;
  }

  @Test
  void lostRegistrationsTakeNoDiskAwayAndAreSaid() throws Exception {
    FakeDataPlane data = dataPlane();
    Files.writeString(state.resolve("attachments"), "what the data plane serves");
    Files.writeString(state.resolve("registrations.json"), "{");
    ControlPlane plane = controlPlane();
    await("linked", () -> "ok".equals(health(plane).parts().get("data-plane")));
    assertThat(health(plane).parts().get("registrations")).contains("are lost");
    assertThat(health(plane).parts()).containsKey("registrations.json.damaged-1");
    ask(plane, register("vm1", "web", "debian"));
    Frame.Bind attach = data.received(Frame.Bind.class).getLast();
    assertThat(attach.binding())
        .as("a number that the data plane does not know")
        .isGreaterThan(1 << 20);
    assertThat(attach.space()).isGreaterThanOrEqualTo(1 << 16);
    data.hangUp();
    await("linked again", () -> data.received(Frame.Bind.class).size() == 2);
    // Nothing is known of its connections before the first report.
    CompletableFuture<Reply> removal = waitingRemoval(plane);
    data.send(connections(0));
    removal.get(20, TimeUnit.SECONDS);
    assertThat(data.received(Frame.Unbind.class)).hasSize(1);
    assertThat(data.received(Frame.BoundAll.class)).isEmpty();
  }

  @Test
  void aVmIsNotRemovedWhereItsDataPlaneWouldNeverHearOfIt() throws Exception {
    FakeDataPlane data = dataPlane();
    Files.writeString(state.resolve("attachments"), "what the data plane serves");
    ControlPlane plane = controlPlane();
    await("linked", () -> "ok".equals(health(plane).parts().get("data-plane")));
    ask(plane, register("vm1", "web", "debian"));
    data.close();
    await("gone", () -> !"ok".equals(health(plane).parts().get("data-plane")));
    assertRefused(
        plane, new Command.RemoveVm("vm1", false), Reason.UNAVAILABLE, "while the data plane is");
    assertThat(vms(plane)).hasSize(1);
  }

  private static Frame.Status connections(long count) {
    return new Frame.Status(List.of(new Frame.Counter("disk_connections", "vm1", count)));
  }

  @Test
  void aGuestThatMayComeBackAfterARestartOfTheDataPlaneKeepsItsDisk() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    reportConnections(data, plane, 1);
    data.instance = 2;
    data.hangUp();
    await("bound again", () -> data.received(Frame.Bind.class).size() == 2);
    await("reported", () -> counter(plane, "demand_reads") == 3);
    assertRefused(
        plane, new Command.RemoveVm("vm1", false), Reason.CONFLICT, "may come back to its disk");
    reportConnections(data, plane, 1);
    reportConnections(data, plane, 0);
    CompletableFuture<Reply> removal = waitingRemoval(plane);
    data.send(connections(0));
    assertThat(removal.get(20, TimeUnit.SECONDS)).isEqualTo(new Reply.Done());
    assertThat(vms(plane)).isEmpty();
  }

  @Test
  void aDiskThatIsAnotherOneAfterARestartIsNotServed() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    data.imageBytes = FakeDataPlane.IMAGE_BYTES + 65536;
    data.instance = 2;
    data.hangUp();
    await("it is taken away", () -> data.received(Frame.Unbind.class).size() == 1);
    assertThat(vms(plane)).singleElement().satisfies(vm -> assertThat(vm.served()).isFalse());
    assertThat(health(plane).parts().get("vm:vm1")).contains("is another one than this VM began");
    assertRefused(plane, new Command.StartProgram("vm1"), Reason.UNAVAILABLE, "has no disk now");
  }

  private static void reportConnections(FakeDataPlane data, ControlPlane plane, long count)
      throws IOException {
    data.send(connections(count));
    await("reported", () -> counter(plane, "disk_connections") == count);
  }

  /// A removal that waits for the data plane's next report.
  private static CompletableFuture<Reply> waitingRemoval(ControlPlane plane) {
    var reply = new CompletableFuture<Reply>();
    Thread remover =
        Thread.ofPlatform()
            .start(() -> {
              try {
                reply.complete(plane.execute(new Command.RemoveVm("vm1", false)));
              } catch (Refusal | RuntimeException e) {
                reply.completeExceptionally(e);
              }
            });
    await("it waits", () -> remover.getState() == Thread.State.TIMED_WAITING);
    // The engine takes commands in their order, so it has taken the removal before this one.
    ask(plane, new Command.ShowCounters());
    assertThat(reply).isNotDone();
    return reply;
  }

  private static void assertInUse(CompletableFuture<Reply> removal) {
    assertThatThrownBy(() -> removal.get(20, TimeUnit.SECONDS))
        .hasCauseInstanceOf(Refusal.class)
        .hasMessageContaining("the disk of VM vm1 has 2 open NBD connections")
        .hasMessageContaining("--force")
        .extracting(e -> ((Refusal) e.getCause()).reason())
        .isEqualTo(Reason.CONFLICT);
  }

  @Test
  void aVmWhoseDiskIsReadIsRemovedOnlyByForce() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    reportConnections(data, plane, 2);
    CompletableFuture<Reply> removal = waitingRemoval(plane);
    data.send(connections(2));
    assertInUse(removal);
    assertThat(data.received(Frame.Unbind.class)).isEmpty();
    assertThat(vms(plane)).hasSize(1);
    ask(plane, new Command.RemoveVm("vm1", true));
    assertThat(data.received(Frame.Unbind.class)).hasSize(1);
    assertThat(vms(plane)).isEmpty();
  }

  @Test
  void aGuestThatHasEndedSinceTheLastReportIsNoObstacle() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    reportConnections(data, plane, 2);
    CompletableFuture<Reply> removal = waitingRemoval(plane);
    data.send(connections(0));
    assertThat(removal.get(20, TimeUnit.SECONDS)).isEqualTo(new Reply.Done());
    assertThat(vms(plane)).isEmpty();
  }

  @Test
  void aGuestThatWaitsForTheDataPlaneKeepsItsVm() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    reportConnections(data, plane, 2);
    CompletableFuture<Reply> removal = waitingRemoval(plane);
    data.close();
    assertInUse(removal);
    await("gone", () -> !"ok".equals(health(plane).parts().get("data-plane")));
    assertRefused(
        plane, new Command.RemoveVm("vm1", false), Reason.CONFLICT, "2 open NBD connections");
    ask(plane, new Command.RemoveVm("vm1", true));
    assertThat(vms(plane)).isEmpty();
  }

  // ---- staging

  @Test
  void aProgramIsRankedByWhatThisHostHoldsOfItsWorkingSet() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    Reply.Rank warm = (Reply.Rank) ask(plane, new Command.RankProgram("web", null));
    assertThat(warm.bytes()).isEqualTo(80 * 65536);
    assertThat(warm.bytesHere()).isEqualTo(warm.bytes());
    assertThat(warm.seconds()).isZero();
    ask(plane, new Command.RemoveVm("vm1", true));
    ask(plane, register("vm2", "web", "debian"));
    evictAll(data, "vm2");
    Reply.Rank cold = (Reply.Rank) ask(plane, new Command.RankProgram("web", null));
    assertThat(cold.bytes()).isEqualTo(warm.bytes());
    assertThat(cold.bytesHere()).isZero();
    assertThat(cold.seconds()).isPositive();
    assertThat(cold.types())
        .singleElement()
        .satisfies(row -> {
          assertThat(row.type()).isEqualTo("file-block");
          assertThat(row.units()).isEqualTo(80);
          assertThat(row.unitsHere()).isZero();
          assertThat(row.unitsUnknown()).isZero();
        });
    assertRefused(plane, new Command.RankProgram("unknown", null), Reason.UNKNOWN, "unknown");
  }

  @Test
  void whatARunTouchedIsAllocatedForTheNextAndAccountedFor() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    evictAll(data, "vm1");
    Reply.ForecastView forecast =
        (Reply.ForecastView) ask(plane, new Command.ShowForecast("vm1", 5));
    assertThat(forecast.resources()).hasSize(5);
    assertThat(forecast.resources().getFirst().resource()).isEqualTo("file-block:debian/100");
    assertThat(forecast.resources().getFirst().experts()).contains("run-set");
    Reply.Allocation asked = (Reply.Allocation) ask(plane, new Command.Allocate("vm1"));
    assertThat(asked.planned()).isEqualTo(80);
    await(
        "available",
        () ->
            ((Reply.Allocation) ask(plane, new Command.ShowAllocation(asked.allocation())))
                .state()
                .equals("available"));
    await("told", () -> notices.stream().anyMatch(Notice.Available.class::isInstance));
    Reply.Leases leases = leases(plane);
    assertThat(leases.account().live()).isEqualTo(leases.account().granted() - ended(leases));
    assertThat(leases.leases())
        .isNotEmpty()
        .allSatisfy(lease -> assertThat(lease.vm()).isEqualTo("vm1"));
    assertThat(((Reply.Leases) ask(plane, new Command.ShowLeases("vm1", 1))).leases()).hasSize(1);
    assertThat(((Reply.Leases) ask(plane, new Command.ShowLeases("vm1", -1))).leases()).isEmpty();
    assertThat(counter(plane, "units_granted")).isEqualTo((double) leases.account().granted());
    assertThat(tiers(plane))
        .containsExactly(new Reply.TierView("ssd", "", 1000, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    assertRefused(plane, new Command.ShowAllocation(99), Reason.UNKNOWN, "no allocation 99");
  }

  private static long ended(Reply.Leases leases) {
    return leases.account().outcomes().values().stream().mapToLong(Long::longValue).sum();
  }

  @Test
  void leasesOutliveTheControlPlaneAndALinkThatBreaks() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    evictAll(data, "vm1");
    ask(plane, new Command.Allocate("vm1"));
    await(
        "ready",
        () -> counter(plane, "units_in_flight") == 0 && leases(plane).account().live() >= 80);
    long live = leases(plane).account().live();
    data.hangUp();
    await("again", () -> data.received(Frame.BoundAll.class).size() == 2);
    awaitLinked(plane);
    assertThat(leases(plane).account().live()).isEqualTo(live);
    plane.close();
    ControlPlane next = controlPlane();
    awaitLinked(next);
    assertThat(leases(next).account().live()).isEqualTo(live);
    data.forgetLeases();
    data.instance = 2;
    data.hangUp();
    await("abandoned", () -> leases(next).account().live() == 0);
    assertThat(leases(next).account().outcomes().get("unobserved")).isEqualTo(live);
  }

  @Test
  void switchedOffItGrantsNothing() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    ask(plane, new Command.SetPredicting(false));
    learn(plane, data, "vm1");
    ask(plane, new Command.StartProgram("vm1"));
    assertThat(leases(plane).account().granted()).isZero();
    assertThat(health(plane).predicting()).isFalse();
    assertThat(vms(plane).getFirst().running()).isTrue();
  }

  @Test
  void theSwitchStaysAsItWasSetOverARestart() throws Exception {
    ControlPlane plane = controlPlane();
    ask(plane, new Command.SetPredicting(false));
    plane.close();
    ControlPlane next = controlPlane();
    assertThat(health(next).predicting()).isFalse();
    ask(next, new Command.SetPredicting(true));
    assertThat(health(next).predicting()).isTrue();
  }

  @Test
  void aRunWhoseStartNobodySawIsNotLearnt() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    plane.close();
    ControlPlane next = controlPlane();
    awaitLinked(next);
    data.send(touches(data, "vm1", 100, 50));
    for (int i = 0; i < 50; i++) {
      assertThat(history.accesses.poll(30, TimeUnit.SECONDS)).isNotNull();
    }
    ask(next, new Command.StopProgram("vm1"));
    assertRefused(next, new Command.ExportModel("web", null), Refusal.Reason.UNKNOWN, "no run");
    learn(next, data, "vm1");
    assertThat(ask(next, new Command.ExportModel("web", null))).isInstanceOf(Reply.Model.class);
  }

  // ---- accesses

  @Test
  void accessesBeyondTheImageAndOfStrangersAreLeftOut() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    Frame.AccessRecord good = touches(data, "vm1", 999, 1).records().getFirst();
    data.send(
        new Frame.Accesses(
            List.of(
                record(good, 77, good.space(), 0, 10),
                record(good, good.binding(), 5, 0, 10),
                record(good, good.binding(), good.space(), -65536, 10),
                record(good, good.binding(), good.space(), Long.MAX_VALUE - 5, 3),
                record(good, good.binding(), good.space(), 998 * 65536L + 1, 65536 * 4))));
    data.send(touches(data, "vm1", 0, 1));
    assertThat(next()).isEqualTo(Resource.of(good.space(), 998));
    assertThat(next()).isEqualTo(Resource.of(good.space(), 999));
    assertThat(next()).isEqualTo(Resource.of(good.space(), 0));
  }

  private long next() throws InterruptedException {
    Access access = history.accesses.poll(30, TimeUnit.SECONDS);
    assertThat(access).isNotNull();
    return access == null ? -1 : access.resource();
  }

  private static Frame.AccessRecord record(
      Frame.AccessRecord like, int vm, int space, long offset, int size) {
    return new Frame.AccessRecord(
        vm, space, offset, size, like.timeNanos(), like.type(), like.cause(), false, 1);
  }

  @Test
  void aReadThatSpansUnitsWaitsForThoseThatAreNotHere() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    Frame.AccessRecord like = touches(data, "vm1", 5, 1).records().getFirst();
    int half = 32_768;
    data.send(
        new Frame.Accesses(
            List.of(
                waiting(like, 10 * half, 2 * half),
                waiting(like, 11 * half, 2 * half),
                waiting(like, 11 * half, 2 * half))));
    await("counted", () -> report(plane).stream().anyMatch(row -> row.touches() == 5));
    assertThat(report(plane).getFirst().waited())
        .as("the first unit, then the second, then both, as both are on their way")
        .isEqualTo(4);
  }

  private static Frame.AccessRecord waiting(Frame.AccessRecord like, long offset, int size) {
    return new Frame.AccessRecord(
        like.binding(),
        like.space(),
        offset,
        size,
        like.timeNanos(),
        like.type(),
        like.cause(),
        true,
        Access.PENDING);
  }

  private static List<Reply.ReportRow> report(ControlPlane plane) {
    try {
      return ((Reply.Report) ask(plane, new Command.ShowReport())).rows();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void oneBrokenFrameDoesNotStopWhatCameWithIt() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    Frame.AccessRecord like = touches(data, "vm1", 5, 1).records().getFirst();
    Lease lease = new Lease(7, like.binding(), new Range(like.space(), 0, 1), 0, 0.5f, 0, 0, 0);
    data.send(new Frame.HeldLease(lease, LeaseState.granted(7)));
    // Its only unit would have ended in two ways.
    data.send(new Frame.Leases(List.of(new LeaseState(7, 1, 1, 1, 0, 0, 0, 0, 0))));
    data.send(touches(data, "vm1", 5, 1));
    assertThat(next()).isEqualTo(Resource.of(0, 5));
    await("said", () -> health(plane).parts().containsKey("engine"));
    assertThat(notices).anyMatch(Notice.Degraded.class::isInstance);
  }

  @Test
  void whatComesTooFastIsShedAndCounted() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    CountDownLatch stuck = new CountDownLatch(1);
    history.stuck = stuck;
    int frames = 6000;
    Frame.Accesses batch = touches(data, "vm1", 0, 2);
    for (int i = 0; i < frames; i++) {
      data.send(batch);
    }
    // A command joins the queue only when the rest has been shed or taken.
    history.stuck = null;
    stuck.countDown();
    await(
        "every access is kept or counted",
        () -> history.accesses.size() + counter(plane, "accesses_shed") == 2.0 * frames);
    assertThat(counter(plane, "accesses_shed")).isPositive();
    assertThat(counter(plane, "plans_shed")).as("while 4,096 batches waited").isPositive();
  }

  // ---- models

  @Test
  void modelGoesToAHostThatNumbersSpacesDifferently() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    assertRefused(plane, new Command.ExportModel("web", null), Reason.UNKNOWN, "no run of web");
    assertRefused(plane, new Command.ExportModel("none", null), Reason.UNKNOWN, "none");
    learn(plane, data, "vm1");
    Reply.Model model = (Reply.Model) ask(plane, new Command.ExportModel("web", null));
    plane.close();

    ControlPlane other = controlPlane(folder.resolve("other"), PATIENCE);
    awaitLinked(other);
    ask(other, register("x", "y", "alpine"));
    Reply.Imported imported = (Reply.Imported) ask(other, new Command.ImportModel(model.bytes()));
    assertThat(imported).isEqualTo(new Reply.Imported("default", "web", 1, 80));
    ask(other, register("vm9", "web", "debian"));
    assertThat(space(data, "vm9")).isEqualTo(1);
    Reply.Allocation asked = (Reply.Allocation) ask(other, new Command.Allocate("vm9"));
    assertThat(asked.planned()).isEqualTo(80);
    assertRefused(
        other,
        new Command.ImportModel(ByteBuffer.wrap(new byte[40])),
        Reason.INVALID,
        "not a Prestage model");
    other.close();
    ControlPlane again = controlPlane(folder.resolve("other"), PATIENCE);
    awaitLinked(again);
    assertThat(ask(again, new Command.ExportModel("web", null))).isInstanceOf(Reply.Model.class);
  }

  @Test
  void aModelThatIsNamedAfterAPlaceElsewhereTouchesNothingThere() throws Exception {
    dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Path file = Files.writeString(outside.resolve("file-block.counts"), "somebody's");
    byte[] model =
        new ModelFile("../../outside", "web", new HybridForecaster())
            .encode(new ModelBundle.Numbers());
    assertRefused(plane, new Command.ImportModel(ByteBuffer.wrap(model)), Reason.INVALID, "tenant");
    assertThat(file).hasContent("somebody's");
  }

  @Test
  void aHostThatKnowsNothingBeginsWithTheModelBesideTheImage() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    byte[] model = modelOf(plane, "web");
    plane.close();

    Path beside = Files.createDirectory(folder.resolve("beside"));
    byte[] damaged = model.clone();
    damaged[model.length / 2] ^= 1;
    Files.write(beside.resolve("web.model"), model);
    Files.write(beside.resolve("db.model"), model);
    Files.write(beside.resolve("mail.model"), damaged);
    ControlPlane other = controlPlane(folder.resolve("other"), PATIENCE);
    other.fetchModelsFrom(List.of(folder.resolve("none"), beside));
    awaitLinked(other);
    ask(other, register("x", "db", "alpine"));
    ask(other, register("y", "mail", "alpine"));
    ask(other, register("z", "cache", "alpine"));
    ask(other, register("vm9", "web", "debian"));
    Reply.Allocation asked = (Reply.Allocation) ask(other, new Command.Allocate("vm9"));
    assertThat(asked.planned()).isEqualTo(80);
    assertThat(versions(other).getFirst().how()).isEqualTo("fetched");
    assertThat(health(other).parts().get("model:db")).contains("ignored", "another program");
    assertThat(health(other).parts().get("model:mail")).contains("ignored", "it was damaged");
    assertRefused(other, new Command.ExportModel("db", null), Reason.UNKNOWN, "no run of db");

    // Runs of its own change it, and it is not fetched again.
    learn(other, data, "vm9");
    ask(other, register("vm8", "web", "debian"));
    assertThat(versions(other)).hasSize(1);
    assertThat(
            ((Reply.Models) ask(other, new Command.ShowModels()))
                .models().stream().filter(each -> each.program().equals("web")).toList())
        .extracting(Reply.ModelView::runs)
        .containsExactly(2);
  }

  private static int runs(ControlPlane plane) {
    return ((Reply.Models) ask(plane, new Command.ShowModels())).models().getFirst().runs();
  }

  private static List<Reply.ModelVersion> versions(ControlPlane plane) {
    return ((Reply.ModelVersions) ask(plane, new Command.ShowModelVersions("web", null)))
        .versions();
  }

  @Test
  void modelThatWasReplacedServesAgain() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    assertThat(versions(plane)).hasSize(1);
    assertRefused(
        plane, new Command.RollBackModel("web", null, null), Reason.INVALID, "no earlier model");
    learn(plane, data, "vm1");
    Reply.Model first = (Reply.Model) ask(plane, new Command.ExportModel("web", null));
    learn(plane, data, "vm1");
    ask(plane, new Command.ImportModel(first.bytes()));
    assertThat(runs(plane)).isEqualTo(1);
    assertThat(versions(plane))
        .extracting(Reply.ModelVersion::number, Reply.ModelVersion::how, Reply.ModelVersion::runs)
        .containsExactly(tuple(2, "imported", null), tuple(1, "learnt", 2L));
    plane.close();

    ControlPlane again = controlPlane();
    awaitLinked(again);
    ask(again, new Command.RollBackModel("web", null, null));
    assertThat(runs(again)).isEqualTo(2);
    assertThat(versions(again))
        .extracting(Reply.ModelVersion::number, Reply.ModelVersion::how, Reply.ModelVersion::runs)
        .containsExactly(
            tuple(3, "rolled-back", null), tuple(2, "imported", 1L), tuple(1, "learnt", 2L));
    ask(again, new Command.RollBackModel("web", null, 2));
    assertThat(runs(again)).isEqualTo(1);
    again.close();

    ControlPlane third = controlPlane();
    awaitLinked(third);
    Reply.Allocation asked = (Reply.Allocation) ask(third, new Command.Allocate("vm1"));
    assertThat(asked.planned()).isEqualTo(80);
    assertThat(runs(third)).isEqualTo(1);
  }

  @Test
  void versionsOfAModelAreCompared() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    assertRefused(
        plane, new Command.DiffModels("web", null, 1, 1), Reason.UNKNOWN, "no run of web");
    learn(plane, data, "vm1");
    Reply.Model first = (Reply.Model) ask(plane, new Command.ExportModel("web", null));
    ask(plane, new Command.ImportModel(first.bytes()));
    learn(plane, data, "vm1");
    Reply.ModelDiff diff =
        (Reply.ModelDiff) ask(plane, new Command.DiffModels("web", null, null, null));
    assertThat(diff.from().how()).isEqualTo("learnt");
    assertThat(diff.to().how()).isEqualTo("imported");
    assertThat(diff.to().serving()).isTrue();
    Reply.ModelTypeDiff blocks = diff.types().getFirst();
    assertThat(blocks)
        .extracting(
            Reply.ModelTypeDiff::fromRuns,
            Reply.ModelTypeDiff::toRuns,
            Reply.ModelTypeDiff::both,
            Reply.ModelTypeDiff::jaccard)
        .containsExactly(1, 2, blocks.fromExpected(), 1.0);
    assertThat(blocks.fromExpected()).isGreaterThanOrEqualTo(80);
    assertThat(blocks.changes())
        .hasSize(10)
        .allMatch(change ->
            change.resource().startsWith("file-block:debian") && change.to() > change.from());
    assertThat(
            ((Reply.ModelDiff) ask(plane, new Command.DiffModels("web", null, 2, 2)))
                .types()
                .getFirst()
                .changes())
        .isEmpty();
    assertRefused(
        plane, new Command.DiffModels("web", null, 1, 7), Reason.INVALID, "version 7 of web");
  }

  @Test
  void whatCannotBeUsedOrKeptLeavesTheModelThatServes() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    Reply.Model first = (Reply.Model) ask(plane, new Command.ExportModel("web", null));
    learn(plane, data, "vm1");
    ask(plane, new Command.ImportModel(first.bytes()));
    List<Reply.ModelVersion> before = versions(plane);
    Path kept = state.resolve("models").resolve("default").resolve("web.versions");
    byte[] bytes = Files.readAllBytes(kept.resolve("1.version"));
    bytes[bytes.length / 2] ^= 1;
    Files.write(kept.resolve("1.version"), bytes);
    assertRefused(
        plane, new Command.RollBackModel("web", null, 1), Reason.INVALID, "it was damaged");
    assertRefused(
        plane, new Command.RollBackModel("web", null, 7), Reason.INVALID, "version 7 of web");
    assertRefused(
        plane, new Command.RollBackModel("none", null, 1), Reason.UNKNOWN, "ever registered");
    assertThat(versions(plane).getFirst()).isEqualTo(before.getFirst());

    // Nothing can be written where it would be kept.
    Files.move(kept, kept.resolveSibling("aside"));
    Files.writeString(kept, "in the way");
    assertRefused(
        plane, new Command.ImportModel(first.bytes()), Reason.UNAVAILABLE, "goes on to serve");
    assertThat(runs(plane)).isEqualTo(1);
    learn(plane, data, "vm1");
    assertThat(runs(plane)).isEqualTo(2);
  }

  @Test
  void damagedModelIsSetAsideAndTheProgramLearntAnew() throws Exception {
    FakeDataPlane data = dataPlane();
    Path models = Files.createDirectories(state.resolve("models").resolve("default"));
    Files.writeString(models.resolve("web.model"), "what is this");
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    ask(plane, register("vm1", "web", "debian"));
    learn(plane, data, "vm1");
    plane.close();
    assertThat(models.resolve("web.model.refused")).hasContent("what is this");
    assertThat(notices)
        .anyMatch(
            n -> n instanceof Notice.Degraded d && d.kind().equals("model:default/web.model"));
    ControlPlane next = controlPlane();
    assertThat(ask(next, new Command.ExportModel("web", null))).isInstanceOf(Reply.Model.class);
  }

  // ---- the end

  @Test
  void closingAnswersWhoeverWaits() throws Exception {
    FakeDataPlane data = dataPlane();
    ControlPlane plane = controlPlane();
    awaitLinked(plane);
    data.silent = true;
    CompletableFuture<Reply> waiting = later(plane, register("vm1", "web", "debian"));
    await("asked", () -> !data.received(Frame.Bind.class).isEmpty());
    plane.close();
    assertThatThrownBy(waiting::join).hasCauseInstanceOf(Refusal.class);
    assertRefused(plane, new Command.ShowVms(null), Reason.UNAVAILABLE, "stopping");
  }
}
