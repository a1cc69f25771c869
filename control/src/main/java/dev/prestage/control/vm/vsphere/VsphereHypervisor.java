package dev.prestage.control.vm.vsphere;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.DiskStatistics;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.MemoryStatistics;
import dev.prestage.control.vm.Reservation;
import dev.prestage.control.vm.vsphere.VimService.Ref;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Element;

/// A session of a vCenter. Names of methods and properties are those of its web service.
final class VsphereHypervisor implements Hypervisor {
  private static final System.Logger LOG = System.getLogger(VsphereHypervisor.class.getName());

  private static final Ref SERVICE = new Ref("ServiceInstance", "ServiceInstance");

  /// How long one question may take; a large vCenter takes seconds for its first answer.
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  /// One wait of the collector. A session that is idle for half an hour ends; this is well below,
  /// and below what proxies allow.
  static final int WAIT_SECONDS = 20;

  /// Guests in one answer; more come in the next.
  private static final int UPDATES = 1000;

  private static final Duration LONGEST_TASK = Duration.ofSeconds(60);
  private static final long FIRST_LOOK_MILLIS = 20;
  private static final long LONGEST_LOOK_MILLIS = 1000;

  private static final long MIB = 1 << 20;

  /// What was reserved before and by us: four numbers.
  private static final String RESERVED = "prestage.reserved";

  /// What follows a disk's `storageIOAllocation`: the service's types are sequences.
  private static final Set<String> BEHIND_ALLOCATION =
      Set.of(
          "diskObjectId",
          "vFlashCacheConfigInfo",
          "iofilter",
          "vDiskId",
          "vDiskVersion",
          "nativeUnmanagedLinkedClone",
          "independentFilters",
          "guestReadOnly");

  private final VimService service;
  private final URI url;
  private final String user;
  private final int waitSeconds;
  private final Ref sessions;
  private final Ref collector;
  private final Inventory inventory = new Inventory();
  private String version = "";
  private volatile @Nullable Thread updates;
  private volatile boolean alive = true;
  private volatile boolean closing;

  private VsphereHypervisor(
      VimService service, URI url, String user, int waitSeconds, Ref sessions, Ref collector) {
    this.service = service;
    this.url = url;
    this.user = user;
    this.waitSeconds = waitSeconds;
    this.sessions = sessions;
    this.collector = collector;
  }

  /// Logs in.
  ///
  /// @param service becomes the connection's own
  static VsphereHypervisor open(
      VimService service, URI url, String user, String password, int waitSeconds)
      throws IOException {
    Element content =
        Xml.child(service.call("RetrieveServiceContent", SERVICE, "", PATIENCE), "returnval");
    Ref sessions = Ref.of(Xml.child(content, "sessionManager"));
    service.call(
        "Login",
        sessions,
        "<userName>%s</userName><password>%s</password>"
            .formatted(Xml.escaped(user), Xml.escaped(password)),
        PATIENCE);
    VsphereHypervisor hypervisor =
        new VsphereHypervisor(
            service,
            url,
            user,
            waitSeconds,
            sessions,
            Ref.of(Xml.child(content, "propertyCollector")));
    hypervisor.createFilter(
        Ref.of(Xml.child(content, "viewManager")), Ref.of(Xml.child(content, "rootFolder")));
    return hypervisor;
  }

  private void createFilter(Ref views, Ref root) throws IOException {
    Element view =
        service.call(
            "CreateContainerView",
            views,
            root.as("container") + "<type>VirtualMachine</type><recursive>true</recursive>",
            PATIENCE);
    service.call(
        "CreateFilter",
        collector,
        "<spec><propSet><type>VirtualMachine</type>"
            + paths(Inventory.PROPERTIES)
            + "</propSet><objectSet>"
            + Ref.of(Xml.child(view, "returnval")).as("obj")
            + "<skip>true</skip><selectSet xsi:type=\"TraversalSpec\"><type>ContainerView</type>"
            + "<path>view</path><skip>false</skip></selectSet></objectSet></spec>"
            + "<partialUpdates>false</partialUpdates>",
        PATIENCE);
  }

  private static String paths(List<String> properties) {
    return properties.stream()
        .map(property -> "<pathSet>" + property + "</pathSet>")
        .collect(Collectors.joining());
  }

