package dev.prestage.control.vm.qmp;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.CRC32;

/// The limits of a machine's disks. What a disk's limits were before ours is kept in QEMU, as the
/// limits of a throttle group that has no members: a note that no crash of ours loses, and that is
/// gone when the limits are, with the machine.
///
/// Limits are only ever tightened. Used by one thread at a time; `isUnsettled` may be asked by any.
final class DiskLimits {
  /// What the ids of the notes begin with.
  static final String NOTES = "prestage.before.";

  private static final List<String> UNITS = List.of("bps", "iops");

  /// The notes of disks whose limits somebody of this process holds.
  private final Set<String> held = new HashSet<>();

  private volatile boolean unsettled;

  /// A disk.
  ///
  /// @param command how commands name it
  /// @param names all that it may be called
  /// @param limits what is in force, as QEMU says it
  private record Disk(ObjectNode command, List<String> names, JsonNode limits) {
    /// An id has few characters and a path has others.
    String note() {
      String name = names.getLast();
      CRC32 sum = new CRC32();
      sum.update(name.getBytes(StandardCharsets.UTF_8));
      return NOTES
          + name.replaceAll("[^A-Za-z0-9._-]", "_")
          + "."
          + Long.toHexString(sum.getValue());
    }

    String group() {
      return limits.path("group").asText();
    }
  }

  /// Whether a limit may be in force that nobody holds.
  boolean isUnsettled() {
    return unsettled;
  }

  /// Limits a disk, or has it as it was before.
  void limit(QmpClient client, String name, IoLimits limits) throws IOException {
    List<Disk> disks = disks(client);
    Disk disk = find(disks, name);
    boolean noted = notes(client).contains(disk.note());
    if (!limits.equals(IoLimits.NONE)) {
      tighten(client, disks, disk, limits, noted);
    } else if (noted) {
      held.remove(disk.note());
      unsettled = true;
      restore(client, disk);
      unsettled = false;
    }
  }

  private void tighten(
      QmpClient client, List<Disk> disks, Disk disk, IoLimits limits, boolean noted)
      throws IOException {
    for (Disk other : disks) {
      if (!other.note().equals(disk.note())
          && !disk.group().isEmpty()
          && other.group().equals(disk.group())) {
        throw new HypervisorException(
            "the disk %s shares its throttle group %s with %s: a limit of one would be one of both"
                .formatted(disk.names().getFirst(), disk.group(), other.names().getFirst()));
      }
    }
    JsonNode before = noted ? note(client, disk) : asGroup(disk.limits());
    ObjectNode throttle = tightened(disk, before, limits);
    if (!noted) {
      JsonNode _ =
          client.execute(
              "object-add",
              QmpClient.object()
                  .put("qom-type", "throttle-group")
                  .put("id", disk.note())
                  .set("limits", before));
    }
    unsettled = true;
    try {
      JsonNode _ = client.execute("block_set_io_throttle", throttle);
    } catch (QmpRefusal e) {
      if (!noted) {
        forget(client, disk.note());
      }
      unsettled = false;
      throw e;
    }
    held.add(disk.note());
    unsettled = false;
  }

  /// What is to be in force: no more than before, and no more than the limits. QEMU has either one
  /// limit of reads and writes together, or two.
  private static ObjectNode tightened(Disk disk, JsonNode before, IoLimits limits)
      throws HypervisorException {
    ObjectNode throttle = disk.command().deepCopy();
    for (String unit : UNITS) {
      long limit = unit.equals("bps") ? limits.bytesPerSecond() : limits.requestsPerSecond();
      long total = before.path(unit + "-total").asLong();
      long reads = before.path(unit + "-read").asLong();
      long writes = before.path(unit + "-write").asLong();
      if (limit > 0 && (loosens(limit, reads) || loosens(limit, writes))) {
        throw new HypervisorException(
            "the disk %s has limits of its reads and writes apart (%s), which %d for both would loosen"
                .formatted(disk.names().getFirst(), unit, limit));
      }
      boolean together = limit > 0;
      throttle
          .put(unit, together && total > 0 ? Math.min(limit, total) : together ? limit : total)
          .put(unit + "_rd", together ? 0 : reads)
          .put(unit + "_wr", together ? 0 : writes);
    }
    long size = before.path("iops-size").asLong();
    return size > 0 ? throttle.put("iops_size", size) : throttle;
  }

  private static boolean loosens(long limit, long before) {
    return before > 0 && before < limit;
  }

