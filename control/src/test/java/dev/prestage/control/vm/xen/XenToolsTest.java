package dev.prestage.control.vm.xen;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.ControlPlane;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.MemoryStatistics;
import dev.prestage.control.vm.xen.ScriptedXen.Machine;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Vm;
import dev.prestage.link.host.HostClock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Against child processes that answer as Xen's tools do. The real ones are in `XenHostTest`.
final class XenToolsTest {
  private static final long MIB = 1 << 20;

  @TempDir Path folder;

  private final List<AutoCloseable> open = new ArrayList<>();
  private ScriptedXen xen;

  @BeforeEach
  void makeHost() throws Exception {
    xen = new ScriptedXen(folder);
  }

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private XenHypervisor connect() throws Exception {
    XenHypervisor hypervisor = (XenHypervisor) new XenConnector(xen.options()).connect();
    open.add(hypervisor);
    return hypervisor;
  }

  private BlockingQueue<GuestEvent> watch(XenHypervisor hypervisor) throws Exception {
    BlockingQueue<GuestEvent> events = new LinkedBlockingQueue<>();
    hypervisor.watch(events::add);
    return events;
  }

  private static GuestEvent next(BlockingQueue<GuestEvent> events) throws Exception {
    GuestEvent event = events.poll(60, TimeUnit.SECONDS);
    assertThat(event).isNotNull();
    return event;
  }

