package dev.prestage.control.vm.libvirt;

import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.GuestDisk;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.ServedDisk;
import java.io.StringReader;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import javax.xml.XMLConstants;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerException;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.InputSource;
import org.xml.sax.helpers.DefaultHandler;

/// A domain's definition. What is attached, and the disk's element as it was before, stand in the
/// domain's own metadata: they go where the domain goes, and need no file of ours.
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

  private final Document document;
  private final Element domain;

  private DomainXml(Document document) {
    this.document = document;
    this.domain = document.getDocumentElement();
  }

  static DomainXml parse(String xml) throws HypervisorException {
    return new DomainXml(document(xml));
  }

  private static Document document(String xml) throws HypervisorException {
    try {
      DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
      factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
      factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
      factory.setNamespaceAware(true);
      DocumentBuilder builder = factory.newDocumentBuilder();
      // What is wrong is thrown; the JDK would write it to standard error as well.
      builder.setErrorHandler(new DefaultHandler());
      return builder.parse(new InputSource(new StringReader(xml)));
    } catch (Exception e) {
      throw new HypervisorException("the domain's definition cannot be read: " + e.getMessage());
    }
  }

  /// What is attached, or null.
  @Nullable Attachment attachment() {
    Element written = metadata(ATTACHMENT);
    return written == null
        ? null
        : new Attachment(
            written.getAttribute("vm"),
            written.getAttribute("program"),
            written.getAttribute("image"),
            written.getAttribute("disk"));
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
      Element driver = child(disk, "driver");
      Element source = child(disk, "source");
      disks.add(
          new GuestDisk(
              target(disk),
              driver == null || driver.getAttribute("type").isEmpty()
                  ? "raw"
                  : driver.getAttribute("type"),
              source == null ? "" : source.getAttribute("file"),
              child(disk, "readonly") != null));
    }
    return disks;
  }

  /// Has the disk's element read from here.
  ///
  /// @param reconnects whether this libvirt hands the reconnect delay on to QEMU. Where it does
  ///   not, a guest whose read fails while the server is restarted is paused, which can be undone,
  ///   in place of getting an I/O error, which cannot; unless the domain asks for something else.
  void attach(ServedDisk served, boolean reconnects) throws HypervisorException {
    Attachment attachment = served.attachment();
    if (attachment() != null) {
      throw new HypervisorException("the domain is attached already; detach it first");
    }
    Element disk = disk(attachment.disk());
    write(attachment, text(disk, false));
    disk.setAttribute("type", "file");
    Element driver = child(disk, "driver");
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
    Element before = child(disk, "backingStore");
    if (before != null) {
      disk.removeChild(before);
    }
    Element source = child(disk, "source");
    if (source == null) {
      throw new HypervisorException("disk " + attachment.disk() + " has no source");
    }
    // What else the element says is for the file that it named.
    Element file = document.createElement("source");
    file.setAttribute("file", served.overlay().toString());
    disk.replaceChild(file, source);
    insertAfter(file, backing(served));
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
    Attachment attachment = attachment();
    Element written = metadata(ATTACHMENT);
    if (attachment == null || written == null) {
      throw new HypervisorException("the domain is not attached");
    }
    Element disk = disk(attachment.disk());
    if (!isOurs(disk, attachment)) {
      throw new HypervisorException(
          "disk "
              + attachment.disk()
              + " was changed since it was attached, and stays as it is; edit the domain by hand");
    }
    Node original =
        document.importNode(document(written.getTextContent()).getDocumentElement(), true);
    Node parent = disk.getParentNode();
    if (parent != null) {
      parent.replaceChild(original, disk);
    }
    remove(written);
  }

  private static boolean isOurs(Element disk, Attachment attachment) {
    Element backing = child(disk, "backingStore");
    Element source = backing == null ? null : child(backing, "source");
    return source != null
        && source.getAttribute("protocol").equals("nbd")
        && source.getAttribute("name").equals(attachment.vm());
  }

  /// Removes an element of the metadata with the space before it, and the metadata if that is empty
  /// then.
  private void remove(Element written) {
    Node metadata = written.getParentNode();
    removeWithSpace(written);
    if (metadata != null && firstElement(metadata) == null) {
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

  private void write(Attachment attachment, String original) {
    Element metadata = child(domain, "metadata");
    if (metadata == null) {
      metadata = document.createElement("metadata");
      Element name = child(domain, "uuid");
      if (name == null) {
        name = child(domain, "name");
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
    written.setTextContent(original);
    Node last = metadata.getLastChild();
    metadata.insertBefore(document.createTextNode("\n    "), last);
    metadata.insertBefore(written, last);
  }

  // ---- finding and making elements

  private @Nullable Element metadata(String namespace) {
    Element metadata = child(domain, "metadata");
    for (Node at = metadata == null ? null : metadata.getFirstChild();
        at != null;
        at = at.getNextSibling()) {
      if (at instanceof Element element && namespace.equals(element.getNamespaceURI())) {
        return element;
      }
    }
    return null;
  }

  private List<Element> diskElements() {
    List<Element> disks = new ArrayList<>();
    Element devices = child(domain, "devices");
    for (Node at = devices == null ? null : devices.getFirstChild();
        at != null;
        at = at.getNextSibling()) {
      if (at instanceof Element element
          && element.getTagName().equals("disk")
          && (element.getAttribute("device").isEmpty()
              || element.getAttribute("device").equals("disk"))) {
        disks.add(element);
      }
    }
    return disks;
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
    Element target = child(disk, "target");
    return target == null ? "" : target.getAttribute("dev");
  }

  private static @Nullable Element child(Element parent, String name) {
    for (Node at = parent.getFirstChild(); at != null; at = at.getNextSibling()) {
      if (at instanceof Element element && element.getTagName().equals(name)) {
        return element;
      }
    }
    return null;
  }

  private static @Nullable Element firstElement(Node parent) {
    for (Node at = parent.getFirstChild(); at != null; at = at.getNextSibling()) {
      if (at instanceof Element element) {
        return element;
      }
    }
    return null;
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
    return text(domain, true);
  }

  private static String text(Node node, boolean lastLine) {
    try {
      Transformer transformer = TransformerFactory.newInstance().newTransformer();
      transformer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
      StringWriter text = new StringWriter();
      transformer.transform(new DOMSource(node), new StreamResult(text));
      return lastLine ? text + "\n" : text.toString();
    } catch (TransformerException e) {
      throw new IllegalStateException(e);
    }
  }
}
