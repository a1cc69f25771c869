package dev.prestage.cli.command;

import dev.prestage.client.ApiException;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.libvirt.LibvirtHypervisor;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Undoes [AttachCommand].
@Command(
    name = "detach",
    mixinStandardHelpOptions = true,
    description =
        "Have a libvirt domain read its disk as it did before it was attached, from its next start on.")
public final class DetachCommand implements java.util.concurrent.Callable<Integer> {
  @Parameters(paramLabel = "DOMAIN", description = "The domain's name.")
  private String domain = "";

  @Mixin private LibvirtOptions libvirt = new LibvirtOptions();
  @Mixin private ApiOptions api = new ApiOptions();

  @Override
  public Integer call() throws IOException {
    try (Hypervisor hypervisor = LibvirtHypervisor.open(libvirt.uri())) {
      Guest guest = hypervisor.guest(domain);
      Attachment attachment = guest.attachment();
      if (attachment == null) {
        throw new IOException("domain " + domain + " is not attached");
      }
      if (guest.running()) {
        throw new IOException(
            "domain %s runs and may read its disk through Prestage: shut it down first (virsh shutdown %s)"
                .formatted(domain, domain));
      }
      String overlay =
          hypervisor.disks(domain).stream()
              .filter(disk -> disk.target().equals(attachment.disk()))
              .map(disk -> disk.source())
              .findFirst()
              .orElse("");
      System.out.print(LineDiff.of(hypervisor.planDetach(domain)));
      hypervisor.detach(domain);
      String after =
          hypervisor.disks(domain).stream()
              .filter(disk -> disk.target().equals(attachment.disk()))
              .map(disk -> disk.source())
              .findFirst()
              .orElse("");
      System.out.printf("%n%s is defined as it was before it was attached%n", domain);
      if (!after.equals(overlay)) {
        System.out.printf(
            "what it wrote meanwhile lies in %s: 'qemu-img commit %s' puts it into the image%n",
            overlay, overlay);
      }
      remove(attachment.vm());
    }
    return 0;
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