  private static GuestEvent event(String name, Kind kind) {
    return new GuestEvent(name, name, kind);
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      LockSupport.parkNanos(2_000_000);
    }
  }

  // ---- what there is

  @Test
  void domainsAreListedWithTheirLabelsAndWithoutDom0() throws Exception {
    xen.run(1, "web", "console=hvc0 prestage.program=shop");
    xen.run(2, "other", "quiet");
    xen.run(3, "db 1", "");
    xen.label("/prestage/uuid-3/program", "db");
    xen.label("/prestage/web/image", "disk.raw");
    XenHypervisor hypervisor = connect();
    assertThat(hypervisor.guests())
        .containsExactly(
            new Guest("web", "web", true, false, new Attachment("web", "shop", "disk.raw", "")),
            new Guest("other", "other", true, false, null),
            new Guest("db 1", "db 1", true, false, new Attachment("db-1", "db", "", "")));
    assertThatThrownBy(() -> hypervisor.guest("Domain-0"))
        .isInstanceOfSatisfying(HypervisorException.class, e -> assertThat(e.isGone()).isTrue());
  }

  @Test
  void whatXenHasNotIsNotDeclaredAndRefusedInOneLine() throws Exception {
    XenHypervisor hypervisor = connect();
    assertThat(hypervisor.abilities())
        .containsExactlyInAnyOrder(
            Ability.INVENTORY, Ability.LIFECYCLE, Ability.MEMORY_SIZE, Ability.STATISTICS);
    assertThatThrownBy(() -> hypervisor.limit("web", "xvda", IoLimits.NONE))
        .hasMessage("xen cannot limit a disk's input and output");
  }

  // ---- what happens

  @Test
  void startsStopsAndRebootsAreSeen() throws Exception {
    XenHypervisor hypervisor = connect();
    BlockingQueue<GuestEvent> events = watch(hypervisor);
    xen.run(1, "web", "prestage.program=shop");
    xen.say("@introduceDomain");
    assertThat(next(events)).isEqualTo(event("web", Kind.DEFINED));
    assertThat(next(events)).isEqualTo(event("web", Kind.STARTED));
    xen.end(1);
    xen.run(2, "web", "prestage.program=shop");
    xen.say("@releaseDomain");
    assertThat(next(events)).isEqualTo(event("web", Kind.STOPPED));
    assertThat(next(events)).isEqualTo(event("web", Kind.STARTED));
    xen.put(2, new Machine("web", "---s--", "prestage.program=shop", true, ""));
    xen.say("@releaseDomain");
    assertThat(next(events)).isEqualTo(event("web", Kind.STOPPED));
    assertThat(hypervisor.guest("web").running()).isFalse();
    assertThat(hypervisor.isAlive()).isTrue();
  }

  @Test
  void aDomainThatIsBeingMadeIsSeenOnceItIsKnown() throws Exception {
    BlockingQueue<GuestEvent> events = watch(connect());
    Machine web = new Machine("web", "--p---", "", false, "");
    xen.put(1, web);
    xen.say("@introduceDomain");
    assertThat(events.poll(300, TimeUnit.MILLISECONDS)).isNull();
    // Without another event.
    xen.run(1, "web", "");
    assertThat(next(events)).isEqualTo(event("web", Kind.STARTED));
  }

  @Test
  void aRenamedDomainIsAnotherOneAndOneThatMigratesInHasItsOwnName() throws Exception {
    xen.run(1, "web", "");
    BlockingQueue<GuestEvent> events = watch(connect());
    xen.run(1, "shop", "");
    xen.run(2, "db--incoming", "");
    xen.say("@introduceDomain");
    assertThat(next(events)).isEqualTo(event("web", Kind.STOPPED));
    assertThat(next(events)).isEqualTo(event("shop", Kind.STARTED));
    xen.run(2, "db", "");
    assertThat(next(events)).isEqualTo(event("db", Kind.STARTED));
    xen.run(2, "db--migratedaway", "");
    xen.say("@releaseDomain");
    assertThat(next(events)).isEqualTo(event("db", Kind.STOPPED));
    assertThat(events).isEmpty();
  }

  @Test
  void aDomainThatIsLabelledWhileItRunsIsRegisteredAsRunning() throws Exception {
    xen.run(1, "web", "");
    BlockingQueue<GuestEvent> events = watch(connect());
    xen.label("/prestage/web/program", "shop");
    xen.say("/prestage/web/program");
    assertThat(next(events)).isEqualTo(event("web", Kind.DEFINED));
    assertThat(next(events)).isEqualTo(event("web", Kind.STARTED));
  }

  // ---- memory

  @Test
  void memoryIsSetWithinItsLimits() throws Exception {
    xen.run(1, "web", "");
    xen.run(2, "low", "prestage.least=64");
    XenHypervisor hypervisor = connect();
    hypervisor.resizeMemory("web", 200 * MIB);
    hypervisor.resizeMemory("web", 1);
    hypervisor.resizeMemory("web", 1000 * MIB);
    hypervisor.resizeMemory("low", 1);
    hypervisor.resizeMemory("web", 160 * MIB);
    assertThat(xen.sets()).containsExactly("1 204800k", "1 131072k", "1 262144k", "2 65536k");
  }

  @Test
  void nothingIsDoneToDom0() throws Exception {
    XenHypervisor hypervisor = connect();
    assertThatThrownBy(() -> hypervisor.resizeMemory("Domain-0", 512 * MIB))
        .hasMessage("there is no domain 'Domain-0' any more");
    assertThat(xen.sets()).isEmpty();
  }

  @Test
  void aHostWithoutMemoryRefuses() throws Exception {
    xen.run(1, "web", "");
    xen.free(20);
    assertThatThrownBy(() -> connect().resizeMemory("web", 200 * MIB))
        .hasMessage("'web' cannot have 40 MiB more: the host has 20 MiB left");
    assertThat(xen.sets()).isEmpty();
  }

  @Test
  void whatAGuestUsesIsKnownWhereItKeepsSayingWhatCanBe() throws Exception {
    XenHypervisor hypervisor = connect();
    List<String> guests = List.of("web", "liar", "odd", "mute", "still");
    for (int time = 1; time <= 2; time++) {
      say(1, "web", "88176", time);
      say(2, "liar", "99999999", time);
      say(3, "odd", "-1; rm", time);
      xen.run(4, "mute", "");
      say(5, "still", "88176", 0);
      for (String guest : guests) {
        boolean known = time == 2 && guest.equals("web");
        MemoryStatistics memory = hypervisor.memoryStatistics(guest);
        assertThat(memory.grantedBytes()).as(guest).isEqualTo(160 * MIB);
        assertThat(memory.residentBytes()).as(guest).isEqualTo(160 * MIB);
        assertThat(memory.unusedBytes()).as(guest).isEqualTo(known ? 88176L << 10 : -1);
      }
    }
  }

  private void say(int number, String name, String free, int updated) throws Exception {
    String entries =
        "data/meminfo_total = \"112132\"\ndata/meminfo_free = \"%s\"\ndata/updated = \"%d\"\n";
    xen.put(number, new Machine(name, "-b----", "", true, entries.formatted(free, updated)));
  }

  @Test
  void aDomainThatIsGoneOrRenamedBetweenTwoCallsIsNotMistaken() throws Exception {
    xen.run(1, "web", "");
    xen.run(2, "db", "");
    XenHypervisor hypervisor = connect();
    xen.run(1, "db", "");
    xen.run(2, "web", "");
    hypervisor.resizeMemory("web", 200 * MIB);
    assertThat(xen.sets()).containsExactly("2 204800k");
    xen.end(2);
    assertThatThrownBy(() -> hypervisor.resizeMemory("web", 200 * MIB))
        .isInstanceOfSatisfying(HypervisorException.class, e -> assertThat(e.isGone()).isTrue());
    assertThatThrownBy(() -> hypervisor.memoryStatistics("web"))
        .hasMessage("there is no domain 'web' any more");
  }

  // ---- what goes wrong

  @Test
  void onlyWhatIsNotPermittedFails() throws Exception {
    xen.run(1, "web", "");
    XenHypervisor hypervisor = connect();
    xen.fault("denied", "xl mem-set");
    assertThatThrownBy(() -> hypervisor.resizeMemory("web", 200 * MIB))
        .hasMessage(
            "the memory of 'web' stays: '%s xl mem-set 1 204800k' failed: xencall: error: Could not obtain handle on privileged command interface: Permission denied"
                .formatted(folder.resolve("dom0")));
    assertThat(hypervisor.memoryStatistics("web").grantedBytes()).isEqualTo(160 * MIB);
    assertThat(hypervisor.guests()).hasSize(1);
    assertThat(hypervisor.isAlive()).isTrue();
  }

  @Test
  void aToolThatHangsIsKilledAtItsDeadline() throws Exception {
    xen.run(1, "web", "");
    XenConnector connector = new XenConnector(xen.options(Duration.ofMillis(500)));
    xen.fault("hanging", "xl list -l");
    assertThatThrownBy(connector::connect)
        .hasMessageEndingWith("xl list -l' did not end within 500 ms and was killed");
    await(
        "nothing is left of it",
        () -> ProcessHandle.current().children().noneMatch(ProcessHandle::isAlive));
  }

  @Test
  void whatIsNoListIsSaidInOneLine() throws Exception {
    xen.garble();
    assertThatThrownBy(this::connect)
        .message()
        .startsWith("'xl list -l' wrote what is no JSON: ")
        .doesNotContain("\n");
  }

  @Test
  void toolsThatAreNotThereAreNamed() {
    XenConnector connector =
        new XenConnector(
            new XenConnector.Options(
                true, List.of(folder.resolve("none").toString()), 0, Duration.ofSeconds(30)));
    assertThatThrownBy(connector::connect)
        .message()
        .contains("cannot be started: install Xen's tools here, or name in xen.through")
        .doesNotContain("\n");
  }

  @Test
  void aLostWatchIsSaidAndMadeUpFor() throws Exception {
    xen.run(1, "web", "prestage.program=shop");
    xen.run(2, "db", "prestage.program=db");
    ControlPlane plane =
        ControlPlane.start(
            new ControlPlane.Options(
                Files.createDirectory(folder.resolve("state")),
                folder.resolve("link"),
                folder.resolve("nbd"),
                "",
                Thresholds.all(0.25),
                Limits.DEFAULT,
                Duration.ofMinutes(1),
                true,
                false,
                0,
                learnt -> learnt),
            new HostClock(),
            new NoHistory(),
            _ -> {});
    open.add(plane);
    GuestWatch watch = GuestWatch.start(plane, new XenConnector(xen.options()));
    open.add(watch);
    await("followed", () -> watch.state().equals("ok") && runs(plane, "web") && runs(plane, "db"));
    xen.fault("denied", "xenstore-watch");
    xen.killWatch();
    await("said", () -> watch.state().contains("Permission denied"));
    assertThat(watch.state()).contains("'xenstore-watch' watches nothing").doesNotContain("\n");
    // Nothing says that it ends.
    xen.end(1);
    xen.heal("denied");
    await("looked at again", () -> watch.state().equals("ok") && !runs(plane, "web"));
    assertThat(runs(plane, "db")).isTrue();
  }

  private static boolean runs(ControlPlane plane, String vm) {
    try {
      return ((Reply.Vms) plane.execute(new Command.ShowVms(null)))
          .vms().stream().anyMatch(view -> view.vm().equals(vm) && view.running());
    } catch (Refusal e) {
      throw new AssertionError(e);
    }
  }

  private static final class NoHistory implements ControlPlane.HistorySink {
    @Override
    public void offer(Access access, Binding binding) {}

    @Override
    public void forget(Vm vm) {}

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
}
