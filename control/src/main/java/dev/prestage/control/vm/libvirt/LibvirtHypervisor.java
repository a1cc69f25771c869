package dev.prestage.control.vm.libvirt;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

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
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// A connection to a libvirt daemon or driver. The numbers are those of libvirt's headers.
public final class LibvirtHypervisor implements Hypervisor {
  private static final int XML_SECURE = 1;
  private static final int XML_INACTIVE = 2;
  private static final int AFFECT_LIVE = 1;

  /// Longest text of a UUID with its zero.
  private static final int UUID_BYTES = 37;

  /// `virTypedParameter`: a name of 80 bytes, its type, its value.
  private static final int PARAMETER_BYTES = 96;

  private static final int PARAMETER_TYPE = 80;
  private static final int PARAMETER_VALUE = 88;
  private static final int UNSIGNED_LONG = 4;

  /// `virDomainMemoryStatStruct`: a tag and a value of eight bytes.
  private static final int MEMORY_STATISTIC_BYTES = 16;

  private static final int MEMORY_STATISTICS = 16;
  private static final int UNUSED = 4;
  private static final int BALLOON = 6;
  private static final int RESIDENT = 7;
  private static final long KIB = 1024;

  private static final int DETAIL_RENAMED = 1;

  private static final String WITHOUT_DELAY =
      "this libvirt gives QEMU no reconnect delay: a guest that reads while Prestage's data plane is"
          + " restarted is paused; 'virsh resume' lets it go on, and once more if it is paused again";

  private final Library library;
  private final String uri;
  private final MemorySegment connection;
  private int callback = -1;

  private LibvirtHypervisor(Library library, String uri, MemorySegment connection) {
    this.library = library;
    this.uri = uri;
    this.connection = connection;
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
    if (callback >= 0) {
      int _ = library.number("virConnectDomainEventDeregisterAny", connection, callback);
    }
    int _ = library.number("virConnectClose", connection);
  }

  // ---- inventory

