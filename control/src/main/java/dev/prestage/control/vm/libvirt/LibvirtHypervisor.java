package dev.prestage.control.vm.libvirt;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.util.concurrent.TimeUnit.MILLISECONDS;

import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.Change;
import dev.prestage.control.vm.DiskStatistics;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestDisk;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.MemoryStatistics;
import dev.prestage.control.vm.ServedDisk;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// A connection to a libvirt daemon or driver. The numbers are those of libvirt's headers.
public final class LibvirtHypervisor implements Hypervisor {
  /// Passwords are part of a definition and must not be lost from it.
  private static final int SECURE = Domains.XML_INACTIVE | Domains.XML_SECURE;

  private static final int AFFECT_LIVE = 1;

  /// `virTypedParameter`: a name of 80 bytes, its type, its value.
  private static final int PARAMETER_BYTES = 96;

  private static final int PARAMETER_TYPE = 80;
  private static final int PARAMETER_VALUE = 88;
  private static final int UNSIGNED_LONG = 4;

  /// `virDomainMemoryStatStruct`: a tag and a value of eight bytes.
  private static final int MEMORY_STATISTIC_BYTES = 16;

  private static final int MEMORY_STATISTICS = 16;
  private static final int SWAPPED_IN = 0;
  private static final int UNUSED = 4;
  private static final int BALLOON = 6;
  private static final int RESIDENT = 7;

  /// What the guest could give away, caches among it; a guest of before Linux 4.6 tells [#UNUSED]
  /// only.
  private static final int USABLE = 8;

  private static final int UPDATED_SECONDS = 9;

  /// What a guest told longer ago than this says nothing of now.
  private static final long STALE_SECONDS = 30;

  private static final long KIB = 1024;

  private static final int DETAIL_RENAMED = 1;

  private static final String WITHOUT_DELAY =
      "this libvirt gives QEMU no reconnect delay: a guest that reads while Prestage's data plane is"
          + " restarted is paused; 'virsh resume' lets it go on, and once more if it is paused again";

  private final Library library;
  private final MemorySegment connection;
  private final Domains domains;
  private Library.@Nullable Listening listening;

  private LibvirtHypervisor(Library library, String uri, MemorySegment connection) {
    this.library = library;
    this.connection = connection;
    this.domains = new Domains(library, connection, uri);
  }

  /// Connects for questions and changes; without events.
  ///
  /// @throws HypervisorException one line, if the library or the daemon is missing
  public static LibvirtHypervisor open(String uri) throws HypervisorException {
    return open(Library.load(), uri);
  }

