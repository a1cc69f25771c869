package dev.prestage.control.vm.qmp;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.DiskStatistics;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.MemoryStatistics;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// One user's view of the machines of a directory. Inventory and lifecycle are known without asking
/// anybody, so no machine that hangs holds up who follows them.
final class QmpHypervisor implements Hypervisor {
  private final QmpConnector connector;
  private @Nullable Consumer<GuestEvent> listener;

  QmpHypervisor(QmpConnector connector) {
    this.connector = connector;
  }

  @Override
  public String name() {
    return connector.name();
  }

  @Override
  public Set<Ability> abilities() {
    return EnumSet.of(
        Ability.INVENTORY,
        Ability.LIFECYCLE,
        Ability.MEMORY_SIZE,
        Ability.IO_LIMITS,
        Ability.STATISTICS);
  }

  /// Whether the directory can be read.
  @Override
  public boolean isAlive() {
    return connector.isWell();
  }

  @Override
  public void close() {
    Consumer<GuestEvent> ending = listener;
    listener = null;
    if (ending != null) {
      connector.leave(ending);
    }
  }

  @Override
  public List<Guest> guests() {
    return connector.guests();
  }

  @Override
  public Guest guest(String guest) throws HypervisorException {
    Guest found = connector.machine(guest).guest();
    if (found == null) {
      throw HypervisorException.gone("it is not known whether '" + guest + "' runs");
    }
    return found;
  }

  @Override
  public void watch(Consumer<GuestEvent> to) {
    listener = to;
    connector.listen(to);
  }

  /// With [IoLimits#NONE], what was in force before Prestage limited the disk is in force again.
  @Override
  public void limit(String guest, String disk, IoLimits limits) throws HypervisorException {
    DiskLimits of = connector.machine(guest).limits();
    boolean _ =
        connector.ask(
            guest,
            client -> {
              of.limit(client, disk, limits);
              return true;
            });
  }

  @Override
  public void resizeMemory(String guest, long bytes) throws HypervisorException {
    boolean _ =
        connector.ask(
            guest,
            client -> {
              GuestMemory.resize(client, bytes);
              return true;
            });
  }

  @Override
  public MemoryStatistics memoryStatistics(String guest) throws HypervisorException {
    long nowSeconds = TimeUnit.MILLISECONDS.toSeconds(System.currentTimeMillis());
    return connector.ask(guest, client -> GuestMemory.statistics(client, nowSeconds));
  }

  @Override
  public DiskStatistics diskStatistics(String guest, String disk) throws HypervisorException {
    return connector.ask(
        guest,
        client -> {
          List<String> all = new ArrayList<>();
          for (JsonNode block : client.execute("query-blockstats", QmpClient.object())) {
            List<String> names = DiskLimits.names(block, block.path("node-name").asText());
            JsonNode stats = block.path("stats");
            if (names.contains(disk)) {
              return new DiskStatistics(
                  stats.path("rd_operations").asLong(),
                  stats.path("rd_bytes").asLong(),
                  stats.path("wr_operations").asLong(),
                  stats.path("wr_bytes").asLong());
            }
            all.addAll(names.isEmpty() ? List.of() : names.subList(0, 1));
          }
          throw DiskLimits.unknown(disk, all);
        });
  }
}
