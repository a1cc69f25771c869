package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.ApiException;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Change;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.libvirt.LibvirtHypervisor;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Undoes [AttachCommand].
@Command(
    name = "detach",
    mixinStandardHelpOptions = true,
    description = {
      "Have a libvirt domain read its disk as it did before it was attached, from its next start on.",
      "Without --yes it shows what would change, and what becomes of what the guest wrote."
    })
public final class DetachCommand implements java.util.concurrent.Callable<Integer> {
  @Parameters(paramLabel = "DOMAIN", description = "The domain's name.")
  private String domain = "";

  @Mixin private LibvirtOptions libvirt = new LibvirtOptions();

  @Option(names = "--yes", description = "Do it.")
  private boolean confirmed;

  @Mixin private ApiOptions api = new ApiOptions();

  @Override
  public Integer call() throws IOException {
    try (Hypervisor hypervisor = LibvirtHypervisor.open(libvirt.uri())) {
      Guest guest = hypervisor.guest(domain);
      Attachment attachment = guest.attachment();
      if (attachment != null && guest.running()) {
        throw new IOException(
            "domain %s runs and may read its disk through Prestage: shut it down first (virsh shutdown %s)"
                .formatted(domain, domain));
      }
      Change change = hypervisor.planDetach(domain);
      System.out.print(LineDiff.of(change));
      if (!change.note().isEmpty()) {
        System.out.printf("%nnote: %s%n", change.note());
      }
      if (attachment != null && !change.note().isEmpty()) {
        checkNoOtherVm(attachment);
      }
      if (!confirmed) {
        System.out.printf(
            "%nnothing was changed yet; 'prestage detach %s --yes' does it%n", domain);
        return 0;
      }
      hypervisor.detach(domain);
      System.out.printf("%n%s is defined as it was before it was attached%n", domain);
      if (attachment != null) {
        remove(attachment.vm());
      }
    }
    return 0;
  }

  /// VMs that are no domains of this libvirt read images as well. Where Prestage does not answer,
  /// it serves nobody.
  private void checkNoOtherVm(Attachment attachment) throws IOException {
    String vms;
    try (PrestageClient client = api.client()) {
      vms = client.get("/v1/vms").text();
    } catch (IOException e) {
      System.err.println(
          "prestage: whether other VMs read the image is not known: " + e.getMessage());
      return;
    }
    for (JsonNode vm : Json.MAPPER.readTree(vms).path("vms")) {
      for (JsonNode resource : vm.path("resources")) {
        if (resource.path("source").asText().equals(attachment.image())
            && !vm.path("vm").asText().equals(attachment.vm())) {
          throw new IOException(
              "VM %s reads %s through Prestage, and %s would write to it again: 'prestage vm remove %s' first"
                  .formatted(
                      vm.path("vm").asText(), attachment.image(), domain, vm.path("vm").asText()));
        }
      }
    }
  }

  /// The domain is as it was, so a Prestage that is away is no reason to fail.
  private void remove(String vm) throws IOException {
    try (PrestageClient client = api.client()) {
      client.delete("/v1/vms/" + PrestageClient.encode(vm));
    } catch (ApiException e) {
      System.err.println("prestage: VM " + vm + " stays registered: " + e.getMessage());
    } catch (IOException e) {
      System.err.println(
          "prestage: VM "
              + vm
              + " stays registered, because Prestage does not answer ("
              + e.getMessage()
              + "); 'prestage vm remove "
              + vm
              + "' removes it");
    }
  }
}
