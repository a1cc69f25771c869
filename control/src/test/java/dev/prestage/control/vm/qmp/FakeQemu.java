package dev.prestage.control.vm.qmp;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/// What QEMU does at its QMP socket, for one client at a time: one disk `d0`, and whatever else a
/// test gives it. It can be told to misbehave.
final class FakeQemu implements AutoCloseable {
  private static final JsonMapper MAPPER = new JsonMapper();
  static final long MIB = 1 << 20;

  /// What was asked, in order.
  final List<String> commands = new CopyOnWriteArrayList<>();

  /// The value of each property, by path and name.
  final Map<String, JsonNode> properties = new ConcurrentHashMap<>();

  /// The devices, by id.
  final Map<String, String> devices = new ConcurrentHashMap<>();

  /// The disk's limits, as commands name them.
  final Map<String, Long> throttle = new ConcurrentHashMap<>();

  final Map<String, JsonNode> notes = new ConcurrentHashMap<>();

  /// This command is refused.
  volatile String refused = "";

  /// At this command the connection ends, before it is carried out.
  volatile String endsBefore = "";

  /// At this command the connection ends, after it was carried out.
  volatile String endsAfter = "";

  /// What is sent as the answer to every command, if there is such a thing.
  volatile byte @Nullable [] insteadOfAnswers;

  /// Whether answers wait until this is taken back.
  volatile boolean hangs;

  /// From this command on it hangs.
  volatile String hangsAt = "";

  volatile String status = "running";
  volatile String greeting =
      "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n";
  volatile long balloonBytes = 512 * MIB;

  /// Whether each byte is sent by itself.
  volatile boolean inBytes;

  private final Path socket;
  private final ServerSocketChannel server;
  private final List<byte[]> unsaid = new ArrayList<>();
  private volatile @Nullable SocketChannel client;

  FakeQemu(Path socket) throws IOException {
    this.socket = socket;
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    Files.deleteIfExists(socket);
    server.bind(UnixDomainSocketAddress.of(socket), 1);
    throttle.putAll(Map.of("bps", 0L, "bps_rd", 0L, "bps_wr", 0L));
    throttle.putAll(Map.of("iops", 0L, "iops_rd", 0L, "iops_wr", 0L));
  }

  FakeQemu start() {
    Thread.ofVirtual().start(this::serve);
    return this;
  }

  /// Gives it a balloon, whose driver in the guest says so much; nothing if that is negative.
  FakeQemu withBalloon(long updatedSeconds, long freeBytes) {
    devices.put("bal", "child<virtio-balloon-pci>");
    properties.putIfAbsent(
        "/machine/peripheral/bal guest-stats-polling-interval", MAPPER.valueToTree(0));
    ObjectNode said = MAPPER.createObjectNode().put("last-update", updatedSeconds);
    said.putObject("stats")
        .put("stat-free-memory", freeBytes < 0 ? freeBytes : freeBytes / 2)
        .put("stat-available-memory", freeBytes);
    properties.put("/machine/peripheral/bal guest-stats", said);
    return this;
  }

  void event(String name) throws IOException {
    send(("{\"event\": \"" + name + "\", \"data\": {}}\r\n").getBytes(StandardCharsets.UTF_8));
  }

  /// Ends the connection as a crash of QEMU would, and listens on.
  void hangUp() throws IOException {
    SocketChannel now = client;
    if (now != null) {
      now.close();
    }
  }

  private void serve() {
    while (server.isOpen()) {
      try (SocketChannel accepted = server.accept()) {
        client = accepted;
        send(greeting.getBytes(StandardCharsets.UTF_8));
        Scanner lines = new Scanner(Channels.newInputStream(accepted), StandardCharsets.UTF_8);
        while (lines.hasNextLine() && handle(MAPPER.readTree(lines.nextLine()))) {
          // Each answers itself.
        }
      } catch (IOException _) {
        // The client went, or the server closes.
      }
    }
  }

  private boolean handle(JsonNode asked) throws IOException {
    String command = asked.path("execute").asText();
    commands.add(command);
    if (command.equals(endsBefore)) {
      endsBefore = "";
      return false;
    }
    byte[] other = insteadOfAnswers;
    if (other != null) {
      send(other);
      return true;
    }
    ObjectNode answer = MAPPER.createObjectNode().set("id", asked.path("id"));
    if (command.equals(refused)) {
      answer.putObject("error").put("class", "GenericError").put("desc", "not\n today");
    } else {
      JsonNode returned = carryOut(command, asked.path("arguments"));
      if (returned == null) {
        answer.putObject("error").put("class", "DeviceNotFound").put("desc", "not found");
      } else {
        answer.set("return", returned);
      }
    }
    if (command.equals(endsAfter)) {
      endsAfter = "";
      return false;
    }
    byte[] line = (answer + "\r\n").getBytes(StandardCharsets.UTF_8);
    synchronized (unsaid) {
      if (hangs || command.equals(hangsAt)) {
        hangs = true;
        hangsAt = "";
        unsaid.add(line);
        return true;
      }
    }
    send(line);
    return true;
  }