  @Override
  public String name() {
    return "vsphere";
  }

  @Override
  public Set<Ability> abilities() {
    return EnumSet.of(
        Ability.INVENTORY,
        Ability.LIFECYCLE,
        Ability.RESERVATION,
        Ability.IO_LIMITS,
        Ability.STATISTICS);
  }

  @Override
  public boolean isAlive() {
    return alive && !service.isLost();
  }

  @Override
  public void close() {
    closing = true;
    Thread thread = updates;
    if (thread != null) {
      thread.interrupt();
    }
    // Also where this thread is to end: a vCenter keeps a number of sessions only.
    boolean interrupted = Thread.interrupted();
    try {
      if (isAlive()) {
        service.call("Logout", sessions, "", Duration.ofSeconds(1));
      }
    } catch (IOException _) {
      // It ends by itself.
    }
    alive = false;
    service.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  // ---- inventory and lifecycle

  @Override
  public List<Guest> guests() throws HypervisorException {
    refresh();
    return inventory.guests();
  }

  @Override
  public Guest guest(String guest) throws HypervisorException {
    refresh();
    Guest found = inventory.guest(guest);
    if (found == null) {
      throw unknown(guest);
    }
    return found;
  }

  /// What the session's cookie is, for tests.
  String session() {
    return service.session();
  }

  private HypervisorException unknown(String guest) {
    return new HypervisorException(
        "'" + guest + "' is no virtual machine of " + url + " that " + user + " may see");
  }

  private Ref reference(String guest) throws HypervisorException {
    Ref found = inventory.reference(guest);
    if (found == null) {
      refresh();
      found = inventory.reference(guest);
    }
    if (found == null) {
      throw unknown(guest);
    }
    return found;
  }

  /// What changed since, unless a thread reads that.
  private void refresh() throws HypervisorException {
    if (updates == null) {
      try {
        while (wait(0, _ -> {})) {
          // There is more.
        }
      } catch (IOException e) {
        throw trouble("list guests", "", e);
      }
    }
  }

  @Override
  public void watch(Consumer<GuestEvent> listener) throws HypervisorException {
    refresh();
    updates = Thread.ofVirtual().name("vsphere-updates").start(() -> follow(listener));
  }

  private void follow(Consumer<GuestEvent> listener) {
    try {
      while (!closing) {
        boolean _ = wait(waitSeconds, listener);
      }
    } catch (IOException e) {
      if (!closing) {
        LOG.log(WARNING, trouble("list guests", "", e).getMessage());
      }
    } finally {
      alive = false;
    }
  }

  /// Waits for changes and tells of them.
  ///
  /// @return whether there may be more at once
  private boolean wait(int seconds, Consumer<GuestEvent> listener) throws IOException {
    Element answer =
        service.call(
            "WaitForUpdatesEx",
            collector,
            "<version>%s</version><options><maxWaitSeconds>%d</maxWaitSeconds><maxObjectUpdates>%d</maxObjectUpdates></options>"
                .formatted(Xml.escaped(version), seconds, UPDATES),
            PATIENCE.plusSeconds(seconds));
    Element set = Xml.child(answer, "returnval");
    if (set == null) {
      return false;
    }
    boolean first = version.isEmpty();
    version = Xml.text(set, "version");
    inventory.apply(set).forEach(listener);
    return first || Xml.text(set, "truncated").equals("true");
  }

  // ---- numbers

  @Override
  public MemoryStatistics memoryStatistics(String guest) throws HypervisorException {
    Map<String, Element> properties =
        properties(
            guest, "count the memory of", "summary.config.memorySizeMB", "summary.quickStats");
    Element statistics = properties.get("summary.quickStats");
    Element size = properties.get("summary.config.memorySizeMB");
    long granted = size == null ? 0 : Long.parseLong(size.getTextContent().strip());
    long active = Xml.number(statistics, "guestMemoryUsage");
    return new MemoryStatistics(
        granted * MIB,
        Xml.number(statistics, "hostMemoryUsage") * MIB,
        Math.max(0, granted - active) * MIB);
  }

  @Override
  public DiskStatistics diskStatistics(String guest, String disk) throws HypervisorException {
    throw new HypervisorException("vsphere cannot count what a disk does");
  }

  // ---- levers

  @Override
  public void reserve(String guest, Reservation reservation) throws HypervisorException {
    Reserved now = reserved(guest);
    long memory = Math.max(now.ownMemory, Math.min(reservation.memoryMib(), now.size));
    long cpu = reservation.cpuMhz() == 0 ? now.cpu : Math.max(now.ownCpu, reservation.cpuMhz());
    if (memory != now.memory || cpu != now.cpu) {
      reconfigure(
          guest,
          "reserve memory for",
          allocation(cpu, memory)
              + label("%d %d %d %d".formatted(now.ownMemory, now.ownCpu, memory, cpu)));
    }
  }

  @Override
  public void release(String guest) throws HypervisorException {
    Reserved now = reserved(guest);
    if (now.ours) {
      // What an administrator changed meanwhile is the administrator's.
      reconfigure(
          guest,
          "give back the memory of",
          (now.untouched ? allocation(now.ownCpu, now.ownMemory) : "") + label(""));
    }
  }

  private static String allocation(long cpu, long memory) {
    return "<cpuAllocation><reservation>%d</reservation></cpuAllocation><memoryAllocation><reservation>%d</reservation></memoryAllocation>"
        .formatted(cpu, memory);
  }

  private static String label(String value) {
    return "<extraConfig xsi:type=\"OptionValue\"><key>%s</key><value xsi:type=\"xsd:string\">%s</value></extraConfig>"
        .formatted(RESERVED, value);
  }

  /// What is reserved for a guest.
  ///
  /// @param ownMemory what its administrator reserved, in MiB
  /// @param ownCpu the same in MHz
  /// @param ours whether something was reserved from here
  /// @param untouched whether that is what is reserved now
  /// @param size the guest's memory in MiB
  private record Reserved(
      long memory,
      long cpu,
      long ownMemory,
      long ownCpu,
      boolean ours,
      boolean untouched,
      long size) {}

  private Reserved reserved(String guest) throws HypervisorException {
    Map<String, Element> properties =
        properties(
            guest,
            "see what is reserved for",
            "config.memoryAllocation",
            "config.cpuAllocation",
            "config.extraConfig",
            "summary.config.memorySizeMB");
    long memory = Xml.number(properties.get("config.memoryAllocation"), "reservation");
    long cpu = Xml.number(properties.get("config.cpuAllocation"), "reservation");
    Element size = properties.get("summary.config.memorySizeMB");
    long mib = size == null ? 0 : Long.parseLong(size.getTextContent().strip());
    String written =
        Inventory.labelsIn(properties.get("config.extraConfig")).getOrDefault(RESERVED, "");
    if (!written.matches("\\d{1,15} \\d{1,15} \\d{1,15} \\d{1,15}")) {
      return new Reserved(memory, cpu, memory, cpu, !written.isEmpty(), false, mib);
    }
    String[] numbers = written.split(" ", 4);
    boolean untouched = Long.parseLong(numbers[2]) == memory && Long.parseLong(numbers[3]) == cpu;
    return untouched
        ? new Reserved(
            memory, cpu, Long.parseLong(numbers[0]), Long.parseLong(numbers[1]), true, true, mib)
        : new Reserved(memory, cpu, memory, cpu, true, false, mib);
  }

  /// Limits requests; bytes cannot be limited. Waits until it is so.
  ///
  /// @param disk its label, such as `Hard disk 1`, or its key
  @Override
  public void limit(String guest, String disk, IoLimits limits) throws HypervisorException {
    if (limits.bytesPerSecond() != 0) {
      throw new HypervisorException("vsphere limits a disk's requests, and not its bytes");
    }
    Element devices =
        properties(guest, "see the disks of", "config.hardware.device")
            .get("config.hardware.device");
    for (Element device : devices == null ? List.<Element>of() : Xml.children(devices)) {
      if (Xml.type(device).equals("VirtualDisk")
          && (disk.equals(Xml.text(device, "deviceInfo", "label"))
              || disk.equals(Xml.text(device, "key")))) {
        reconfigure(guest, "limit a disk of", edited(device, limits.requestsPerSecond()));
        return;
      }
    }
    throw new HypervisorException(
        "'" + guest + "' has no disk '" + disk + "'; they are called such as 'Hard disk 1'");
  }

  /// The whole disk must be sent, with what is to change.
  private static String edited(Element disk, long requests) {
    Element old = Xml.child(disk, "storageIOAllocation");
    if (old == null) {
      Element next =
          Xml.children(disk).stream()
              .filter(child -> BEHIND_ALLOCATION.contains(child.getLocalName()))
              .findFirst()
              .orElse(null);
      old = disk.getOwnerDocument().createElementNS(disk.getNamespaceURI(), "storageIOAllocation");
      disk.insertBefore(old, next);
    }
    Element limit = Xml.child(old, "limit");
    String wanted = requests == 0 ? "-1" : Long.toString(requests);
    if (limit == null) {
      limit = old.getOwnerDocument().createElementNS(old.getNamespaceURI(), "limit");
      old.insertBefore(limit, old.getFirstChild());
    }
    limit.setTextContent(wanted);
    return "<deviceChange><operation>edit</operation>"
        + Xml.written(disk, "device")
        + "</deviceChange>";
  }

  // ---- questions and tasks

  private Map<String, Element> properties(String guest, String verb, String... names)
      throws HypervisorException {
    try {
      return properties(reference(guest), List.of(names));
    } catch (IOException e) {
      throw trouble(verb, guest, e);
    }
  }

  private Map<String, Element> properties(Ref of, List<String> names) throws IOException {
    Element answer =
        service.call(
            "RetrievePropertiesEx",
            collector,
            "<specSet><propSet><type>%s</type>%s</propSet><objectSet>%s</objectSet></specSet><options/>"
                .formatted(of.type(), paths(names), of.as("obj")),
            PATIENCE);
    Map<String, Element> found = new HashMap<>();
    Element object = Xml.child(answer, "returnval", "objects");
    for (Element property : object == null ? List.<Element>of() : Xml.children(object, "propSet")) {
      Element value = Xml.child(property, "val");
      if (value != null) {
        found.put(Xml.text(property, "name"), value);
      }
    }
    return found;
  }

  private void reconfigure(String guest, String verb, String change) throws HypervisorException {
    try {
      Element task =
          service.call(
              "ReconfigVM_Task", reference(guest), "<spec>" + change + "</spec>", PATIENCE);
      await(Ref.of(Xml.child(task, "returnval")));
    } catch (IOException e) {
      throw trouble(verb, guest, e);
    }
  }

  private void await(Ref task) throws IOException {
    long end = System.nanoTime() + LONGEST_TASK.toNanos();
    long pause = FIRST_LOOK_MILLIS;
    while (true) {
      Map<String, Element> info = properties(task, List.of("info.state", "info.error"));
      Element state = info.get("info.state");
      switch (state == null ? "" : state.getTextContent().strip()) {
        case "success" -> {
          return;
        }
        case "error" -> {
          Element error = info.get("info.error");
          throw VimFault.of(Xml.child(error, "fault"), Xml.text(error, "localizedMessage"));
        }
        default -> {
          if (System.nanoTime() - end > 0) {
            throw new HypervisorException(
                "a task of " + url + " did not end within a minute; it may still do so");
          }
        }
      }
      try {
        TimeUnit.MILLISECONDS.sleep(pause);
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
        throw new HypervisorException("a task of " + url + " was not waited for any more");
      }
      pause = Math.min(2 * pause, LONGEST_LOOK_MILLIS);
    }
  }

  /// One line; a session that is over ends the connection.
  private HypervisorException trouble(String verb, String guest, IOException e) {
    if (e instanceof HypervisorException said) {
      return said;
    }
    if (!(e instanceof VimFault fault)) {
      alive = false;
      return new HypervisorException(url + " cannot be understood: " + e.getMessage());
    }
    if (fault.isLoggedOut()) {
      alive = false;
      return new HypervisorException(
          "the session of " + user + " at " + url + " ended; logging in again");
    }
    String what = guest.isEmpty() ? verb : verb + " '" + guest + "'";
    return new HypervisorException(
        fault.kind.equals("NoPermission")
            ? user
                + " may not "
                + what
                + (fault.privilege.isEmpty()
                    ? ": a privilege is missing"
                    : ": give it the privilege " + fault.privilege)
            : url + " cannot " + what + ": " + fault.getMessage());
  }
}
