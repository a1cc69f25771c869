package dev.prestage.control.vm.libvirt;

import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.GuestDisk;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.ServedDisk;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.BinaryOperator;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/// A domain's definition. What is attached, and the disk's element as it was before and as it was
/// made, stand in a note in the domain's own metadata: they go where the domain goes, and need no
/// file of ours. The note has the domain's UUID: in a copy of the definition it says nothing.
///
/// An attached disk is a qcow2 overlay whose backing store is an NBD export on a unix socket. The
/// chain is written down whole (`backingStore`), so libvirt takes it instead of what the overlay's
/// header says: the header names the image itself, and the overlay can be used without us.
final class DomainXml {
  /// The namespace of what is attached.
  static final String ATTACHMENT = "https://prestage.dev/libvirt/attachment";

  /// The namespace of a label that an administrator may give: `<prestage:program name="…"/>`.
  static final String PROGRAM = "https://prestage.dev/libvirt/program";

  /// What the manuals' recipes give a guest to connect again.
  private static final String RECONNECT_SECONDS = "60";

  /// The parts of the note: the disk's element before, and as it was made.
  private static final String BEFORE = "prestage:before";

  private static final String AFTER = "prestage:after";

  private final Document document;
  private final Element domain;

  private DomainXml(Document document) {
    this.document = document;
    this.domain = document.getDocumentElement();
  }

  static DomainXml parse(String xml) throws HypervisorException {
    return new DomainXml(Xml.parse(xml));
  }

  /// What is attached, or null.
  @Nullable Attachment attachment() {
    Element note = metadata(ATTACHMENT);
    return note == null || !isOwn(note)
        ? null
        : new Attachment(
            note.getAttribute("vm"),
            note.getAttribute("program"),
            note.getAttribute("image"),
            note.getAttribute("disk"));
  }

  /// Whether the note was written for this domain, and not for one of which this is a copy.
  private boolean isOwn(Element note) {
    return note.getAttribute("uuid").equals(uuid());
  }

  private String uuid() {
    Element uuid = Xml.child(domain, "uuid");
    return uuid == null ? "" : uuid.getTextContent().strip();
  }

  private String name() {
    Element name = Xml.child(domain, "name");
    return name == null ? "" : name.getTextContent().strip();
  }

  /// The note of this domain, or null if there is none.
  ///
  /// @throws HypervisorException if there is one of another domain
  private @Nullable Element note() throws HypervisorException {
    Element note = metadata(ATTACHMENT);
    if (note != null && !isOwn(note)) {
      throw new HypervisorException(
          "domain %s is a copy of an attached one, and is not attached itself: remove the note with 'virsh metadata %s %s --remove --config', and the <backingStore> of disk %s with 'virsh edit %s'"
              .formatted(name(), name(), ATTACHMENT, note.getAttribute("disk"), name()));
    }
    return note;
  }

  /// The program that a label names, or empty.
  String program() {
    Element label = metadata(PROGRAM);
    return label == null ? "" : label.getAttribute("name");
  }

  /// The disks, without CD-ROMs and floppies.
  List<GuestDisk> disks() {
    List<GuestDisk> disks = new ArrayList<>();
    for (Element disk : diskElements()) {
      disks.add(
          new GuestDisk(
              target(disk),
              format(disk),
              Xml.attribute(Xml.child(disk, "source"), "file"),
              Xml.child(disk, "readonly") != null));
    }
    return disks;
  }

  private static String format(Element disk) {
    String type = Xml.attribute(Xml.child(disk, "driver"), "type");
    return type.isEmpty() ? "raw" : type;
  }

  /// The files of all disks, CD-ROMs and floppies, those that they are said to rest on, and the
  /// image that a note names, be it this domain's or not.
  ///
  /// @param volumes finds the path of a pool's volume; empty if there is none
  List<DiskFile> files(BinaryOperator<String> volumes) {
    List<DiskFile> files = new ArrayList<>();
    for (Element disk : Xml.elements(Xml.child(domain, "devices"))) {
      if (disk.getTagName().equals("disk")) {
        boolean written =
            Xml.child(disk, "readonly") == null && !disk.getAttribute("device").equals("cdrom");
        addFile(files, disk, target(disk), written, volumes);
      }
    }
    Element note = metadata(ATTACHMENT);
    String image = Xml.attribute(note, "file");
    if (note != null && !image.isEmpty()) {
      files.add(new DiskFile(note.getAttribute("disk"), image, false, true));
    }
    return files;
  }

