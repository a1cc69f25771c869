package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.client.ApiException;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Change;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestDisk;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.ServedDisk;
import dev.prestage.control.vm.libvirt.LibvirtHypervisor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Has a libvirt domain read its disk through Prestage from its next start on.
@Command(
    name = "attach",
    mixinStandardHelpOptions = true,
    description = {
      "Have a libvirt domain read its disk through Prestage from its next start on.",
      "Without --yes it shows what would change. What the guest writes goes to a qcow2 overlay;"
          + " its image is not written to any more."
    })
public final class AttachCommand implements java.util.concurrent.Callable<Integer> {
  @Parameters(paramLabel = "DOMAIN", description = "The domain's name.")
  private String domain = "";

  @Mixin private LibvirtOptions libvirt = new LibvirtOptions();

  @Option(names = "--disk", description = "Which disk, such as vda. Default: the only one.")
  private @Nullable String disk;

  @Option(
      names = "--program",
      description = "The program that it runs. Default: what its label says, else its name.")
  private @Nullable String program;

  @Option(names = "--vm", description = "The VM's name with Prestage. Default: the domain's.")
  private @Nullable String vm;

  @Option(
      names = "--overlays",
      paramLabel = "FOLDER",
      description = "Where an overlay is made if one is needed. Default: beside the image.")
  private @Nullable Path overlays;

  @Option(names = "--yes", description = "Do it.")
  private boolean confirmed;

  @Mixin private ApiOptions api = new ApiOptions();

  @Override
  public Integer call() throws IOException {
    try (Hypervisor hypervisor = LibvirtHypervisor.open(libvirt.uri());
        PrestageClient client = api.client()) {
      Guest guest = hypervisor.guest(domain);
      Attachment before = guest.attachment();
      if (before != null) {
        throw new IOException(
            "domain %s is attached already: %s is %s; 'prestage detach %s' undoes it"
                .formatted(domain, before.disk(), before.image(), domain));
      }
      if (!guest.persistent()) {
        throw new IOException(
            "domain "
                + domain
                + " is transient: it has no definition that could be changed; define it first");
      }
      GuestDisk chosen = chosen(hypervisor.disks(domain));
      JsonNode host = Json.MAPPER.readTree(client.get("/v1/host").text());
      DiskFiles files = DiskFiles.of(domain, chosen, host.path("origins"), overlays);
      if (files.isWrittenTo() && guest.running()) {
        throw new IOException(
            "domain %s runs and may write to %s, which must not change any more: shut it down first"
                    .formatted(domain, files.image())
                + " (virsh shutdown "
                + domain
                + ")");
      }
      String label = hypervisor.program(domain);
      Attachment attachment =
          new Attachment(
              vm == null ? domain : vm,
              program != null ? program : label.isEmpty() ? domain : label,
              files.image().getFileName() + "",
              chosen.target());
      ServedDisk served =
          new ServedDisk(
              attachment,
              files.image().toAbsolutePath(),
              Path.of(host.path("nbdSocket").asText()),
              files.overlay());
      Change change = hypervisor.plan(domain, served);
      System.out.print(LineDiff.of(change));
      if (!change.note().isEmpty()) {
        System.out.printf("%nnote: %s%n", change.note());
      }
      if (!confirmed) {
        System.out.printf(
            "%nnothing was changed yet; 'prestage attach %s --yes' with the same options does it%n",
            domain);
        return 0;
      }
      attach(hypervisor, client, served, files);
      System.out.printf(
          "%n%s: %s is %s through Prestage, as VM %s of program %s; writes go to %s%n",
          domain,
          chosen.target(),
          attachment.image(),
          attachment.vm(),
          attachment.program(),
          files.overlay());
      System.out.printf(
          "it holds from the domain's next start; 'prestage detach %s' undoes it%n", domain);
      return 0;
    }
  }

  /// Registers, then redefines; what fails in the middle is undone.
  private void attach(
      Hypervisor hypervisor, PrestageClient client, ServedDisk served, DiskFiles files)
      throws IOException {
    Attachment attachment = served.attachment();
    ObjectNode request = Json.MAPPER.createObjectNode();
    request.put("vm", attachment.vm()).put("program", attachment.program());
    request.put("image", attachment.image());
    boolean wasRegistered = isRegistered(client, attachment.vm());
    client.post("/v1/vms", request.toString());
    Overlay made = null;
    try {
      if (files.isWrittenTo()) {
        made = files.makeOverlay();
      }
      hypervisor.attach(domain, served);
    } catch (IOException e) {
      undo(hypervisor, client, wasRegistered ? null : attachment.vm(), made, e);
      throw e;
    }
  }

  private static boolean isRegistered(PrestageClient client, String vm) throws IOException {
    try {
      return client.get("/v1/vms/" + PrestageClient.encode(vm)).status() == 200;
    } catch (ApiException e) {
      if (e.status() == 404) {
        return false;
      }
      throw e;
    }
  }

  /// Takes back what this command made, unless the domain is attached all the same, as when only
  /// the answer was lost: then it needs them.
  ///
  /// @param vm the VM that this command registered, or null if it was registered before
  private void undo(
      Hypervisor hypervisor,
      PrestageClient client,
      @Nullable String vm,
      @Nullable Overlay made,
      IOException failed) {
    try {
      if (hypervisor.guest(domain).attachment() != null) {
        return;
      }
    } catch (IOException e) {
      System.err.printf(
          "prestage: whether %s is attached is not known (%s), so nothing is undone; 'prestage attach %s' says it once libvirt answers%n",
          domain, e.getMessage(), domain);
      return;
    }
    try {
      if (vm != null) {
        client.delete("/v1/vms/" + PrestageClient.encode(vm));
      }
    } catch (IOException e) {
      failed.addSuppressed(e);
      System.err.printf("prestage: VM %s stays registered: %s%n", vm, e.getMessage());
    }
    try {
      if (made != null) {
        made.remove();
      }
    } catch (IOException e) {
      failed.addSuppressed(e);
    }
  }

  private GuestDisk chosen(List<GuestDisk> disks) throws IOException {
    String names = String.join(", ", disks.stream().map(GuestDisk::target).toList());
    if (disk == null) {
      if (disks.size() == 1) {
        return disks.getFirst();
      }
      throw new IOException(
          disks.isEmpty()
              ? "domain " + domain + " has no disk"
              : "domain " + domain + " has several disks; choose one with --disk: " + names);
    }
    for (GuestDisk one : disks) {
      if (one.target().equals(disk)) {
        return one;
      }
    }
    throw new IOException("domain " + domain + " has no disk " + disk + "; it has " + names);
  }
}
