package dev.prestage.control.vm.vsphere;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import javax.xml.XMLConstants;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;
import org.xml.sax.helpers.DefaultHandler;

/// Reading and writing the service's XML. Elements go by their local names: the service has one
/// namespace, and prefixes are its own business.
final class Xml {
  private Xml() {}

  static Element parse(InputStream in) throws IOException {
    try {
      DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
      factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
      factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
      factory.setNamespaceAware(true);
      DocumentBuilder builder = factory.newDocumentBuilder();
      // What is wrong is thrown; the JDK would write it to standard error as well.
      builder.setErrorHandler(new DefaultHandler());
      return builder.parse(in).getDocumentElement();
    } catch (SAXException | ParserConfigurationException e) {
      throw new IOException("the answer is no XML", e);
    }
  }

  static List<Element> children(Element parent) {
    List<Element> children = new ArrayList<>();
    for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
      if (node instanceof Element element) {
        children.add(element);
      }
    }
    return children;
  }

  static List<Element> children(Element parent, String name) {
    return children(parent).stream().filter(child -> name.equals(child.getLocalName())).toList();
  }

  /// The first child of that name, of the first child of that name, and so on; or null.
  static @Nullable Element child(@Nullable Element parent, String... path) {
    Element found = parent;
    for (String name : path) {
      if (found == null) {
        return null;
      }
      List<Element> children = children(found, name);
      found = children.isEmpty() ? null : children.getFirst();
    }
    return found;
  }

  /// The text of such a child, or empty.
  static String text(@Nullable Element parent, String... path) {
    Element found = child(parent, path);
    return found == null ? "" : found.getTextContent().strip();
  }

  /// The number in such a child; 0 if there is none.
  static long number(@Nullable Element parent, String... path) {
    String text = text(parent, path);
    try {
      return text.isEmpty() ? 0 : Long.parseLong(text);
    } catch (NumberFormatException _) {
      return 0;
    }
  }

  /// The name of the element's type, without prefix.
  static String type(Element element) {
    String type = element.getAttributeNS(XMLConstants.W3C_XML_SCHEMA_INSTANCE_NS_URI, "type");
    return type.substring(type.indexOf(':') + 1);
  }

  static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  /// An element as it may be sent back.
  static String written(Element element, String name) {
    StringBuilder out = new StringBuilder("<").append(name);
    String type = element.getAttributeNS(XMLConstants.W3C_XML_SCHEMA_INSTANCE_NS_URI, "type");
    if (!type.isEmpty()) {
      out.append(" xsi:type=\"").append(quoted(type)).append('"');
    }
    // The type of a reference to an object.
    String object = element.getAttribute("type");
    if (!object.isEmpty()) {
      out.append(" type=\"").append(quoted(object)).append('"');
    }
    out.append('>').append(inside(element));
    return out.append("</").append(name).append('>').toString();
  }

  private static String inside(Element element) {
    List<Element> children = children(element);
    if (children.isEmpty()) {
      return escaped(element.getTextContent());
    }
    StringBuilder out = new StringBuilder();
    children.forEach(child -> out.append(written(child, child.getLocalName())));
    return out.toString();
  }

  private static String quoted(String text) {
    return escaped(text).replace("\"", "&quot;");
  }
}
