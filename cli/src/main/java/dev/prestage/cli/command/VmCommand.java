package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// The VMs of a host.
@Command(
    name = "vm",
    description = "Register, list and remove VMs, and say when their programs start and stop.")
public final class VmCommand {
  @Command(description = "Register a VM; prints where its disk is served.")
  int add(
      @Parameters(paramLabel = "VM", description = "The VM's name.") String vm,
      @Option(names = "--program", required = true, description = "The program that it runs.")
          String program,
      @Option(
              names = "--image",
              required = true,
              description = "Its image's file name at the origin.")
          String image,
      @Option(names = "--tenant", description = "Whose it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    ObjectNode request = Json.MAPPER.createObjectNode();
    request.put("vm", vm).put("program", program).put("image", image);
    if (tenant != null) {
      request.put("tenant", tenant);
    }
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.post("/v1/vms", request.toString()).text());
      if (answer != null) {
        System.out.println(answer.path("uri").asText());
        if (answer.hasNonNull("tcpUri")) {
          System.out.println(answer.path("tcpUri").asText());
        }
      }
    }
    return 0;
  }

  @Command(description = "List the VMs.")
  int list(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.get("/v1/vms").text());
      if (answer != null) {
        Table table = new Table("VM", "TENANT", "PROGRAM", "IMAGE", "SIZE", "RUNS", "URI");
        for (JsonNode vm : answer.path("vms")) {
          table.row(
              vm.path("vm").asText(),
              vm.path("tenant").asText(),
              vm.path("program").asText(),
              vm.path("image").asText(),
              Table.size(vm.path("imageBytes").asLong()),
              vm.path("running").asBoolean() ? "yes" : "no",
              vm.path("uri").asText());
        }
        table.print(System.out);
      }
    }
    return 0;
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