  /// Adds the file of a disk, of a copy that is being made of it, or of what it rests on.
  private static void addFile(
      List<DiskFile> files,
      Element of,
      String target,
      boolean written,
      BinaryOperator<String> volumes) {
    Element source = Xml.child(of, "source");
    String path = Xml.attribute(source, "file");
    if (path.isEmpty()) {
      path = Xml.attribute(source, "dev");
    }
    String volume = Xml.attribute(source, "volume");
    if (path.isEmpty() && !volume.isEmpty()) {
      path = volumes.apply(Xml.attribute(source, "pool"), volume);
    }
    if (!path.isEmpty()) {
      boolean raw =
          Xml.attribute(Xml.child(of, "driver"), "type").equals("raw")
              || Xml.attribute(Xml.child(of, "format"), "type").equals("raw");
      files.add(new DiskFile(target, path, written, raw));
    }
    Element backing = Xml.child(of, "backingStore");
    if (backing != null) {
      addFile(files, backing, target, false, volumes);
    }
    // An active commit writes to what the disk rests on, and a copy to the copy.
    Element mirror = Xml.child(of, "mirror");
    if (mirror != null) {
      addFile(files, mirror, target, true, volumes);
    }
  }

  /// Has the disk's element read from here.
  ///
  /// @param reconnects whether this libvirt hands the reconnect delay on to QEMU. Where it does
  ///   not, a guest whose read fails while the server is restarted is paused, which can be undone,
  ///   in place of getting an I/O error, which cannot; unless the domain asks for something else.
  void attach(ServedDisk served, boolean reconnects) throws HypervisorException {
    Attachment attachment = served.attachment();
    if (note() != null) {
      throw new HypervisorException("the domain is attached already; detach it first");
    }
    Element disk = disk(attachment.disk());
    Element source = Xml.child(disk, "source");
    if (source == null) {
      throw new HypervisorException("disk " + attachment.disk() + " has no source");
    }
    checkCanBeAttached(disk, source, served.image());
    final String original = Xml.text(disk);
    disk.setAttribute("type", "file");
    Element driver = Xml.child(disk, "driver");
    if (driver == null) {
      driver = document.createElement("driver");
      driver.setAttribute("name", "qemu");
      disk.insertBefore(driver, disk.getFirstChild());
    }
    driver.setAttribute("type", "qcow2");
    if (!reconnects && !saysWhatErrorsDo(driver)) {
      driver.setAttribute("error_policy", "stop");
      driver.setAttribute("rerror_policy", "stop");
    }
    Element before = Xml.child(disk, "backingStore");
    if (before != null) {
      disk.removeChild(before);
    }
    // What else the element says is for the file that it named.
    Element file = document.createElement("source");
    file.setAttribute("file", served.overlay().toString());
    disk.replaceChild(file, source);
    insertAfter(file, backing(served));
    write(served, original);
    acceptAsAttached();
  }

  /// What an overlay in the disk's place would change for others, or would make of other bytes than
  /// the guest saw.
  private static void checkCanBeAttached(Element disk, Element source, Path image)
      throws HypervisorException {
    String what = "disk " + target(disk);
    for (String word : List.of("shareable", "transient", "encryption")) {
      if (Xml.child(disk, word) != null) {
        throw new HypervisorException(cannot(what, "<" + word + "/>"));
      }
    }
    for (String word : List.of("encryption", "slices")) {
      if (Xml.child(source, word) != null) {
        throw new HypervisorException(cannot(what, "<" + word + "> in its source"));
      }
    }
    if (source.hasAttribute("fdgroup")) {
      throw new HypervisorException(cannot(what, "a source with fdgroup"));
    }
    Element backing = Xml.child(disk, "backingStore");
    if (backing == null) {
      return;
    }
    boolean raw = format(disk).equals("raw");
    boolean none = Xml.elements(backing).isEmpty();
    String file = Xml.attribute(Xml.child(backing, "source"), "file");
    boolean rawImage =
        Xml.attribute(Xml.child(backing, "format"), "type").equals("raw")
            && !file.isEmpty()
            && ImageUsers.same(Path.of(file), image);
    if (raw != none || (!none && !rawImage)) {
      throw new HypervisorException(
          "%s has a <backingStore> that contradicts %s: remove it with 'virsh edit' if it is wrong"
              .formatted(
                  what, raw ? "its format, raw" : "its overlay's header, which names " + image));
    }
  }