  /// Says what it has not said while it hung.
  void goOn() throws IOException {
    synchronized (unsaid) {
      hangs = false;
      for (byte[] line : unsaid) {
        send(line);
      }
      unsaid.clear();
    }
  }

  private @Nullable JsonNode carryOut(String command, JsonNode arguments) {
    ObjectNode nothing = MAPPER.createObjectNode();
    String at = arguments.path("path").asText();
    String property = at + " " + arguments.path("property").asText();
    return switch (command) {
      case "query-status" -> nothing.put("status", status);
      case "qom-get" ->
          at.startsWith("/objects/prestage.before.")
              ? notes.get(at.substring("/objects/".length()))
              : properties.get(property);
      case "qom-set" -> {
        properties.put(property, arguments.path("value"));
        yield nothing;
      }
      case "qom-list" -> list(at);
      case "object-add" -> {
        notes.put(arguments.path("id").asText(), arguments.path("limits"));
        yield nothing;
      }
      case "object-del" -> notes.remove(arguments.path("id").asText()) == null ? null : nothing;
      case "block_set_io_throttle" -> {
        throttle.clear();
        for (Map.Entry<String, JsonNode> field : arguments.properties()) {
          if (field.getValue().isIntegralNumber()) {
            throttle.put(field.getKey(), field.getValue().asLong());
          }
        }
        yield nothing;
      }
      case "query-block" -> MAPPER.createArrayNode().add(disk());
      case "query-blockstats" -> statistics();
      case "balloon" -> {
        balloonBytes = arguments.path("value").asLong();
        yield nothing;
      }
      case "query-balloon" -> nothing.put("actual", balloonBytes);
      case "query-memory-size-summary" ->
          nothing.put("base-memory", 512 * MIB).put("plugged-memory", 0);
      case "query-memory-devices" -> properties.getOrDefault("memory", MAPPER.createArrayNode());
      default -> nothing;
    };
  }

  private ArrayNode list(String path) {
    ArrayNode list = MAPPER.createArrayNode();
    Map<String, String> children = new TreeMap<>();
    if (path.equals("/machine/peripheral")) {
      children.putAll(devices);
    } else if (path.equals("/objects")) {
      notes.keySet().forEach(note -> children.put(note, "child<throttle-group>"));
    }
    children.forEach((name, type) -> list.addObject().put("name", name).put("type", type));
    return list;
  }

  private ObjectNode disk() {
    ObjectNode disk = MAPPER.createObjectNode().put("device", "d0");
    disk.put("qdev", "/machine/peripheral/disk/virtio-backend");
    ObjectNode inserted = disk.putObject("inserted").put("node-name", "#block1");
    throttle.forEach(inserted::put);
    return disk;
  }

  private static ArrayNode statistics() {
    ArrayNode all = MAPPER.createArrayNode();
    ObjectNode disk = all.addObject().put("device", "d0").put("node-name", "#block1");
    disk.put("qdev", "/machine/peripheral/disk/virtio-backend");
    disk.putObject("stats")
        .put("rd_operations", 3)
        .put("rd_bytes", 4096)
        .put("wr_operations", 1)
        .put("wr_bytes", 512);
    return all;
  }

  /// A virtio-mem device with an id.
  FakeQemu withVirtioMem(String id, long mostBytes) {
    ObjectNode device = MAPPER.createObjectNode().put("type", "virtio-mem");
    device
        .putObject("data")
        .put("id", id)
        .put("requested-size", 0)
        .put("size", 0)
        .put("max-size", mostBytes)
        .put("block-size", 2 * MIB);
    properties.put("memory", MAPPER.createArrayNode().add(device));
    return this;
  }

  private synchronized void send(byte[] bytes) throws IOException {
    SocketChannel now = client;
    if (now == null) {
      throw new IOException("nobody is connected");
    }
    int step = inBytes ? 1 : bytes.length;
    for (int from = 0; from < bytes.length; from += step) {
      ByteBuffer part = ByteBuffer.wrap(bytes, from, step);
      while (part.hasRemaining()) {
        now.write(part);
      }
    }
  }

  /// Ends as QEMU does: the socket goes.
  @Override
  public void close() throws IOException {
    server.close();
    hangUp();
    Files.deleteIfExists(socket);
  }
}
