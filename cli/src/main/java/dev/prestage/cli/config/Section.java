package dev.prestage.cli.config;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;

/// One mapping of the file. Each key is asked for once, with its default; [#close] refuses those
/// that nobody asked for.
final class Section {
  private final String file;
  private final String path;
  private final Map<String, Node> values = new LinkedHashMap<>();
  private final Map<String, Node> keys = new HashMap<>();
  private final TreeSet<String> known = new TreeSet<>();

  private Section(String file, String path) {
    this.file = file;
    this.path = path;
  }

  static Section empty(String file, String path) {
    return new Section(file, path);
  }

  static Section of(String file, String path, Node node) throws ConfigurationException {
    Section section = new Section(file, path);
    if (!(node instanceof MappingNode mapping)) {
      String what = path.isEmpty() ? "" : "'" + path.substring(0, path.length() - 1) + "' ";
      throw section.wrong(node, what + "must be a mapping of keys to values");
    }
    for (NodeTuple tuple : mapping.getValue()) {
      if (!(tuple.getKeyNode() instanceof ScalarNode key)) {
        throw section.wrong(tuple.getKeyNode(), "a key must be a word");
      }
      if (section.values.put(key.getValue(), tuple.getValueNode()) != null) {
        throw section.wrong(key, "key '" + key.getValue() + "' stands here twice");
      }
      section.keys.put(key.getValue(), key);
    }
    return section;
  }

  /// The keys that are there, for sections whose keys are names.
  List<String> names() {
    return List.copyOf(values.keySet());
  }

  String text(String key, String byDefault) throws ConfigurationException {
    return value(key, byDefault, text -> text);
  }

  /// A value in a form of its own; what the form refuses is said with its place.
  <T> T value(String key, T byDefault, Function<String, T> form) throws ConfigurationException {
    known.add(key);
    Node node = values.get(key);
    if (node == null) {
      return byDefault;
    }
    if (!(node instanceof ScalarNode scalar)) {
      throw wrong(node, "'" + key + "' must be a single value");
    }
    try {
      return form.apply(scalar.getValue());
    } catch (IllegalArgumentException e) {
      throw wrong(node, "'" + key + "': " + reason(e, scalar.getValue()));
    }
  }

  private static String reason(IllegalArgumentException e, String value) {
    return e instanceof NumberFormatException
        ? "'" + value + "' is not a number"
        : "" + e.getMessage();
  }

  Section section(String key) throws ConfigurationException {
    known.add(key);
    Node node = values.get(key);
    return node == null ? empty(file, path + key + ".") : of(file, path + key + ".", node);
  }

  List<Section> sections(String key) throws ConfigurationException {
    known.add(key);
    List<Section> sections = new ArrayList<>();
    Node node = values.get(key);
    if (node == null) {
      return sections;
    }
    if (!(node instanceof SequenceNode sequence)) {
      throw wrong(node, "'" + key + "' must be a list");
    }
    for (Node element : sequence.getValue()) {
      sections.add(of(file, path + key + "[" + sections.size() + "].", element));
    }
    return sections;
  }

  /// A list of values, each in a form of its own; empty if the key is not there.
  <T> List<T> values(String key, Function<String, T> form) throws ConfigurationException {
    known.add(key);
    List<T> all = new ArrayList<>();
    Node node = values.get(key);
    if (node == null) {
      return all;
    }
    if (!(node instanceof SequenceNode sequence)) {
      throw wrong(node, "'" + key + "' must be a list");
    }
    for (Node element : sequence.getValue()) {
      if (!(element instanceof ScalarNode scalar)) {
        throw wrong(element, "'" + key + "' must be a list of words");
      }
      try {
        all.add(form.apply(scalar.getValue()));
      } catch (IllegalArgumentException e) {
        throw wrong(element, "'" + key + "': " + reason(e, scalar.getValue()));
      }
    }
    return all;
  }

  /// A required value of this section is missing.
  ConfigurationException missing(String key, String meaning) {
    return new ConfigurationException(file + ": '" + path + key + "' is missing: " + meaning);
  }

  /// What a value is must not be so; the place is that of its key.
  ConfigurationException refused(String key, String why) {
    Node node = keys.get(key);
    String place = node == null ? file : place(file, node.getStartMark().orElse(null));
    return new ConfigurationException(place + ": '" + path + key + "' " + why);
  }

  /// Refuses keys that nobody asked for.
  void close() throws ConfigurationException {
    for (Map.Entry<String, Node> key : keys.entrySet()) {
      if (!known.contains(key.getKey())) {
        throw wrong(
            key.getValue(),
            "unknown key '" + path + key.getKey() + "'; known here: " + String.join(", ", known));
      }
    }
  }

  private ConfigurationException wrong(Node node, String what) {
    return new ConfigurationException(place(file, node.getStartMark().orElse(null)) + ": " + what);
  }

  static String place(String file, @Nullable Mark mark) {
    return mark == null ? file : file + ":" + (mark.getLine() + 1) + ":" + (mark.getColumn() + 1);
  }
}
