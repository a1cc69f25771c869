package dev.prestage.benchmarks.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/// One VM host: Prestage's real processes on a folder of their own.
public final class Host implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long START_SECONDS = 60;
  private static final long SETTLE_SECONDS = 10;
  private static final long STOP_SECONDS = 20;

  private final Process process;
  private final PrestageClient client;
  private final Path log;

  private Host(Process process, PrestageClient client, Path log) {
    this.process = process;
    this.client = client;
    this.log = log;
  }

  /// Starts a host and waits until all of its parts work.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param folder its own, empty or from before
  /// @param configuration the content of its configuration file, without `state`
  public static Host start(List<String> prestage, Path folder, String configuration)
      throws IOException, InterruptedException {
    Files.createDirectories(folder);
    Path file = folder.resolve("prestage.yaml");
    // What is compared here is compared by the benchmark.
    String controls = configuration.contains("predict:") ? "" : "predict: {controls: 0}\n";
    Files.writeString(file, "state: " + folder + "\n" + controls + configuration);
    Path log = folder.resolve("log");
    List<String> command = new ArrayList<>(prestage);
    command.addAll(List.of("run", "--config", file.toString()));
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    PrestageClient client = PrestageClient.onSocket(folder.resolve("sockets").resolve("api.sock"));
    Host host = new Host(process, client, log);
    host.awaitHealth();
    return host;
  }

  private void awaitHealth() throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    String last = "no answer";
    while (System.nanoTime() < end) {
      if (!process.isAlive()) {
        break;
      }
      try {
        last = client.get("/health").text();
        if (JSON.readTree(last).path("status").asText().equals("ok")) {
          return;
        }
      } catch (IOException e) {
        last = String.valueOf(e.getMessage());
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
    }
    close();
    throw new IOException("the host did not start (" + last + "); its log is " + log);
  }

  /// Registers a VM.
  void register(String vm, String tenant, String program, String image) throws IOException {
    String request =
        JSON.createObjectNode()
            .put("vm", vm)
            .put("tenant", tenant)
            .put("program", program)
            .put("image", image)
            .toString();
    client.post("/v1/vms", request);
  }

  /// Registers a VM with several disks.
  void register(String vm, String tenant, String program, List<String> images) throws IOException {
    ObjectNode request =
        JSON.createObjectNode().put("vm", vm).put("tenant", tenant).put("program", program);
    ArrayNode resources = request.putArray("resources");
    for (String image : images) {
      resources
          .addObject()
          .put("as", "disk" + (resources.size() - 1))
          .put("type", "file-block")
          .put("source", image);
    }
    client.post("/v1/vms", request.toString());
  }

  /// Registers a VM with connections, of the tenant `default`.
  ///
  /// @param upstreams each as `host:port`, by the names that the VM has for them
  /// @return where each is reached, as `host:port` too, by these names
  public Map<String, String> registerConnections(
      String vm, String program, Map<String, String> upstreams) throws IOException {
    ObjectNode request = JSON.createObjectNode().put("vm", vm).put("program", program);
    ArrayNode resources = request.putArray("resources");
    for (Map.Entry<String, String> upstream : upstreams.entrySet()) {
      resources
          .addObject()
          .put("as", upstream.getKey())
          .put("type", "network-connection")
          .put("source", upstream.getValue());
    }
    Map<String, String> addresses = new HashMap<>();
    JsonNode answer = JSON.readTree(client.post("/v1/vms", request.toString()).text());
    for (JsonNode each : answer.path("resources")) {
      addresses.put(each.path("as").asText(), each.path("uri").asText());
    }
    return addresses;
  }

  /// Registers a VM with a disk and a share of the link to its origin, of the tenant `default`.
  ///
  /// @param origin to whose link it is bound as `link`; empty for a disk alone
  public void registerReader(String vm, String program, String image, String origin)
      throws IOException {
    ObjectNode request = JSON.createObjectNode().put("vm", vm).put("program", program);
    ArrayNode resources = request.putArray("resources");
    resources.addObject().put("as", "disk0").put("type", "file-block").put("source", image);
    if (!origin.isEmpty()) {
      resources.addObject().put("as", "link").put("type", "io-bandwidth").put("source", origin);
    }
    client.post("/v1/vms", request.toString());
  }

  /// Removes what the host holds of an image that no VM has, of the tenant `default`.
  public void purge(String image) throws IOException {
    client.delete("/v1/images/" + image);
  }

  /// Registers a VM with memory from a snapshot, of the tenant `default`.
  ///
  /// @return the socket at which its VM manager hands the memory over
  public String registerMemory(String vm, String program, String snapshot) throws IOException {
    ObjectNode request = JSON.createObjectNode().put("vm", vm).put("program", program);
    request
        .putArray("resources")
        .addObject()
        .put("as", "memory")
        .put("type", "memory-page")
        .put("source", snapshot);
    JsonNode answer = JSON.readTree(client.post("/v1/vms", request.toString()).text());
    return answer.path("resources").path(0).path("uri").asText();
  }

  /// Has all staged that the start of a VM's program is expected to need, and waits until nothing
  /// more comes of that.
  public void allocate(String vm) throws IOException {
    String request = JSON.createObjectNode().put("vm", vm).toString();
    long id =
        JSON.readTree(client.post("/v1/allocations", request).text()).path("allocation").asLong();
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    while (JSON.readTree(client.get("/v1/allocations/" + id).text())
        .path("state")
        .asText()
        .equals("staging")) {
      if (System.nanoTime() > end) {
        throw new IOException("what " + vm + " needs does not become available");
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(2));
    }
  }

  /// Forgets a VM.
  public void remove(String vm) throws IOException {
    client.delete("/v1/vms/" + vm);
  }

  /// The VM's copy of its program starts.
  public void startProgram(String vm) throws IOException {
    client.post("/v1/vms/" + vm + "/start", "{}");
  }

  /// The VM's copy of its program ended.
  public void stopProgram(String vm) throws IOException {
    client.post("/v1/vms/" + vm + "/stop", "{}");
  }

  byte[] exportModel(String program, String tenant) throws IOException {
    return client.getBytes("/v1/models/" + program + "?tenant=" + tenant);
  }

  /// Takes a model over; returns how many runs it knows.
  int importModel(byte[] model) throws IOException {
    return JSON.readTree(client.postBytes("/v1/models", model).text()).path("runs").asInt();
  }

  /// Whether anything is staged.
  public void predicting(boolean on) throws IOException {
    client.put("/v1/predicting", "{\"on\":" + on + "}");
  }

  /// Where its disks are read.
  public Path nbdSocket(Path folder) {
    return folder.resolve("sockets").resolve("nbd.sock");
  }

  /// The host's numbers once it has reported all reads of a VM.
  public Numbers numbers(String vm, long reads) throws IOException {
    return awaitNumbers("prestage_demand_reads_total{vm=\"" + vm + "\"}", reads);
  }

  /// The process that decides and answers the API.
  public ProcessHandle controlPlane() throws IOException {
    return child("control-plane");
  }

  /// The process that serves disks and memory.
  public ProcessHandle dataPlane() throws IOException {
    return child("data-plane");
  }

  private ProcessHandle child(String command) throws IOException {
    return process
        .descendants()
        .filter(child ->
            child.info().commandLine().filter(line -> line.contains(" " + command)).isPresent())
        .findFirst()
        .orElseThrow(() -> new IOException("the host has no " + command + "; its log is " + log));
  }

  /// The host's numbers of this moment.
  public Numbers numbers() throws IOException {
    return Numbers.parse(client.get("/metrics").text());
  }

  /// The host's numbers once one of them has come to a value.
  public Numbers awaitNumbers(String name, long least) throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SETTLE_SECONDS);
    while (true) {
      Numbers numbers = Numbers.parse(client.get("/metrics").text());
      if (numbers.of(name) >= least) {
        return numbers;
      }
      if (System.nanoTime() > end) {
        throw new IOException(
            "the host reports less than " + least + " of " + name + ", which it answered");
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
    }
  }

  /// Waits until a number has fallen to zero, or is gone.
  public void awaitZero(String name) throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SETTLE_SECONDS);
    while (Numbers.parse(client.get("/metrics").text()).of(name) > 0) {
      if (System.nanoTime() > end) {
        throw new IOException("the host reports more than none of " + name);
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
    }
  }

  /// The account of all staged extents.
  public JsonNode account() throws IOException {
    return JSON.readTree(client.get("/v1/leases?limit=1").text()).path("account");
  }

  /// Metrics by their full name.
  public record Numbers(Map<String, Double> values) {
    static Numbers parse(String text) {
      Map<String, Double> values = new HashMap<>();
      for (String line : text.split("\n", -1)) {
        int space = line.lastIndexOf(' ');
        if (!line.startsWith("#") && space > 0) {
          values.put(line.substring(0, space), Double.parseDouble(line.substring(space + 1)));
        }
      }
      return new Numbers(values);
    }

    /// The sum of all numbers of a name whose labels contain a text.
    public long sum(String name, String label) {
      return Math.round(
          values.entrySet().stream()
              .filter(each -> each.getKey().startsWith(name + "{") && each.getKey().contains(label))
              .mapToDouble(Map.Entry::getValue)
              .sum());
    }

    /// The value, or 0 for what was never counted.
    public long of(String name) {
      return Math.round(values.getOrDefault(name, 0.0));
    }
  }

  /// Ends every host that this process started and that still runs, also one that begins meanwhile.
  public static void endAll() {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(STOP_SECONDS);
    List<ProcessHandle> hosts = ProcessHandle.current().children().toList();
    while (!hosts.isEmpty() && System.nanoTime() < end) {
      hosts.forEach(ProcessHandle::destroy);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
      hosts = ProcessHandle.current().children().toList();
    }
  }

  /// Processor time that the host's processes that live now have taken.
  public long cpuNanos() {
    return Stream.concat(Stream.of(process.toHandle()), process.descendants())
        .mapToLong(each -> each.info().totalCpuDuration().map(Duration::toNanos).orElse(0L))
        .sum();
  }

  /// Tells the processes to stop, without waiting.
  void askToStop() {
    process.destroy();
  }

  /// Stops the processes and waits for their end.
  @Override
  public void close() {
    client.close();
    process.destroy();
    try {
      if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