  static LibvirtHypervisor open(Library library, String uri) throws HypervisorException {
    library.checked("virInitialize");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment connection = library.pointer("virConnectOpen", arena.allocateFrom(uri));
      return new LibvirtHypervisor(library, uri, connection);
    } catch (HypervisorException e) {
      throw new HypervisorException(uri + " cannot be connected to: " + e.getMessage());
    }
  }

  /// Asks the daemon every few seconds whether it is there, where it is another process. Needs the
  /// event loop.
  void keepAlive(int seconds, int times) {
    // Drivers within this process refuse: they cannot go away.
    int _ = library.number("virConnectSetKeepAlive", connection, seconds, times);
  }

  @Override
  public String name() {
    return "libvirt";
  }

  @Override
  public Set<Ability> abilities() {
    return EnumSet.complementOf(EnumSet.of(Ability.RESERVATION));
  }

  @Override
  public boolean isAlive() {
    return library.number("virConnectIsAlive", connection) == 1;
  }

  @Override
  public void close() {
    Library.Listening ending = listening;
    listening = null;
    try {
      if (ending != null) {
        library.unlisten(connection, ending);
      }
    } finally {
      int _ = library.number("virConnectClose", connection);
    }
  }

  // ---- inventory

  @Override
  public List<Guest> guests() throws HypervisorException {
    return domains.each(this::guest);
  }

  @Override
  public Guest guest(String guest) throws HypervisorException {
    return domains.with(guest, this::guest);
  }

  private Guest guest(MemorySegment domain) throws HypervisorException {
    DomainXml definition = domains.definition(domain);
    return new Guest(
        domains.id(domain),
        domains.name(domain),
        domains.isActive(domain),
        domains.isPersistent(domain),
        definition.attachment(),
        definition.program());
  }

  // ---- lifecycle

  @Override
  public void watch(Consumer<GuestEvent> listener) throws HypervisorException {
    if (listening != null) {
      throw new IllegalStateException("this connection is watched already");
    }
    listening =
        library.listen(
            connection,
            (domain, event, detail) -> {
              GuestEvent.Kind kind = kind(event, detail);
              if (kind != null) {
                listener.accept(new GuestEvent(domains.id(domain), domains.name(domain), kind));
              }
            });
  }

  /// How many connections of this library are watched.
  int listening() {
    return library.listening();
  }

  /// Pauses are none of our business, and neither are a guest's own words that it will stop: that
  /// it stopped follows.
  private static GuestEvent.@Nullable Kind kind(int event, int detail) {
    return switch (event) {
      case 0 -> GuestEvent.Kind.DEFINED;
      // One that is renamed is defined under its new name next.
      case 1 -> detail == DETAIL_RENAMED ? null : GuestEvent.Kind.UNDEFINED;
      case 2 -> GuestEvent.Kind.STARTED;
      case 5 -> GuestEvent.Kind.STOPPED;
      default -> null;
    };
  }

  // ---- disks

  @Override
  public List<GuestDisk> disks(String guest) throws HypervisorException {
    return domains.with(guest, domain -> domains.definition(domain).disks());
  }

  @Override
  public String program(String guest) throws HypervisorException {
    return domains.with(guest, domain -> domains.definition(domain).program());
  }

  @Override
  public Change plan(String guest, ServedDisk disk) throws HypervisorException {
    return domains.with(
        guest,
        domain -> {
          checkAttach(domain, disk);
          DomainXml xml = domains.definition(domain);
          String before = xml.toString();
          boolean reconnects = passesReconnectDelay(before, disk);
          xml.attach(disk, reconnects);
          return new Change(before, xml.toString(), reconnects ? "" : WITHOUT_DELAY);
        });
  }

  /// Whether QEMU gets to hear of the delay: libvirt leaves out, without a word, what it does not
  /// know (9.0 does).
  private boolean passesReconnectDelay(String domain, ServedDisk disk) {
    try (Arena arena = Arena.ofConfined()) {
      DomainXml xml = DomainXml.parse(domain);
      xml.attach(disk, true);
      MemorySegment command =
          library.pointer(
              "virConnectDomainXMLToNative",
              connection,
              arena.allocateFrom("qemu-argv"),
              arena.allocateFrom(xml.toString()),
              0);
      return library.ownText(command).contains("reconnect-delay");
    } catch (HypervisorException _) {
      // It cannot tell; pausing is the safe side.
      return false;
    }
  }

  @Override
  public void attach(String guest, ServedDisk disk) throws HypervisorException {
    domains.with(
        guest,
        domain -> {
          checkAttach(domain, disk);
          DomainXml xml = domains.xml(domain, SECURE);
          String before = xml.toString();
          xml.attach(disk, passesReconnectDelay(before, disk));
          define(xml.toString());
          try {
            DomainXml defined = domains.xml(domain, SECURE);
            defined.acceptAsAttached();
            define(defined.toString());
          } catch (HypervisorException e) {
            // Without the whole note it could not be undone later.
            try {
              define(before);
            } catch (HypervisorException failed) {
              e.addSuppressed(failed);
            }
            throw e;
          }
          return guest;
        });
  }

  private void checkAttach(MemorySegment domain, ServedDisk disk) throws HypervisorException {
    checkStartsFromItsDefinition(domain);
    String target = disk.attachment().disk();
    String writer = new ImageUsers(domains, domains.id(domain), target, disk.image()).writer();
    if (domains.name(domain).equals(writer)) {
      throw new HypervisorException(
          "%s must not change any more, and domain %s itself writes to it, as it runs now or with another disk than %s"
              .formatted(disk.image(), writer, target));
    }
    if (writer != null) {
      throw new HypervisorException(
          "%s must not change any more, and domain %s has it as a disk that it writes to: give that one an overlay or a copy first"
              .formatted(disk.image(), writer));
    }
  }

  /// Whatever holds another definition brings that back, and with it a disk that may not be written
  /// to any more.
  private void checkStartsFromItsDefinition(MemorySegment domain) throws HypervisorException {
    String name = domains.name(domain);
    if (!domains.isPersistent(domain)) {
      throw new HypervisorException(
          "domain " + name + " is transient: it has no definition that could be changed");
    }
    if (domains.hasManagedSave(domain)) {
      throw new HypervisorException(
          "domain %s has a managed save, which holds a definition of its own: start it once, or 'virsh managedsave-remove %s'"
              .formatted(name, name));
    }
    if (domains.hasSnapshots(domain)) {
      throw new HypervisorException(
          "domain %s has snapshots, which hold definitions of their own: 'virsh snapshot-list %s' has them, and 'virsh snapshot-delete' removes one"
              .formatted(name, name));
    }
  }

  @Override
  public Change planDetach(String guest) throws HypervisorException {
    return domains.with(
        guest,
        domain -> {
          DomainXml xml = domains.definition(domain);
          String before = xml.toString();
          String note = checkDetach(domain, xml);
          xml.detach();
          return new Change(before, xml.toString(), note);
        });
  }

  @Override
  public void detach(String guest) throws HypervisorException {
    domains.with(
        guest,
        domain -> {
          DomainXml xml = domains.xml(domain, SECURE);
          String _ = checkDetach(domain, xml);
          xml.detach();
          define(xml.toString());
          return guest;
        });
  }

  /// Refuses what would damage a disk.
  ///
  /// @return what becomes of the guest's writes, or empty if nothing does
  private String checkDetach(MemorySegment domain, DomainXml xml) throws HypervisorException {
    checkStartsFromItsDefinition(domain);
    DomainXml.ServedImage served = xml.served();
    String name = domains.name(domain);
    if (!served.leavesOverlay()) {
      return "";
    }
    if (domains.isActive(domain)) {
      throw new HypervisorException(
          "domain %s runs and writes to its overlay: shut it down first (virsh shutdown %s)"
              .formatted(name, name));
    }
    String user = new ImageUsers(domains, domains.id(domain), served.disk(), served.image()).user();
    if (user != null && served.writtenAgain()) {
      throw new HypervisorException(
          "domain %s would write to %s again, which domain %s has as a disk or under its overlay: detach that one or give it another disk first"
              .formatted(name, served.image(), user));
    }
    return ("what %s wrote stays in %s, and from its next start on it has %s without that; "
            + (user == null
                ? "'qemu-img commit %s' before that start puts it into the image"
                : "do not commit %s, because domain " + user + " has the image under it"))
        .formatted(name, served.overlay(), served.image(), served.overlay());
  }

  private void define(String xml) throws HypervisorException {
    try (Arena arena = Arena.ofConfined()) {
      domains.release(library.pointer("virDomainDefineXML", connection, arena.allocateFrom(xml)));
    }
  }

  // ---- levers and numbers

  @Override
  public void resizeMemory(String guest, long bytes) throws HypervisorException {
    domains.with(
        guest,
        domain -> library.checked("virDomainSetMemoryFlags", domain, bytes / KIB, AFFECT_LIVE));
  }

  @Override
  public void limit(String guest, String disk, IoLimits limits) throws HypervisorException {
    domains.with(
        guest,
        domain -> {
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment parameters = arena.allocate(2 * PARAMETER_BYTES, Long.BYTES);
            parameter(parameters, 0, "total_bytes_sec", limits.bytesPerSecond());
            parameter(parameters, 1, "total_iops_sec", limits.requestsPerSecond());
            return library.checked(
                "virDomainSetBlockIoTune",
                domain,
                arena.allocateFrom(disk),
                parameters,
                2,
                AFFECT_LIVE);
          }
        });
  }

  private static void parameter(MemorySegment parameters, int index, String name, long value) {
    MemorySegment parameter = parameters.asSlice((long) index * PARAMETER_BYTES, PARAMETER_BYTES);
    parameter.setString(0, name);
    parameter.set(JAVA_INT, PARAMETER_TYPE, UNSIGNED_LONG);
    parameter.set(JAVA_LONG, PARAMETER_VALUE, value);
  }

  @Override
  public DiskStatistics diskStatistics(String guest, String disk) throws HypervisorException {
    return domains.with(
        guest,
        domain -> {
          try (Arena arena = Arena.ofConfined()) {
            // virDomainBlockStatsStruct: five numbers, the last one of which only Xen knows.
            MemorySegment numbers = arena.allocate(JAVA_LONG, 5);
            library.checked(
                "virDomainBlockStats",
                domain,
                arena.allocateFrom(disk),
                numbers,
                numbers.byteSize());
            return new DiskStatistics(
                numbers.getAtIndex(JAVA_LONG, 0),
                numbers.getAtIndex(JAVA_LONG, 1),
                numbers.getAtIndex(JAVA_LONG, 2),
                numbers.getAtIndex(JAVA_LONG, 3));
          }
        });
  }

  @Override
  public MemoryStatistics memoryStatistics(String guest) throws HypervisorException {
    return domains.with(
        guest,
        domain -> {
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment statistics =
                arena.allocate(MEMORY_STATISTICS * MEMORY_STATISTIC_BYTES, Long.BYTES);
            int count =
                library.checked("virDomainMemoryStats", domain, statistics, MEMORY_STATISTICS, 0);
            long granted = -1;
            long resident = -1;
            long unused = -1;
            long usable = -1;
            long swappedIn = -1;
            long updated = -1;
            for (int i = 0; i < count; i++) {
              long at = (long) i * MEMORY_STATISTIC_BYTES;
              long number = statistics.get(JAVA_LONG, at + Long.BYTES);
              switch (statistics.get(JAVA_INT, at)) {
                case SWAPPED_IN -> swappedIn = number * KIB;
                case UNUSED -> unused = number * KIB;
                case USABLE -> usable = number * KIB;
                case BALLOON -> granted = number * KIB;
                case RESIDENT -> resident = number * KIB;
                case UPDATED_SECONDS -> updated = number;
                default -> {}
              }
            }
            // A driver of before this was told says nothing of when.
            long ageMillis = Math.max(0, System.currentTimeMillis() - updated * 1000);
            if (updated >= 0 && ageMillis > STALE_SECONDS * 1000) {
              return new MemoryStatistics(granted, resident, -1);
            }
            return new MemoryStatistics(
                granted,
                resident,
                usable >= 0 ? usable : unused,
                swappedIn,
                updated >= 0 ? MILLISECONDS.toNanos(ageMillis) : 0);
          }
        });
  }
}
