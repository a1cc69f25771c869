package dev.prestage.control.vm.xen;

import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.MemoryStatistics;
import java.time.Duration;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// A Xen host, by its tools.
///
/// Xen limits no disk's input and output ([Ability#IO_LIMITS] is not declared), and keeps no
/// definitions: a domain that does not run is not there.
final class XenHypervisor implements Hypervisor {
  private static final long KIB = 1 << 10;
  private static final long MIB = 1 << 20;

  /// An agent that has written nothing new for so long has ended: what it said is no more so.
  private static final Duration STALE = Duration.ofSeconds(30);

  /// The target is what is asked for; the guest's driver has followed it after so long.
  private static final Duration SETTLED = Duration.ofSeconds(3);

  private static final Pattern FREE = Pattern.compile("(?m)^free_memory\\s*:\\s*(\\d{1,9})\\s*$");

  private final XenTools tools;
  private final long leastBytes;
  private volatile Inventory latest = new Inventory(Map.of(), true);
  private final Map<Integer, Said> said = new HashMap<>();
  private @Nullable DomainWatch watch;

  /// What a guest wrote to `data/updated`, and when it was seen to change; null: it was not.
  private record Said(String updated, @Nullable Long changedNanos) {}

  /// A domain and what xenstore has of it.
  private record Found(Domain domain, Map<String, String> entries) {
    String text(String key) {
      return entries.getOrDefault("/local/domain/" + domain.number() + "/" + key, "");
    }

    /// A number in KiB, in bytes; -1 if there is none.
    long bytes(String key) {
      String text = text(key);
      return text.matches("\\d{1,12}") ? Long.parseLong(text) * KIB : -1;
    }
  }

  XenHypervisor(XenTools tools, long leastBytes) {
    this.tools = tools;
    this.leastBytes = leastBytes;
  }

  @Override
  public String name() {
    return "xen";
  }

  @Override
  public Set<Ability> abilities() {
    return EnumSet.of(
        Ability.INVENTORY, Ability.LIFECYCLE, Ability.MEMORY_SIZE, Ability.STATISTICS);
  }

  @Override
  public boolean isAlive() {
    return watch == null || watch.isAlive();
  }

  @Override
  public void close() {
    if (watch != null) {
      watch.close();
    }
  }

  @Override
  public List<Guest> guests() throws HypervisorException {
    return look().domains().values().stream().map(Domain::guest).toList();
  }

  @Override
  public Guest guest(String guest) throws HypervisorException {
    Domain domain = look().domains().get(guest);
    if (domain == null) {
      throw gone(guest);
    }
    return domain.guest();
  }

  @Override
  public void watch(Consumer<GuestEvent> listener) throws HypervisorException {
    watch = DomainWatch.start(tools, this::look, listener);
  }

  private Inventory look() throws HypervisorException {
    String table = tools.run("xl", "list");
    String details = tools.run("xl", "list", "-l");
    Inventory inventory = Inventory.of(table, details, labels());
    latest = inventory;
    return inventory;
  }

  private String labels() throws HypervisorException {
    try {
      return tools.tryRun("xenstore-ls", "-f", "/prestage");
    } catch (XenTools.Failure e) {
      if ((e.getMessage() + "").contains("No such file or directory")) {
        return "";
      }
      throw new HypervisorException(e.getMessage() + "");
    }
  }

  /// Between two calls a domain may have been renamed or ended, and its name be another one's.
  private Found find(String guest) throws HypervisorException {
    Found found = found(latest.domains().get(guest));
    if (found == null) {
      found = found(look().domains().get(guest));
    }
    if (found == null) {
      throw gone(guest);
    }
    return found;
  }

  private @Nullable Found found(@Nullable Domain domain) throws HypervisorException {
    if (domain == null) {
      return null;
    }
    String path = "/local/domain/" + domain.number();
    try {
      Map<String, String> entries = Inventory.entries(tools.tryRun("xenstore-ls", "-f", path));
      return domain.name().equals(entries.get(path + "/name")) ? new Found(domain, entries) : null;
    } catch (XenTools.Failure e) {
      if ((e.getMessage() + "").contains("No such file or directory")) {
        return null;
      }
      throw new HypervisorException(e.getMessage() + "");
    }
  }