  /// Puts back what is noted of disks whose limits nobody holds.
  ///
  /// @return of how many
  int settle(QmpClient client) throws IOException {
    Set<String> notes = notes(client);
    held.retainAll(notes);
    notes.removeAll(held);
    unsettled = !notes.isEmpty();
    if (notes.isEmpty()) {
      return 0;
    }
    int restored = 0;
    for (Disk disk : disks(client)) {
      if (notes.remove(disk.note())) {
        restore(client, disk);
        restored++;
      }
    }
    // Their disks were unplugged.
    for (String note : notes) {
      forget(client, note);
    }
    unsettled = false;
    return restored;
  }

  private static void restore(QmpClient client, Disk disk) throws IOException {
    JsonNode before = note(client, disk);
    ObjectNode throttle = disk.command().deepCopy();
    for (String unit : UNITS) {
      for (String kind : List.of("-total", "-read", "-write")) {
        String key = unit + kind;
        String name = unit + (kind.equals("-total") ? "" : kind.equals("-read") ? "_rd" : "_wr");
        throttle.put(name, before.path(key).asLong());
        long burst = before.path(key + "-max").asLong();
        if (burst > 0) {
          throttle
              .put(name + "_max", burst)
              .put(name + "_max_length", before.path(key + "-max-length").asLong(1));
        }
      }
    }
    long size = before.path("iops-size").asLong();
    if (size > 0) {
      throttle.put("iops_size", size);
    }
    JsonNode _ = client.execute("block_set_io_throttle", throttle);
    forget(client, disk.note());
  }

  private static JsonNode note(QmpClient client, Disk disk) throws IOException {
    return client.execute(
        "qom-get",
        QmpClient.object().put("path", "/objects/" + disk.note()).put("property", "limits"));
  }

  private static void forget(QmpClient client, String note) throws IOException {
    JsonNode _ = client.execute("object-del", QmpClient.object().put("id", note));
  }

  private static Set<String> notes(QmpClient client) throws IOException {
    Set<String> notes = new HashSet<>();
    for (JsonNode object : client.execute("qom-list", QmpClient.object().put("path", "/objects"))) {
      String id = object.path("name").asText();
      if (id.startsWith(NOTES)) {
        notes.add(id);
      }
    }
    return notes;
  }

  /// What a disk says of its limits, as a throttle group says it.
  private static ObjectNode asGroup(JsonNode said) {
    ObjectNode limits = QmpClient.object();
    for (String unit : UNITS) {
      for (String kind : List.of("", "_rd", "_wr")) {
        String name = unit + kind;
        String key = unit + (kind.isEmpty() ? "-total" : kind.equals("_rd") ? "-read" : "-write");
        limits.put(key, said.path(name).asLong());
        long burst = said.path(name + "_max").asLong();
        if (burst > 0) {
          limits
              .put(key + "-max", burst)
              .put(key + "-max-length", said.path(name + "_max_length").asLong(1));
        }
      }
    }
    return limits.put("iops-size", said.path("iops_size").asLong());
  }

  // ---- disks

  private static List<Disk> disks(QmpClient client) throws IOException {
    List<Disk> disks = new ArrayList<>();
    for (JsonNode block : client.execute("query-block", QmpClient.object())) {
      JsonNode inserted = block.path("inserted");
      List<String> names = names(block, inserted.path("node-name").asText());
      if (inserted.isObject() && !names.isEmpty()) {
        String device = block.path("qdev").asText();
        ObjectNode command = QmpClient.object();
        disks.add(
            new Disk(
                device.isEmpty()
                    ? command.put("device", block.path("device").asText())
                    : command.put("id", device),
                names,
                inserted));
      }
    }
    return disks;
  }

  /// What a disk may be called: the id of its drive, of its device, of its node, and the device's
  /// path.
  static List<String> names(JsonNode block, String node) {
    String device = block.path("qdev").asText();
    String id =
        device.startsWith("/machine/peripheral/")
            ? device.split("/", -1)[3]
            : device.startsWith("/") ? "" : device;
    return Stream.of(block.path("device").asText(), id, node, device)
        .filter(name -> !name.isEmpty())
        .distinct()
        .toList();
  }

  private static Disk find(List<Disk> disks, String name) throws HypervisorException {
    for (Disk disk : disks) {
      if (disk.names().contains(name)) {
        return disk;
      }
    }
    throw unknown(name, disks.stream().map(disk -> disk.names().getFirst()).toList());
  }

  static HypervisorException unknown(String name, List<String> all) {
    return new HypervisorException(
        "'%s' is none of its disks: %s".formatted(name, String.join(", ", all)));
  }
}