  private static String cannot(String what, String has) {
    return what + " has " + has + ", and such disks cannot be attached: leave it as it is";
  }

  /// Takes the disk as it stands as what was made of it: libvirt writes a definition in its own
  /// way.
  void acceptAsAttached() throws HypervisorException {
    Element note = note();
    Element made = note == null ? null : Xml.child(note, AFTER);
    if (note == null || made == null) {
      throw new HypervisorException("the domain's definition lost its note: libvirt dropped it");
    }
    Element disk = disk(note.getAttribute("disk"));
    made.setTextContent(Xml.text(disk));
    note.setAttribute("digest", digest(note, disk));
  }

  private static boolean saysWhatErrorsDo(Element driver) {
    return driver.hasAttribute("error_policy") || driver.hasAttribute("rerror_policy");
  }

  private Element backing(ServedDisk served) {
    Element backing = document.createElement("backingStore");
    backing.setAttribute("type", "network");
    Element format = add(backing, "format", 8);
    format.setAttribute("type", "raw");
    Element source = add(backing, "source", 8);
    source.setAttribute("protocol", "nbd");
    source.setAttribute("name", served.attachment().vm());
    Element host = add(source, "host", 10);
    host.setAttribute("transport", "unix");
    host.setAttribute("socket", served.socket().toString());
    add(source, "reconnect", 10).setAttribute("delay", RECONNECT_SECONDS);
    indent(source, 8);
    Element _ = add(backing, "backingStore", 8);
    indent(backing, 6);
    return backing;
  }

  /// Puts back what was there before [#attach].
  void detach() throws HypervisorException {
    Element note = attached();
    Element disk = disk(note.getAttribute("disk"));
    checkIsAsMade(note, disk);
    Node parent = disk.getParentNode();
    if (parent != null) {
      parent.replaceChild(document.importNode(before(note), true), disk);
    }
    remove(note);
  }

  /// The image that is read, and may be written to again after [#detach].
  ServedImage served() throws HypervisorException {
    Element note = attached();
    Element before = before(note);
    String overlay = Xml.attribute(Xml.child(disk(note.getAttribute("disk")), "source"), "file");
    String file = Xml.attribute(Xml.child(before, "source"), "file");
    return new ServedImage(
        note.getAttribute("disk"),
        Path.of(note.getAttribute("file")),
        overlay,
        !file.equals(overlay),
        !file.equals(overlay) && Xml.child(before, "readonly") == null);
  }

  /// What is served to an attached domain.
  ///
  /// @param disk what the guest calls the disk
  /// @param overlay what the guest writes to
  /// @param leavesOverlay whether the disk will be without the overlay when it is detached
  /// @param writtenAgain whether the guest will write to the image when it is detached
  record ServedImage(
      String disk, Path image, String overlay, boolean leavesOverlay, boolean writtenAgain) {}

  private Element attached() throws HypervisorException {
    Element note = note();
    if (note == null) {
      throw new HypervisorException("domain " + name() + " is not attached");
    }
    return note;
  }

  private static Element before(Element note) throws HypervisorException {
    return Xml.parse(content(note, BEFORE)).getDocumentElement();
  }

  private static String content(Element note, String name) throws HypervisorException {
    Element child = Xml.child(note, name);
    if (child == null) {
      throw new HypervisorException(
          "the note in the domain's metadata is not whole; edit the domain by hand");
    }
    return child.getTextContent();
  }

  /// Undoing would also undo what somebody else did since.
  private static void checkIsAsMade(Element note, Element disk) throws HypervisorException {
    if (digest(note, disk).equals(note.getAttribute("digest"))) {
      return;
    }
    // An edit of the whole text changes the note as well, so the digest decides and not this text.
    List<String> made = Xml.lines(Xml.parse(content(note, AFTER)).getDocumentElement());
    List<String> is = Xml.lines(disk);
    throw new HypervisorException(
        made.equals(is)
            ? "disk %s or the note about it was changed since it was attached, and stays as it is; edit the domain by hand"
                .formatted(target(disk))
            : "disk %s was changed since it was attached, and stays as it is: it was %s and is %s; put that back, or edit the domain by hand"
                .formatted(target(disk), without(made, is), without(is, made)));
  }

