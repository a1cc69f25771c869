package dev.prestage.control.vm.qmp;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.MemoryStatistics;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// A machine's memory: its size by a balloon, or by virtio-mem where there is none, and what its
/// system says of it.
final class GuestMemory {
  /// How often a guest is asked for its statistics, unless somebody set that already.
  static final int POLLING_SECONDS = 1;

  /// Statistics older than this, or than three questions, are of a guest that does not answer.
  private static final Duration STALE = Duration.ofSeconds(6);

  private GuestMemory() {}

  /// A piece of memory that can be plugged in part.
  private record Pluggable(String id, long requested, long size, long most, long block) {}

  /// What the balloon's driver in the guest said.
  ///
  /// @param updatedSeconds when, by this host's clock; 0: never
  /// @param usable what it could give away, caches among it
  private record Said(long updatedSeconds, long usable, long swappedIn) {}

  /// @param nowSeconds this host's clock
  static MemoryStatistics statistics(QmpClient client, long nowSeconds) throws IOException {
    String balloon = balloon(client);
    if (balloon.isEmpty()) {
      JsonNode size = client.execute("query-memory-size-summary", QmpClient.object());
      long plugged = 0;
      for (Pluggable piece : pluggables(client)) {
        plugged += piece.size();
      }
      long fixed = size.path("plugged-memory").asLong() - plugged;
      return new MemoryStatistics(
          size.path("base-memory").asLong() + Math.max(0, fixed) + plugged, -1, -1);
    }
    Said said = said(client, balloon);
    long age = nowSeconds - said.updatedSeconds();
    boolean fresh = said.updatedSeconds() > 0 && age >= -1 && age <= staleAfter(client, balloon);
    return new MemoryStatistics(
        number(client.execute("query-balloon", QmpClient.object()).path("actual")),
        -1,
        fresh ? said.usable() : -1,
        fresh ? said.swappedIn() : -1,
        fresh ? TimeUnit.SECONDS.toNanos(Math.max(0, age) + 1) : 0);
  }

  private static long staleAfter(QmpClient client, String balloon) throws IOException {
    long polling = get(client, balloon, "guest-stats-polling-interval").asLong();
    return Math.max(STALE.toSeconds(), 3 * polling);
  }

  /// Has the guest have that much.
  ///
  /// @throws IOException one line, also where the guest has nothing by which it could
  static void resize(QmpClient client, long bytes) throws IOException {
    JsonNode size = client.execute("query-memory-size-summary", QmpClient.object());
    long base = size.path("base-memory").asLong();
    String balloon = balloon(client);
    List<Pluggable> pieces = pluggables(client);
    if (!balloon.isEmpty()) {
      inflate(client, balloon, bytes, base + size.path("plugged-memory").asLong());
    } else if (!pieces.isEmpty()) {
      plug(client, pieces, bytes, base);
    } else {
      throw new HypervisorException(
          "its memory cannot be changed: it has neither a virtio-balloon nor a virtio-mem device with an id");
    }
  }

  private static void inflate(QmpClient client, String balloon, long bytes, long most)
      throws IOException {
    if (bytes <= 0 || bytes > most) {
      throw new HypervisorException(
          "its memory cannot be %d bytes: it has %d at most".formatted(bytes, most));
    }
    // QEMU takes the size without a word also where nobody in the guest listens.
    if (said(client, balloon).updatedSeconds() == 0) {
      throw new HypervisorException(
          "its memory cannot be changed now: no balloon driver in it has said anything yet");
    }
    JsonNode _ = client.execute("balloon", QmpClient.object().put("value", bytes));
  }

  private static void plug(QmpClient client, List<Pluggable> pieces, long bytes, long base)
      throws IOException {
    long most = base;
    for (Pluggable piece : pieces) {
      most += piece.most();
    }
    if (bytes < base || bytes > most) {
      throw new HypervisorException(
          "its memory cannot be %d bytes: with virtio-mem it has between %d and %d"
              .formatted(bytes, base, most));
    }
    long left = bytes - base;
    for (Pluggable piece : pieces) {
      long share = Math.min(left, piece.most()) / piece.block() * piece.block();
      left -= share;
      if (share != piece.requested()) {
        set(client, "/machine/peripheral/" + piece.id(), "requested-size", share);
      }
    }
  }

  private static List<Pluggable> pluggables(QmpClient client) throws IOException {
    List<Pluggable> pieces = new ArrayList<>();
    for (JsonNode device : client.execute("query-memory-devices", QmpClient.object())) {
      JsonNode data = device.path("data");
      if (device.path("type").asText().equals("virtio-mem") && data.has("id")) {
        pieces.add(
            new Pluggable(
                data.path("id").asText(),
                data.path("requested-size").asLong(),
                data.path("size").asLong(),
                data.path("max-size").asLong(),
                Math.max(1, data.path("block-size").asLong())));
      }
    }
    return pieces;
  }

  // ---- the balloon

  /// The path of the balloon's device, or empty.
  private static String balloon(QmpClient client) throws IOException {
    for (String parent : List.of("/machine/peripheral", "/machine/peripheral-anon")) {
      for (JsonNode device : client.execute("qom-list", QmpClient.object().put("path", parent))) {
        if (device.path("type").asText().startsWith("child<virtio-balloon")) {
          return parent + "/" + device.path("name").asText();
        }
      }
    }
    return "";
  }

  /// What the guest said last; from now on it is asked, if it was not.
  private static Said said(QmpClient client, String balloon) throws IOException {
    if (get(client, balloon, "guest-stats-polling-interval").asLong() == 0) {
      set(client, balloon, "guest-stats-polling-interval", POLLING_SECONDS);
    }
    JsonNode statistics = get(client, balloon, "guest-stats");
    JsonNode of = statistics.path("stats");
    // A guest of before Linux 4.6 does not say what is available.
    long available = number(of.path("stat-available-memory"));
    return new Said(
        Math.max(0, number(statistics.path("last-update"))),
        available >= 0 ? available : number(of.path("stat-free-memory")),
        number(of.path("stat-swap-in")));
  }

  /// A number, or -1 if it is not said: QEMU then writes the largest of 64 bits.
  private static long number(JsonNode node) {
    return node.canConvertToLong() && node.isIntegralNumber() ? Math.max(-1, node.asLong()) : -1;
  }

  private static JsonNode get(QmpClient client, String path, String property) throws IOException {
    return client.execute(
        "qom-get", QmpClient.object().put("path", path).put("property", property));
  }

  private static void set(QmpClient client, String path, String property, long value)
      throws IOException {
    ObjectNode arguments =
        QmpClient.object().put("path", path).put("property", property).put("value", value);
    JsonNode _ = client.execute("qom-set", arguments);
  }
}