  private static HypervisorException gone(String guest) {
    return HypervisorException.gone("there is no domain '" + guest + "' any more");
  }

  /// Changes the target that the guest's balloon driver follows, within some seconds. It is never
  /// set to less than the domain's floor, or to more than its `maxmem`: what is asked for beyond is
  /// left out.
  ///
  /// @throws HypervisorException also where the host has not as much memory left
  @Override
  public void resizeMemory(String guest, long bytes) throws HypervisorException {
    Found found = find(guest);
    Domain domain = found.domain();
    long most = found.bytes("memory/static-max");
    long target = found.bytes("memory/target");
    if (most <= 0 || target <= 0) {
      throw new HypervisorException("xen does not say how much memory '" + guest + "' may have");
    }
    long wanted = Math.min(most, Math.max(bytes, Math.min(most, floorBytes(domain)))) / KIB;
    long grown = wanted * KIB - target;
    long free = grown > 0 ? freeBytes() : 0;
    if (grown > free) {
      throw new HypervisorException(
          "'%s' cannot have %d MiB more: the host has %d MiB left"
              .formatted(guest, grown / MIB, free / MIB));
    }
    if (grown == 0) {
      return;
    }
    try {
      tools.tryRun("xl", "mem-set", Integer.toString(domain.number()), wanted + "k");
    } catch (XenTools.Failure e) {
      if (found(domain) == null) {
        throw gone(guest);
      }
      throw new HypervisorException("the memory of '" + guest + "' stays: " + e.getMessage());
    }
  }

  @Override
  public long leastMemory(String guest) throws HypervisorException {
    return floorBytes(find(guest).domain());
  }

  private long floorBytes(Domain domain) {
    String label = domain.labels().getOrDefault(Domain.LEAST, "");
    return label.matches("\\d{1,9}") ? Long.parseLong(label) * MIB : leastBytes;
  }

  private long freeBytes() throws HypervisorException {
    Matcher free = FREE.matcher(tools.run("xl", "info"));
    if (!free.find()) {
      throw new HypervisorException("'xl info' does not say how much memory is free");
    }
    return Long.parseLong(free.group(1)) * MIB;
  }

  /// What the guest does not use is known where an agent in it writes `data/meminfo_free` and
  /// `data/meminfo_total`, in KiB, and to `data/updated` something else each time: from the second
  /// question on, which sees that it does. A guest may write anything: numbers that cannot be are
  /// none.
  @Override
  public MemoryStatistics memoryStatistics(String guest) throws HypervisorException {
    Found found = find(guest);
    int number = found.domain().number();
    String table;
    try {
      table = tools.tryRun("xl", "list", Integer.toString(number));
    } catch (XenTools.Failure e) {
      if (found(found.domain()) == null) {
        throw gone(guest);
      }
      throw new HypervisorException(e.getMessage() + "");
    }
    Inventory.Row row = Inventory.rows(table).get(number);
    long resident = row == null ? -1 : row.mib() * MIB;
    // The target is what is asked for: what the guest has now is what its numbers are of.
    long granted = resident >= 0 ? resident : found.bytes("memory/target");
    long free = found.bytes("data/meminfo_free");
    long total = found.bytes("data/meminfo_total");
    long age = ageNanos(found);
    boolean sensible = age < STALE.toNanos() && free >= 0 && free <= total && free <= granted;
    return new MemoryStatistics(
        granted, resident, sensible ? free : -1, -1, sensible ? age + SETTLED.toNanos() : 0);
  }

  /// How long ago the agent said something new; the largest number if that is not known.
  private long ageNanos(Found found) {
    said.keySet()
        .retainAll(
            latest.domains().values().stream().map(Domain::number).collect(Collectors.toSet()));
    int number = found.domain().number();
    String updated = found.text("data/updated");
    Said before = said.get(number);
    long now = System.nanoTime();
    if (before == null) {
      said.put(number, new Said(updated, null));
      return Long.MAX_VALUE;
    }
    Said after = before.updated().equals(updated) ? before : new Said(updated, now);
    said.put(number, after);
    Long changed = after.changedNanos();
    return changed == null ? Long.MAX_VALUE : now - changed;
  }
}