  @Override
  public List<Guest> guests() throws HypervisorException {
    List<Guest> guests = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment found = arena.allocate(ValueLayout.ADDRESS);
      int count = library.checked("virConnectListAllDomains", connection, found, 0);
      MemorySegment array =
          found.get(ValueLayout.ADDRESS, 0).reinterpret(count * ValueLayout.ADDRESS.byteSize());
      HypervisorException failed = null;
      for (int i = 0; i < count; i++) {
        MemorySegment domain = array.getAtIndex(ValueLayout.ADDRESS, i);
        try {
          guests.add(guest(domain));
        } catch (HypervisorException e) {
          // It may be gone since.
          failed = e;
        } finally {
          release(domain);
        }
      }
      library.free(array);
      if (failed != null && !isAlive()) {
        throw failed;
      }
    }
    return guests;
  }

  @Override
  public Guest guest(String guest) throws HypervisorException {
    return with(guest, this::guest);
  }

  private Guest guest(MemorySegment domain) throws HypervisorException {
    return new Guest(
        id(domain),
        domainName(domain),
        library.checked("virDomainIsActive", domain) == 1,
        library.checked("virDomainIsPersistent", domain) == 1,
        DomainXml.parse(xml(domain, XML_INACTIVE)).attachment());
  }

  private String id(MemorySegment domain) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment id = arena.allocate(UUID_BYTES);
      int answer = library.number("virDomainGetUUIDString", domain, id);
      return answer < 0 ? domainName(domain) : id.getString(0);
    }
  }

  private String domainName(MemorySegment domain) {
    try {
      return Library.text(library.pointer("virDomainGetName", domain));
    } catch (HypervisorException e) {
      throw new IllegalStateException("a domain without a name", e);
    }
  }

  private String xml(MemorySegment domain, int flags) throws HypervisorException {
    return library.ownText(library.pointer("virDomainGetXMLDesc", domain, flags));
  }

  private void release(MemorySegment domain) {
    int _ = library.number("virDomainFree", domain);
  }

  @FunctionalInterface
  private interface Question<T> {
    T ask(MemorySegment domain) throws HypervisorException;
  }

  private <T> T with(String guest, Question<T> question) throws HypervisorException {
    MemorySegment domain;
    try (Arena arena = Arena.ofConfined()) {
      domain = library.pointer("virDomainLookupByName", connection, arena.allocateFrom(guest));
    } catch (HypervisorException e) {
      throw new HypervisorException(
          isAlive()
              ? "'"
                  + guest
                  + "' is no domain of "
                  + uri
                  + "; virsh -c "
                  + uri
                  + " list --all has all"
              : e.getMessage() + "");
    }
    try {
      return question.ask(domain);
    } finally {
      release(domain);
    }
  }

  // ---- lifecycle

  @Override
  public void watch(Consumer<GuestEvent> listener) throws HypervisorException {
    callback =
        library.listen(
            connection,
            (domain, event, detail) -> {
              GuestEvent.Kind kind = kind(event, detail);
              if (kind != null) {
                listener.accept(new GuestEvent(id(domain), domainName(domain), kind));
              }
            });
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
    return with(guest, domain -> DomainXml.parse(xml(domain, XML_INACTIVE)).disks());
  }

  @Override
  public String program(String guest) throws HypervisorException {
    return with(guest, domain -> DomainXml.parse(xml(domain, XML_INACTIVE)).program());
  }

  @Override
  public Change plan(String guest, ServedDisk disk) throws HypervisorException {
    return with(
        guest,
        domain -> {
          DomainXml xml = DomainXml.parse(xml(domain, XML_INACTIVE));
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
    redefine(guest, xml -> xml.attach(disk, passesReconnectDelay(xml.toString(), disk)));
  }

  @Override
  public Change planDetach(String guest) throws HypervisorException {
    return with(
        guest,
        domain -> {
          DomainXml xml = DomainXml.parse(xml(domain, XML_INACTIVE));
          String before = xml.toString();
          xml.detach();
          return new Change(before, xml.toString(), "");
        });
  }

  @Override
  public void detach(String guest) throws HypervisorException {
    redefine(guest, DomainXml::detach);
  }

  @FunctionalInterface
  private interface Edit {
    void on(DomainXml xml) throws HypervisorException;
  }

  /// Passwords are part of a definition and must not be lost from it.
  private void redefine(String guest, Edit edit) throws HypervisorException {
    with(
        guest,
        domain -> {
          if (library.checked("virDomainIsPersistent", domain) != 1) {
            throw new HypervisorException(
                "domain " + guest + " is transient: it has no definition that could be changed");
          }
          DomainXml xml = DomainXml.parse(xml(domain, XML_INACTIVE | XML_SECURE));
          edit.on(xml);
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(xml.toString());
            release(library.pointer("virDomainDefineXML", connection, text));
          }
          return guest;
        });
  }

  // ---- levers and numbers

  @Override
  public void resizeMemory(String guest, long bytes) throws HypervisorException {
    with(
        guest,
        domain -> library.checked("virDomainSetMemoryFlags", domain, bytes / KIB, AFFECT_LIVE));
  }

  @Override
  public void limit(String guest, String disk, IoLimits limits) throws HypervisorException {
    with(
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
    return with(
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
    return with(
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
            for (int i = 0; i < count; i++) {
              long at = (long) i * MEMORY_STATISTIC_BYTES;
              long bytes = statistics.get(JAVA_LONG, at + Long.BYTES) * KIB;
              switch (statistics.get(JAVA_INT, at)) {
                case UNUSED -> unused = bytes;
                case BALLOON -> granted = bytes;
                case RESIDENT -> resident = bytes;
                default -> {}
              }
            }
            return new MemoryStatistics(granted, resident, unused);
          }
        });
  }
}
