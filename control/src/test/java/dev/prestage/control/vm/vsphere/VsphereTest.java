package dev.prestage.control.vm.vsphere;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.ControlPlane;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.MemoryStatistics;
import dev.prestage.control.vm.Reservation;
import dev.prestage.control.vm.Reservations;
import dev.prestage.control.vm.vsphere.VimService.Ref;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Vm;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Against govmomi's simulator, which speaks a vCenter's protocol over TLS. What a VM manager does
/// is done by a session of its own.
final class VsphereTest {
  private static final long MIB = 1 << 20;

  @TempDir Path folder;

  private final List<AutoCloseable> open = new ArrayList<>();

  @BeforeEach
  void writePassword() throws Exception {
    Files.writeString(folder.resolve("password"), Vcsim.PASSWORD + "\n");
  }

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private Vcsim vcsim(String... arguments) throws Exception {
    Vcsim vcsim = Vcsim.start(arguments);
    open.add(vcsim);
    return vcsim;
  }

  private VsphereConnector connector(Vcsim vcsim) throws Exception {
    return connector(vcsim, vcsim.fingerprint());
  }

  private VsphereConnector connector(Vcsim vcsim, String fingerprint) {
    return new VsphereConnector(
        new VsphereConnector.Options(
            vcsim.url(), Vcsim.USER, folder.resolve("password"), fingerprint),
        1);
  }

