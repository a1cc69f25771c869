package dev.prestage.control.vm.libvirt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.GuestDisk;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.ServedDisk;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

final class DomainXmlTest {
  private static final String DOMAIN =
      """
      <domain type='kvm'>
        <name>web</name>
        <uuid>00000000-0000-0000-0000-000000000001</uuid>
        <memory unit='KiB'>65536</memory>
        <devices>
          <disk type='file' device='disk'>
            <driver name='qemu' type='raw' cache='none' discard='unmap'/>
            <source file='/mnt/images/debian.raw' startupPolicy='optional'/>
            <target dev='vda' bus='virtio'/>
            <serial>a &amp; b</serial>
          </disk>
          <disk type='file' device='cdrom'>
            <driver name='qemu' type='raw'/>
            <target dev='sda' bus='sata'/>
            <readonly/>
          </disk>
          <disk type='block' device='disk'>
            <driver name='qemu' type='raw' error_policy='report'/>
            <source dev='/dev/vg/data'/>
            <target dev='vdb' bus='virtio'/>
          </disk>
        </devices>
      </domain>
      """;

  private static final ServedDisk SERVED =
      new ServedDisk(
          new Attachment("web", "shop", "debian.raw", "vda"),
          Path.of("/run/prestage/nbd.sock"),
          Path.of("/mnt/images/web.prestage-1.qcow2"));

  private static String written(DomainXml xml) {
    return xml.toString();
  }

  @Test
  void disksAreThoseThatAGuestCallsDisks() throws HypervisorException {
    assertThat(DomainXml.parse(DOMAIN).disks())
        .containsExactly(
            new GuestDisk("vda", "raw", "/mnt/images/debian.raw", false),
            new GuestDisk("vdb", "raw", "", false));
  }

  @Test
  void anAttachedDiskIsAnOverlayOfOurExportAndKeepsWhatElseWasSaidOfIt()
      throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, true);
    assertThat(written(xml))
        .contains(
            "<driver cache=\"none\" discard=\"unmap\" name=\"qemu\" type=\"qcow2\"/>",
            "<source file=\"/mnt/images/web.prestage-1.qcow2\"/>",
            "<source name=\"web\" protocol=\"nbd\">",
            "<host socket=\"/run/prestage/nbd.sock\" transport=\"unix\"/>",
            "<reconnect delay=\"60\"/>",
            "<serial>a &amp; b</serial>");
    assertThat(DomainXml.parse(written(xml)).attachment()).isEqualTo(SERVED.attachment());
  }

  @Test
  void whatWasAttachedAndDetachedIsAsItWas() throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    String before = written(xml);
    xml.attach(SERVED, false);
    DomainXml again = DomainXml.parse(written(xml));
    again.detach();
    assertThat(written(again)).isEqualTo(before);
  }

  @Test
  void otherMetadataStays() throws HypervisorException {
    String labelled =
        DOMAIN.replace(
            "  <memory",
            "  <metadata>\n    <p:program xmlns:p=\""
                + DomainXml.PROGRAM
                + "\" name=\"shop\"/>\n  </metadata>\n  <memory");
    DomainXml xml = DomainXml.parse(labelled);
    String before = written(xml);
    assertThat(xml.program()).isEqualTo("shop");
    xml.attach(SERVED, true);
    DomainXml again = DomainXml.parse(written(xml));
    assertThat(again.program()).isEqualTo("shop");
    again.detach();
    assertThat(written(again)).isEqualTo(before);
  }

  @Test
  void withoutAReconnectDelayErrorsPauseTheGuestUnlessTheDomainSaysWhatTheyDo()
      throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, false);
    assertThat(written(xml)).contains("error_policy=\"stop\"", "rerror_policy=\"stop\"");

    DomainXml asking =
        DomainXml.parse(DOMAIN.replace("cache='none'", "cache='none' error_policy='report'"));
    asking.attach(SERVED, false);
    assertThat(written(asking)).doesNotContain("=\"stop\"");
  }

  @Test
  void aDiskThatWasChangedSinceIsLeftAlone() throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, true);
    DomainXml changed =
        DomainXml.parse(written(xml).replace("name=\"web\" protocol", "name=\"db\" protocol"));
    assertThatThrownBy(changed::detach)
        .isInstanceOf(HypervisorException.class)
        .hasMessageContaining("was changed since");
  }

  @Test
  void aDomainIsAttachedOnceAndADiskMustBeThere() throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, true);
    assertThatThrownBy(() -> xml.attach(SERVED, true)).hasMessageContaining("attached already");
    ServedDisk other =
        new ServedDisk(
            new Attachment("web", "shop", "debian.raw", "vdz"), SERVED.socket(), SERVED.overlay());
    assertThatThrownBy(() -> DomainXml.parse(DOMAIN).attach(other, true))
        .hasMessageContaining("no disk 'vdz'");
  }

  @Test
  void aDefinitionThatNamesOutsideFilesIsRefused() {
    assertThatThrownBy(() ->
            DomainXml.parse(
                "<!DOCTYPE d [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><domain>&e;</domain>"))
        .isInstanceOf(HypervisorException.class);
  }
}
