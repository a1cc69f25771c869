package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;

/// The VMs of a host.
@Command(
    name = "vm",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "Register, list and remove VMs, and say when their programs start and stop.")
public final class VmCommand {
  private static final Pattern RESOURCE = Pattern.compile("([^=]+)=([^:]+):(.+)");

  @Command(description = "Register a VM; prints where what it is bound to is served.")
  int add(
      @Parameters(paramLabel = "VM", description = "The VM's name.") String vm,
      @Option(names = "--program", required = true, description = "The program that it runs.")
          String program,
      @Option(
              names = {"--disk", "--image"},
              paramLabel = "IMAGE",
              description =
                  "A disk: its image's file name at the origin. Repeated, the disks are disk0, disk1"
                      + " and so on.")
          @Nullable List<String> disks,
      @Option(
              names = "--resource",
              paramLabel = "AS=TYPE:SOURCE",
              description =
                  "Anything else, or a disk under another name: data=file-block:data.raw,"
                      + " db=network-connection:HOST:PORT, link=io-bandwidth:ORIGIN,"
                      + " memory=memory-page:SNAPSHOT, or memory=memory-page:mapped:SNAPSHOT for"
                      + " a file that the VM manager maps.")
          @Nullable List<String> resources,
      @Option(names = "--tenant", description = "Whose it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    ObjectNode request = Json.MAPPER.createObjectNode();
    request.put("vm", vm).put("program", program);
    ArrayNode wanted = request.putArray("resources");
    for (String disk : disks == null ? List.<String>of() : disks) {
      resource(wanted, "disk" + wanted.size(), "file-block", disk);
    }
    for (String resource : resources == null ? List.<String>of() : resources) {
      Matcher parts = RESOURCE.matcher(resource);
      if (!parts.matches()) {
        System.err.println(
            "prestage: --resource takes AS=TYPE:SOURCE, such as data=file-block:data.raw, not '"
                + resource
                + "'");
        return 2;
      }
      resource(wanted, parts.group(1), parts.group(2), parts.group(3));
    }
    if (wanted.isEmpty()) {
      System.err.println("prestage: a VM needs at least one disk: --disk IMAGE");
      return 2;
    }
    if (tenant != null) {
      request.put("tenant", tenant);
    }
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.post("/v1/vms", request.toString()).text());
      if (answer != null) {
        for (JsonNode resource : answer.path("resources")) {
          System.out.println(resource.path("uri").asText());
          if (resource.hasNonNull("tcpUri")) {
            System.out.println(resource.path("tcpUri").asText());
          }
        }
      }
    }
    return 0;
  }

  private static void resource(ArrayNode to, String as, String type, String source) {
    to.addObject().put("as", as).put("type", type).put("source", source);
  }

  @Command(description = "List the VMs.")
  int list(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.get("/v1/vms").text());
      if (answer != null) {
        Table table =
            new Table(
                "VM", "TENANT", "PROGRAM", "AS", "SOURCE", "SIZE", "HERE", "RUNS", "SERVED", "URI");
        for (JsonNode vm : answer.path("vms")) {
          JsonNode resources = vm.path("resources");
          if (resources.isEmpty()) {
            row(table, vm, "", "", "", "", "", "");
          }
          for (JsonNode resource : resources) {
            row(
                table,
                vm,
                resource.path("as").asText(),
                resource.path("source").asText(),
                size(resource),
                here(resource.path("fill")),
                resource.path("served").asBoolean() ? "yes" : "no",
                resource.path("uri").asText());
          }
        }
        table.print(System.out);
      }
    }
    return 0;
  }

  private static void row(
      Table table,
      JsonNode vm,
      String as,
      String source,
      String size,
      String here,
      String served,
      String uri) {
    table.row(
        vm.path("vm").asText(),
        vm.path("tenant").asText(),
        vm.path("program").asText(),
        as,
        source,
        size,
        here,
        vm.path("running").asBoolean() ? "yes" : "no",
        served,
        uri);
  }

  /// How much of a disk that is filled is on this host. It is all of it only if it is complete.
  private static String here(JsonNode fill) {
    if (!fill.isObject()) {
      return "";
    }
    if (fill.path("complete").asBoolean()) {
      return "complete";
    }
    double percent = 100.0 * fill.path("heldBytes").asLong() / fill.path("totalBytes").asLong(1);
    return "%d %%".formatted((int) Math.min(99, percent));
  }

  private static String size(JsonNode resource) {
    long amount = resource.path("amount").asLong();
    String measure = resource.path("measure").asText();
    return switch (measure) {
      case "bytes" -> Table.size(amount);
      case "bytes-per-second" -> Table.size(amount) + "/s";
      default -> amount + " " + measure;
    };
  }

  @Command(
      description =
          "Forget a VM: its disk is no longer served. Refused while the disk has open NBD connections.")
  int remove(
      @Parameters(paramLabel = "VM") String vm,
      @Option(
              names = "--force",
              description =
                  "Close its disk's connections; a guest that still runs gets I/O errors.")
          boolean force,
      @Mixin ApiOptions api)
      throws IOException {
    try (PrestageClient client = api.client()) {
      client.delete("/v1/vms/" + PrestageClient.encode(vm) + (force ? "?force=true" : ""));
    }
    return 0;
  }

  @Command(description = "The VM's copy of its program starts now.")
  int start(@Parameters(paramLabel = "VM") String vm, @Mixin ApiOptions api) throws IOException {
    return tell(vm, "start", api);
  }

  @Command(description = "The VM's copy of its program ended; its run is learnt.")
  int stop(@Parameters(paramLabel = "VM") String vm, @Mixin ApiOptions api) throws IOException {
    return tell(vm, "stop", api);
  }

  private static int tell(String vm, String what, ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      api.parsed(client.post("/v1/vms/" + PrestageClient.encode(vm) + "/" + what, "{}").text());
    }
    return 0;
  }
}
