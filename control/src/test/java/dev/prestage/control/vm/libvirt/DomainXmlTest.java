package dev.prestage.control.vm.libvirt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.GuestDisk;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.ServedDisk;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
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
          Path.of("/mnt/images/debian.raw"),
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
        DomainXml.parse(inDevices(xml, "name=\"web\" protocol", "name=\"db\" protocol"));
    assertThatThrownBy(changed::detach)
        .isInstanceOf(HypervisorException.class)
        .hasMessageContaining("was changed since");
  }

  @Test
  void aChangeOfWhateverPartOfTheDiskIsShownAndNotUndone() throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, true);
    DomainXml cached = DomainXml.parse(inDevices(xml, "cache=\"none\"", "cache=\"unsafe\""));
    assertThatThrownBy(cached::detach)
        .hasMessageContaining("was changed since it was attached")
        .hasMessageContaining("it was <driver cache='none'")
        .hasMessageContaining("and is <driver cache='unsafe'")
        .hasMessageNotContaining("\n");
    DomainXml limited =
        DomainXml.parse(written(xml).replaceFirst("<serial>", "<iotune><x>1</x></iotune><serial>"));
    assertThatThrownBy(limited::detach)
        .hasMessageContaining("it was without it and is <iotune> <x>1");

    String rearranged =
        inDevices(
            xml,
            "<driver cache=\"none\" discard=\"unmap\" name=\"qemu\" type=\"qcow2\"/>",
            "<driver type='qcow2' name='qemu'   cache='none'\n discard='unmap'/>\n\n");
    assertThat(rearranged).isNotEqualTo(written(xml));
    DomainXml.parse(rearranged).detach();

    // As an editor does that replaces a word everywhere.
    DomainXml everywhere = DomainXml.parse(written(xml).replace("discard", "discord"));
    assertThatThrownBy(everywhere::detach).hasMessageContaining("or the note about it was changed");
  }

  private static String inDevices(DomainXml xml, String part, String by) {
    String text = written(xml);
    int devices = text.indexOf("<devices>");
    String changed = text.substring(devices).replace(part, by);
    assertThat(text.substring(devices)).contains(part);
    return text.substring(0, devices) + changed;
  }

  @Test
  void aDiskOfWhichOthersOrItsOwnElementSayMoreThanAFileCannotBeAttached() {
    refuses("<serial>", "<shareable/><serial>", "<shareable/>");
    refuses("<serial>", "<transient/><serial>", "<transient/>");
    refuses("<serial>", "<encryption format='luks'/><serial>", "<encryption/>");
    refuses(
        " startupPolicy='optional'/>",
        "><encryption format='luks'/></source>",
        "<encryption> in its source");
    refuses(
        " startupPolicy='optional'/>",
        "><slices><slice type='storage' offset='0' size='512'/></slices></source>",
        "<slices> in its source");
    refuses(" startupPolicy='optional'/>", " fdgroup='disk'/>", "fdgroup");
  }

  @Test
  void aBackingStoreThatContradictsTheFilesIsRefused() throws HypervisorException {
    String backing =
        "<backingStore type='file'><format type='raw'/><source file='%s'/></backingStore><serial>";
    refuses("<serial>", backing.formatted("/mnt/images/other.raw"), "its format, raw");
    DomainXml raw = DomainXml.parse(DOMAIN.replace("<serial>", "<backingStore/><serial>"));
    raw.attach(SERVED, true);

    String overlay = DOMAIN.replace("type='raw' cache", "type='qcow2' cache");
    DomainXml same =
        DomainXml.parse(
            overlay.replace("<serial>", backing.formatted("/mnt/images/../images/debian.raw")));
    same.attach(SERVED, true);
    for (String wrong : new String[] {backing.formatted("/other.raw"), "<backingStore/><serial>"}) {
      DomainXml other = DomainXml.parse(overlay.replace("<serial>", wrong));
      assertThatThrownBy(() -> other.attach(SERVED, true))
          .hasMessageContaining("its overlay's header, which names /mnt/images/debian.raw");
    }
  }

  private static void refuses(String part, String by, String why) {
    assertThatThrownBy(() -> DomainXml.parse(DOMAIN.replace(part, by)).attach(SERVED, true))
        .isInstanceOf(HypervisorException.class)
        .hasMessageContaining("disk vda has ")
        .hasMessageContaining(why)
        .hasMessageNotContaining("\n");
  }

  @Test
  void aCopyOfAnAttachedDefinitionIsNotAttachedAndSaysHowToRemoveTheNote()
      throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, true);
    DomainXml copy =
        DomainXml.parse(
            written(xml).replaceFirst("0001</uuid>", "0002</uuid>").replace(">web<", ">copy<"));
    assertThat(copy.attachment()).isNull();
    for (ThrowingCallable call :
        List.<ThrowingCallable>of(copy::detach, () -> copy.attach(SERVED, true), copy::served)) {
      assertThatThrownBy(call)
          .hasMessageContaining("is a copy of an attached one")
          .hasMessageContaining(
              "virsh metadata copy https://prestage.dev/libvirt/attachment --remove --config")
          .hasMessageNotContaining("\n");
    }
    // It reads the image all the same.
    assertThat(copy.files((_, _) -> ""))
        .contains(new DiskFile("vda", "/mnt/images/debian.raw", false, true));
  }

  @Test
  void theFilesOfEveryKindOfDiskAreFound() throws HypervisorException {
    DomainXml xml =
        DomainXml.parse(
            DOMAIN
                .replace(
                    "<serial>",
                    "<mirror type='file' job='active-commit'><format type='raw'/><source file='/base'/></mirror><serial>")
                .replace(
                    "</devices>",
                    "<disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc'/></disk></devices>"));
    assertThat(xml.files((pool, volume) -> "/" + pool + "/" + volume))
        .containsExactly(
            new DiskFile("vda", "/mnt/images/debian.raw", true, true),
            new DiskFile("vda", "/base", true, true),
            new DiskFile("vdb", "/dev/vg/data", true, true),
            new DiskFile("vdc", "/p/v", true, false));
  }

  @Test
  void aDomainIsAttachedOnceAndADiskMustBeThere() throws HypervisorException {
    DomainXml xml = DomainXml.parse(DOMAIN);
    xml.attach(SERVED, true);
    assertThatThrownBy(() -> xml.attach(SERVED, true)).hasMessageContaining("attached already");
    ServedDisk other =
        new ServedDisk(
            new Attachment("web", "shop", "debian.raw", "vdz"),
            SERVED.image(),
            SERVED.socket(),
            SERVED.overlay());
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
