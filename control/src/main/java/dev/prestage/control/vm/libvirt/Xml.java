package dev.prestage.control.vm.libvirt;

import dev.prestage.control.vm.HypervisorException;
import java.io.StringReader;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
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
import org.w3c.dom.NamedNodeMap;
import org.w3c.dom.Node;
import org.xml.sax.InputSource;
import org.xml.sax.helpers.DefaultHandler;

/// Reading, writing and comparing elements.
final class Xml {
  private Xml() {}

  static Document parse(String xml) throws HypervisorException {
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

  static String text(Node node) {
    try {
      Transformer transformer = TransformerFactory.newInstance().newTransformer();
      transformer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
      StringWriter text = new StringWriter();
      transformer.transform(new DOMSource(node), new StreamResult(text));
      return text.toString();
    } catch (TransformerException e) {
      throw new IllegalStateException(e);
    }
  }

  static List<Element> elements(@Nullable Node parent) {
    List<Element> elements = new ArrayList<>();
    for (Node at = parent == null ? null : parent.getFirstChild();
        at != null;
        at = at.getNextSibling()) {
      if (at instanceof Element element) {
        elements.add(element);
      }
    }
    return elements;
  }

  static @Nullable Element child(@Nullable Element parent, String name) {
    for (Element element : elements(parent)) {
      if (element.getTagName().equals(name)) {
        return element;
      }
    }
    return null;
  }

  /// An attribute of an element that may not be there, or empty.
  static String attribute(@Nullable Element element, String name) {
    return element == null ? "" : element.getAttribute(name);
  }

  /// The element line by line in a form that does not depend on the order of attributes and on
  /// spaces; the depth is indented.
  static List<String> lines(Element element) {
    List<String> lines = new ArrayList<>();
    append(lines, element, "");
    return lines;
  }

  private static void append(List<String> lines, Element element, String indent) {
    Map<String, String> sorted = new TreeMap<>();
    NamedNodeMap attributes = element.getAttributes();
    for (int i = 0; i < attributes.getLength(); i++) {
      sorted.put(attributes.item(i).getNodeName(), attributes.item(i).getNodeValue());
    }
    StringBuilder line = new StringBuilder(indent).append('<').append(element.getTagName());
    sorted.forEach((name, value) -> line.append(" %s='%s'".formatted(name, value)));
    line.append('>');
    List<Element> within = elements(element);
    if (within.isEmpty()) {
      line.append(element.getTextContent().strip());
    }
    lines.add(line.toString());
    for (Element child : within) {
      append(lines, child, indent + " ");
    }
  }
}