  /// Of the disk as it stands and of what is put back in its place.
  private static String digest(Element note, Element disk) throws HypervisorException {
    String text = content(note, BEFORE) + "\n" + String.join("\n", Xml.lines(disk));
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String without(List<String> lines, List<String> others) {
    List<String> left = lines.stream().filter(line -> !others.contains(line)).toList();
    return left.isEmpty()
        ? "without it"
        : String.join(" ", left.stream().map(String::strip).toList());
  }

  /// Removes an element of the metadata with the space before it, and the metadata if that is empty
  /// then.
  private void remove(Element written) {
    Node metadata = written.getParentNode();
    removeWithSpace(written);
    if (metadata != null && Xml.elements(metadata).isEmpty()) {
      removeWithSpace(metadata);
    }
  }

  private static void removeWithSpace(Node node) {
    Node before = node.getPreviousSibling();
    Node parent = node.getParentNode();
    if (parent == null) {
      return;
    }
    if (before != null && before.getNodeType() == Node.TEXT_NODE) {
      parent.removeChild(before);
    }
    parent.removeChild(node);
  }

  private void write(ServedDisk served, String before) {
    Attachment attachment = served.attachment();
    Element metadata = Xml.child(domain, "metadata");
    if (metadata == null) {
      metadata = document.createElement("metadata");
      Element name = Xml.child(domain, "uuid");
      if (name == null) {
        name = Xml.child(domain, "name");
      }
      if (name == null) {
        domain.appendChild(metadata);
      } else {
        insertAfter(name, metadata);
      }
      metadata.appendChild(document.createTextNode("\n  "));
    }
    Element written = document.createElementNS(ATTACHMENT, "prestage:attachment");
    written.setAttribute("vm", attachment.vm());
    written.setAttribute("program", attachment.program());
    written.setAttribute("image", attachment.image());
    written.setAttribute("disk", attachment.disk());
    written.setAttribute("file", served.image().toAbsolutePath().toString());
    written.setAttribute("uuid", uuid());
    addText(written, BEFORE, before);
    addText(written, AFTER, "");
    Node last = metadata.getLastChild();
    metadata.insertBefore(document.createTextNode("\n    "), last);
    metadata.insertBefore(written, last);
  }

  private void addText(Element note, String name, String text) {
    Element element = document.createElementNS(ATTACHMENT, name);
    element.setTextContent(text);
    note.appendChild(element);
  }

  // ---- finding and making elements

  private @Nullable Element metadata(String namespace) {
    for (Element element : Xml.elements(Xml.child(domain, "metadata"))) {
      if (namespace.equals(element.getNamespaceURI())) {
        return element;
      }
    }
    return null;
  }

  private List<Element> diskElements() {
    return Xml.elements(Xml.child(domain, "devices")).stream()
        .filter(element -> element.getTagName().equals("disk"))
        .filter(disk -> List.of("", "disk").contains(disk.getAttribute("device")))
        .toList();
  }

  private Element disk(String target) throws HypervisorException {
    for (Element disk : diskElements()) {
      if (target(disk).equals(target)) {
        return disk;
      }
    }
    throw new HypervisorException("the domain has no disk '" + target + "'");
  }

  private static String target(Element disk) {
    Element target = Xml.child(disk, "target");
    return target == null ? "" : target.getAttribute("dev");
  }

  private Element add(Element parent, String name, int indent) {
    Element element = document.createElement(name);
    indent(parent, indent);
    parent.appendChild(element);
    return element;
  }

  private void indent(Element parent, int indent) {
    parent.appendChild(document.createTextNode("\n" + " ".repeat(indent)));
  }

  /// Inserts an element with the space that stands before the other one.
  private void insertAfter(Element other, Element element) {
    Node parent = other.getParentNode();
    if (parent == null) {
      return;
    }
    Node space = other.getPreviousSibling();
    Node next = other.getNextSibling();
    if (space != null && space.getNodeType() == Node.TEXT_NODE) {
      parent.insertBefore(space.cloneNode(true), next);
    }
    parent.insertBefore(element, next);
  }

  // ---- text

  /// The whole definition.
  @Override
  public String toString() {
    return Xml.text(domain) + "\n";
  }
}