  private VsphereHypervisor connect(Vcsim vcsim) throws Exception {
    VsphereHypervisor hypervisor = (VsphereHypervisor) connector(vcsim).connect();
    open.add(hypervisor);
    return hypervisor;
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      LockSupport.parkNanos(2_000_000);
    }
  }

  private static GuestEvent next(BlockingQueue<GuestEvent> events) throws Exception {
    GuestEvent event = events.poll(60, TimeUnit.SECONDS);
    assertThat(event).isNotNull();
    return event;
  }

  // ---- logging in

  @Test
  void aCertificateThatIsNotTrustedIsShownWithHowToPinIt() throws Exception {
    Vcsim vcsim = vcsim();
    assertThatThrownBy(() -> connector(vcsim, "").connect())
        .isInstanceOf(HypervisorException.class)
        .hasMessageMatching(
            "https://\\S+/sdk cannot be connected to: its certificate is not trusted by this system;"
                + " if its SHA-256 fingerprint is the one that vCenter's console shows, set"
                + " vsphere.fingerprint to ([0-9A-F]{2}:){31}[0-9A-F]{2}");
    connector(vcsim).connect().close();
  }

  @Test
  void anotherCertificateThanThePinnedOneIsRefused() throws Exception {
    Vcsim vcsim = vcsim();
    assertThatThrownBy(() -> connector(vcsim, "00".repeat(32)).connect())
        .isInstanceOf(HypervisorException.class)
        .hasMessageContaining("fingerprint " + vcsim.fingerprint() + " and not the configured one")
        .hasMessageNotContaining("\n");
  }

  @Test
  void aWrongPasswordIsNotSentAgainAndTheRightOneIsSentAtOnce() throws Exception {
    Vcsim vcsim = vcsim();
    Path file = Files.writeString(folder.resolve("password"), "battery-staple\n");
    VsphereConnector connector = connector(vcsim);
    String refused =
        vcsim.url()
            + " does not accept the user prestage@vsphere.local with the password in "
            + file
            + "; another one is tried with the next attempt, the same one every two minutes";
    assertThatThrownBy(connector::connect).hasMessage(refused);
    vcsim.kill();
    // Nobody is asked: there is nobody.
    assertThatThrownBy(connector::connect).hasMessage(refused);
    vcsim.startAgain();
    Files.writeString(file, Vcsim.PASSWORD + "\n");
    connector.connect().close();
    Files.delete(file);
    assertThatThrownBy(connector::connect)
        .hasMessage("the password file " + file + " cannot be read: NoSuchFileException");
  }

  @Test
  void whoIsNotThereOrNoVcenterIsSaidInOneLine() throws Exception {
    Vcsim vcsim = vcsim();
    URI elsewhere = vcsim.url().resolve("/nothing");
    VsphereConnector wrong =
        new VsphereConnector(
            new VsphereConnector.Options(
                elsewhere, Vcsim.USER, folder.resolve("password"), vcsim.fingerprint()));
    assertThatThrownBy(wrong::connect)
        .hasMessage(
            elsewhere
                + " answers with HTTP status 404: it is starting, or its web service is not there");
    VsphereConnector right = connector(vcsim);
    vcsim.kill();
    assertThatThrownBy(right::connect)
        .isInstanceOf(HypervisorException.class)
        .hasMessageStartingWith(vcsim.url() + " cannot be connected to: ");
    vcsim.startAgain();
  }

  // ---- guests

  @Test
  void guestsAreListedWithTheirLabels() throws Exception {
    Vcsim vcsim = vcsim("-program", "shop");
    try (Hypervisor hypervisor = connector(vcsim).connect()) {
      assertThat(hypervisor.guests()).hasSize(4).noneMatch(Guest::running);
      assertThat(hypervisor.guest("DC0_H0_VM0").attachment().program()).isEqualTo("shop");
      assertThat(hypervisor.guest("DC0_H0_VM0").attachment().image()).isEmpty();
      assertThat(hypervisor.guests()).filteredOn(g -> g.attachment() == null).hasSize(1);
      assertThatThrownBy(() -> hypervisor.guest("nobody"))
          .hasMessage(
              "'nobody' is no virtual machine of "
                  + vcsim.url()
                  + " that prestage@vsphere.local may see");
      assertThat(hypervisor.isAlive()).isTrue();
    }
  }

  @Test
  void whatHappensToAGuestIsHeardInOrder() throws Exception {
    Vcsim vcsim = vcsim("-program", "shop");
    Ref web = vcsim.machine("DC0_H1_VM0");
    BlockingQueue<GuestEvent> events = new LinkedBlockingQueue<>();
    Hypervisor hypervisor = connect(vcsim);
    hypervisor.watch(events::add);
    String id = hypervisor.guest("DC0_H1_VM0").id();
    vcsim.power(web, true);
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "DC0_H1_VM0", Kind.STARTED));
    // It is called otherwise: another VM.
    vcsim.tell(web, "Rename_Task", "<newName>web 1</newName>");
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "DC0_H1_VM0", Kind.STOPPED));
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "DC0_H1_VM0", Kind.UNDEFINED));
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "web 1", Kind.DEFINED));
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "web 1", Kind.STARTED));
    assertThat(hypervisor.guest("web 1").vm()).isEqualTo("web-1");
    // It goes to the other host.
    Ref host =
        new Ref(
            "HostSystem",
            vcsim.property(vcsim.machine("DC0_H0_VM0"), "runtime.host").getTextContent());
    vcsim.tell(web, "RelocateVM_Task", "<spec>" + host.as("host") + "</spec>");
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "web 1", Kind.MOVED));
    vcsim.power(web, false);
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "web 1", Kind.STOPPED));
    vcsim.tell(web, "Destroy_Task", "");
    assertThat(next(events)).isEqualTo(new GuestEvent(id, "web 1", Kind.UNDEFINED));
    assertThat(hypervisor.guests()).hasSize(3);
  }

  // ---- levers

  @Test
  void aReservationIsMadeAndGivenBack() throws Exception {
    Vcsim vcsim = vcsim("-program", "shop");
    String name = "DC0_H1_VM0";
    Ref machine = vcsim.machine(name);
    // An administrator has reserved 4 MiB.
    vcsim.tell(
        machine,
        "ReconfigVM_Task",
        "<spec><memoryAllocation><reservation>4</reservation></memoryAllocation></spec>");
    Hypervisor hypervisor = connect(vcsim);
    assertThat(hypervisor.memoryStatistics(name))
        .isEqualTo(new MemoryStatistics(32 * MIB, 30 * MIB, 8 * MIB));
    hypervisor.reserve(name, new Reservation(16, 100));
    assertThat(reserved(vcsim, machine)).isEqualTo(16);
    assertThat(Xml.number(vcsim.property(machine, "config.cpuAllocation"), "reservation"))
        .isEqualTo(100);
    // Never more than it has, and never less than its administrator says.
    hypervisor.reserve(name, new Reservation(1000, 0));
    assertThat(reserved(vcsim, machine)).isEqualTo(32);
    hypervisor.reserve(name, new Reservation(1, 0));
    assertThat(reserved(vcsim, machine)).isEqualTo(4);
    hypervisor.reserve(name, new Reservation(16, 0));
    // Another session knows what was before.
    try (Hypervisor later = connector(vcsim).connect()) {
      later.release(name);
    }
    assertThat(reserved(vcsim, machine)).isEqualTo(4);
    assertThat(Xml.number(vcsim.property(machine, "config.cpuAllocation"), "reservation")).isZero();
    hypervisor.release(name);
    assertThat(reserved(vcsim, machine)).isEqualTo(4);
    // What is changed meanwhile stays.
    hypervisor.reserve(name, new Reservation(16, 0));
    vcsim.tell(
        machine,
        "ReconfigVM_Task",
        "<spec><memoryAllocation><reservation>20</reservation></memoryAllocation></spec>");
    hypervisor.release(name);
    assertThat(reserved(vcsim, machine)).isEqualTo(20);
  }

  private static long reserved(Vcsim vcsim, Ref machine) throws Exception {
    return Xml.number(vcsim.property(machine, "config.memoryAllocation"), "reservation");
  }

  @Test
  void aDisksRequestsAreLimitedAndNothingElseOfItChanges() throws Exception {
    Vcsim vcsim = vcsim();
    String name = "DC0_H1_VM0";
    Ref machine = vcsim.machine(name);
    Hypervisor hypervisor = connect(vcsim);
    Disk before = disk(vcsim, machine);
    String label = before.label();
    hypervisor.limit(name, label, new IoLimits(0, 500));
    assertThat(disk(vcsim, machine).limit()).isEqualTo("500");
    assertThat(disk(vcsim, machine).file()).isEqualTo(before.file()).isNotEmpty();
    hypervisor.limit(name, label, IoLimits.NONE);
    assertThat(disk(vcsim, machine).limit()).isEqualTo("-1");
    assertThatThrownBy(() -> hypervisor.limit(name, "vda", new IoLimits(0, 500)))
        .hasMessage("'DC0_H1_VM0' has no disk 'vda'; they are called such as 'Hard disk 1'");
    assertThatThrownBy(() -> hypervisor.limit(name, label, new IoLimits(1, 0)))
        .hasMessage("vsphere limits a disk's requests, and not its bytes");
  }

  private record Disk(String label, String limit, String file) {}

  private static Disk disk(Vcsim vcsim, Ref machine) throws Exception {
    return Xml.children(vcsim.property(machine, "config.hardware.device")).stream()
        .filter(device -> Xml.type(device).equals("VirtualDisk"))
        .map(device ->
            new Disk(
                Xml.text(device, "deviceInfo", "label"),
                Xml.text(device, "storageIOAllocation", "limit"),
                Xml.text(device, "backing", "fileName")))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void aMissingPrivilegeIsNamed() throws Exception {
    Vcsim vcsim = vcsim();
    Hypervisor hypervisor = connect(vcsim);
    String name = "DC0_H0_VM0";
    assertThatThrownBy(() -> hypervisor.reserve(name, new Reservation(16, 0)))
        .isInstanceOf(HypervisorException.class)
        .hasMessage(
            "prestage@vsphere.local may not reserve memory for '"
                + name
                + "': give it the privilege VirtualMachine.Config.Resource");
    assertThat(hypervisor.isAlive()).isTrue();
  }

  // ---- followed by the control plane

  private ControlPlane controlPlane() throws Exception {
    ControlPlane plane =
        ControlPlane.start(
            new ControlPlane.Options(
                Files.createDirectory(folder.resolve("state")),
                folder.resolve("link.sock"),
                folder.resolve("nbd.sock"),
                "",
                Thresholds.all(0.25),
                Limits.DEFAULT,
                Duration.ofSeconds(1),
                true,
                false,
                0,
                learnt -> learnt),
            new HostClock(),
            new NoHistory(),
            _ -> {});
    open.add(plane);
    return plane;
  }

  private GuestWatch follow(ControlPlane plane, GuestWatch.Connector connector) {
    GuestWatch watch = GuestWatch.start(plane, connector);
    open.add(watch);
    return watch;
  }

  private static List<Reply.VmView> vms(ControlPlane plane) {
    try {
      return ((Reply.Vms) plane.execute(new Command.ShowVms(null))).vms();
    } catch (Refusal e) {
      throw new AssertionError(e);
    }
  }

  private static boolean runs(ControlPlane plane, String vm) {
    return vms(plane).stream().anyMatch(view -> view.vm().equals(vm) && view.running());
  }

  @Test
  void aSessionThatEndsAndAServerThatIsKilledAreMadeUpFor() throws Exception {
    Vcsim vcsim = vcsim("-program", "shop");
    List<VsphereHypervisor> sessions = new CopyOnWriteArrayList<>();
    VsphereConnector connector = connector(vcsim);
    ControlPlane plane = controlPlane();
    GuestWatch watch =
        follow(
            plane,
            new GuestWatch.Connector() {
              @Override
              public String name() {
                return "vsphere";
              }

              @Override
              public Hypervisor connect() throws HypervisorException {
                VsphereHypervisor session = (VsphereHypervisor) connector.connect();
                sessions.add(session);
                return session;
              }

              @Override
              public void close() {
                connector.close();
              }
            });
    String name = "DC0_H1_VM0";
    await("registered", () -> vms(plane).size() == 3);
    vcsim.power(vcsim.machine(name), true);
    await("started", () -> runs(plane, name));
    vcsim.endSession(sessions.getFirst().session());
    await("another session", () -> sessions.size() == 2 && watch.state().equals("ok"));
    vcsim.power(vcsim.machine(name), false);
    await("stopped", () -> !runs(plane, name));
    vcsim.kill();
    await("said", () -> watch.state().contains("tried again by itself"));
    vcsim.startAgain();
    vcsim.power(vcsim.machine(name), true);
    await("started again", () -> runs(plane, name));
    await("well", () -> watch.state().equals("ok"));
  }

  @Test
  void aThousandGuestsThatRunAreRegisteredAndStarted() throws Exception {
    Vcsim vcsim = vcsim("-guests", "1000", "-program", "shop");
    for (Ref machine : vcsim.machines()) {
      vcsim.power(machine, true);
    }
    ControlPlane plane = controlPlane();
    long begun = System.nanoTime();
    GuestWatch watch = follow(plane, connector(vcsim));
    await("looked at all", () -> watch.state().equals("ok"));
    assertThat(vms(plane)).hasSize(999).allMatch(Reply.VmView::running);
    Duration took = Duration.ofNanos(System.nanoTime() - begun);
    System.out.printf("1,000 guests: registered and started in %d ms%n", took.toMillis());
  }

  /// Not a thousand: the simulator's time for changes grows with the square of them.
  @Test
  void aHundredGuestsThatStartAtOnceAreHeard() throws Exception {
    Vcsim vcsim = vcsim("-guests", "100", "-program", "shop");
    List<Ref> machines = vcsim.machines();
    ControlPlane plane = controlPlane();
    follow(plane, connector(vcsim));
    await("registered", () -> vms(plane).size() == 99);
    long begun = System.nanoTime();
    for (Ref machine : machines) {
      vcsim.power(machine, true);
    }
    await("started", () -> vms(plane).stream().allMatch(Reply.VmView::running));
    System.out.printf(
        "100 guests: all starts heard %d ms after the first%n",
        Duration.ofNanos(System.nanoTime() - begun).toMillis());
  }

  // ---- reserved ahead

  private static final String PAST_RUN = "#slot-ns 60000000000\nshop 20,20,20\n";

  @Test
  void memoryIsReservedForAForetoldRunAndReturnedWhenItEnds() throws Exception {
    Vcsim vcsim = vcsim("-program", "shop");
    // Its own record of past runs: 20 MiB from the start on.
    Path runs = Files.writeString(folder.resolve("runs"), PAST_RUN);
    String name = "DC0_H1_VM0";
    Ref machine = vcsim.machine(name);
    HostClock clock = new HostClock();
    Reservations reservations =
        Reservations.start(connector(vcsim), runs, clock, Duration.ofMillis(10));
    open.add(reservations);
    await("looked", () -> reservations.state().equals("ok"));
    assertThat(reserved(vcsim, machine)).isZero();
    vcsim.power(machine, true);
    // In steps of 64 MiB, of which it has 32.
    await("reserved", () -> reservedNow(vcsim, machine) == 32);
    vcsim.power(machine, false);
    await("returned", () -> reservedNow(vcsim, machine) == 0);
    await("learnt", () -> isLearnt(runs));
  }

  private static long reservedNow(Vcsim vcsim, Ref machine) {
    try {
      return reserved(vcsim, machine);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /// The simulator says 24 MiB of each guest.
  private static boolean isLearnt(Path runs) {
    try {
      return Files.readString(runs).equals(PAST_RUN + "shop 24\n");
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  // ---- secrets

  @Test
  void noSecretIsInAnyMessage() throws Exception {
    List<String> said = new CopyOnWriteArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord entry) {
            said.add(entry.getMessage() + " " + entry.getThrown());
            for (Object parameter :
                entry.getParameters() == null ? new Object[0] : entry.getParameters()) {
              said.add(parameter + "");
            }
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("dev.prestage");
    logger.addHandler(handler);
    try {
      Vcsim vcsim = vcsim("-program", "shop");
      VsphereConnector connector = connector(vcsim);
      ControlPlane plane = controlPlane();
      GuestWatch watch = follow(plane, connector);
      await("followed", () -> watch.state().equals("ok"));
      said.add(connector + " " + watch.counters());
      VsphereHypervisor session = connect(vcsim);
      String key = session.session();
      assertThat(key).isNotEmpty();
      said.add(session.toString());
      said.add(message(() -> session.guest("nobody")));
      vcsim.endSession(key);
      said.add(message(() -> session.guests()));
      assertThat(session.isAlive()).isFalse();
      vcsim.kill();
      await("said", () -> !watch.state().equals("ok"));
      said.add(watch.state());
      said.add(message(connector::connect));
      vcsim.startAgain();
      assertThat(said).isNotEmpty().noneMatch(line -> line.contains("horse") || line.contains(key));
    } finally {
      logger.removeHandler(handler);
    }
  }

  @FunctionalInterface
  private interface Question {
    Object ask() throws HypervisorException;
  }

  private static String message(Question question) {
    try {
      return question.ask() + "";
    } catch (HypervisorException e) {
      return e.getMessage() + "";
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
