package dev.prestage.control.vm.libvirt;

import dev.prestage.control.vm.HypervisorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/// The domains of a connection: finds them, gives them back, and reads what they say of themselves.
final class Domains {
  static final int XML_SECURE = 1;
  static final int XML_INACTIVE = 2;

  /// Longest text of a UUID with its zero.
  private static final int UUID_BYTES = 37;

  private final Library library;
  private final MemorySegment connection;
  private final String uri;

  /// Asks a domain, which is valid during the call only.
  @FunctionalInterface
  interface Question<T> {
    T ask(MemorySegment domain) throws HypervisorException;
  }

  Domains(Library library, MemorySegment connection, String uri) {
    this.library = library;
    this.connection = connection;
    this.uri = uri;
  }

  /// Asks the domain of a name.
  <T> T with(String name, Question<T> question) throws HypervisorException {
    MemorySegment domain;
    try (Arena arena = Arena.ofConfined()) {
      domain = library.pointer("virDomainLookupByName", connection, arena.allocateFrom(name));
    } catch (HypervisorException e) {
      if (!e.isGone()) {
        throw e;
      }
      throw HypervisorException.gone(
          "'%s' is no domain of %s; virsh -c %s list --all has all".formatted(name, uri, uri));
    }
    try {
      return question.ask(domain);
    } finally {
      release(domain);
    }
  }

  /// Asks every domain. Domains that vanish meanwhile are left out.
  ///
  /// @throws HypervisorException if a domain that is there cannot be asked: an answer without it
  ///   would say that it is gone
  <T> List<T> each(Question<T> question) throws HypervisorException {
    List<MemorySegment> domains = list();
    List<T> answers = new ArrayList<>();
    try {
      for (MemorySegment domain : domains) {
        try {
          answers.add(question.ask(domain));
        } catch (HypervisorException e) {
          if (!e.isGone()) {
            throw e;
          }
        }
      }
    } finally {
      domains.forEach(this::release);
    }
    return answers;
  }

  private List<MemorySegment> list() throws HypervisorException {
    List<MemorySegment> domains = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment found = arena.allocate(ValueLayout.ADDRESS);
      int count = library.checked("virConnectListAllDomains", connection, found, 0);
      MemorySegment array =
          found.get(ValueLayout.ADDRESS, 0).reinterpret(count * ValueLayout.ADDRESS.byteSize());
      for (int i = 0; i < count; i++) {
        domains.add(array.getAtIndex(ValueLayout.ADDRESS, i));
      }
      library.free(array);
    }
    return domains;
  }

  /// Its UUID as text, or its name if it has none.
  String id(MemorySegment domain) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment id = arena.allocate(UUID_BYTES);
      int answer = library.number("virDomainGetUUIDString", domain, id);
      return answer < 0 ? name(domain) : id.getString(0);
    }
  }

  String name(MemorySegment domain) {
    try {
      return Library.text(library.pointer("virDomainGetName", domain));
    } catch (HypervisorException e) {
      throw new IllegalStateException("a domain without a name", e);
    }
  }

  boolean isActive(MemorySegment domain) throws HypervisorException {
    return library.checked("virDomainIsActive", domain) == 1;
  }

  boolean isPersistent(MemorySegment domain) throws HypervisorException {
    return library.checked("virDomainIsPersistent", domain) == 1;
  }

  boolean hasManagedSave(MemorySegment domain) throws HypervisorException {
    return library.checked("virDomainHasManagedSaveImage", domain, 0) == 1;
  }

  boolean hasSnapshots(MemorySegment domain) throws HypervisorException {
    return library.checked("virDomainSnapshotNum", domain, 0) > 0;
  }

  DomainXml definition(MemorySegment domain) throws HypervisorException {
    return xml(domain, XML_INACTIVE);
  }

  DomainXml xml(MemorySegment domain, int flags) throws HypervisorException {
    return DomainXml.parse(library.ownText(library.pointer("virDomainGetXMLDesc", domain, flags)));
  }

  /// All that the domain may run with: its definition, what it runs with now, and what a managed
  /// save would have it go on with.
  List<DomainXml> everyXml(MemorySegment domain) throws HypervisorException {
    List<DomainXml> all = new ArrayList<>(List.of(definition(domain)));
    if (isActive(domain)) {
      all.add(xml(domain, 0));
    }
    if (hasManagedSave(domain)) {
      all.add(
          DomainXml.parse(
              library.ownText(library.pointer("virDomainManagedSaveGetXMLDesc", domain, 0))));
    }
    return all;
  }

  /// Where the volume of a storage pool lies, or empty if it is not there: a domain cannot start
  /// with it then.
  String volumePath(String pool, String volume) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment in =
          library.pointer("virStoragePoolLookupByName", connection, arena.allocateFrom(pool));
      try {
        MemorySegment found =
            library.pointer("virStorageVolLookupByName", in, arena.allocateFrom(volume));
        try {
          return library.ownText(library.pointer("virStorageVolGetPath", found));
        } finally {
          int _ = library.number("virStorageVolFree", found);
        }
      } finally {
        int _ = library.number("virStoragePoolFree", in);
      }
    } catch (HypervisorException _) {
      return "";
    }
  }

  void release(MemorySegment domain) {
    int _ = library.number("virDomainFree", domain);
  }
}
