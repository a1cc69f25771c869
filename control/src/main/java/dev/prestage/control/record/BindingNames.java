package dev.prestage.control.record;

import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.ResourceType;

/// The names that say whose access it was and of what: those of a binding, without this host's
/// numbers.
///
/// The table of accesses keeps them as one text, `tenant/program/vm/type/space`, and the database
/// keeps each text once and a number in the rows. So a row needs four bytes for five names. In a
/// name, `%` stands as `%25` and `/` as `%2F`.
record BindingNames(String tenant, String program, String vm, ResourceType type, String space) {
  private static final int NAMES = 5;

  static BindingNames of(Binding binding) {
    return new BindingNames(
        binding.vm().program().tenant(),
        binding.vm().program().name(),
        binding.vm().name(),
        binding.space().type(),
        binding.space().name());
  }

  /// What [#text] made a text of.
  ///
  /// @throws IllegalArgumentException if it is no such text
  static BindingNames of(String text) {
    String[] names = text.split("/", -1);
    if (names.length != NAMES) {
      throw new IllegalArgumentException("'" + text + "' does not name a binding");
    }
    return new BindingNames(
        plain(names[0]),
        plain(names[1]),
        plain(names[2]),
        ResourceType.of(names[3]),
        plain(names[4]));
  }

  /// All of them as one text.
  String text() {
    return String.join(
        "/", escaped(tenant), escaped(program), escaped(vm), type.text(), escaped(space));
  }

  private static String escaped(String name) {
    return name.replace("%", "%25").replace("/", "%2F");
  }

  private static String plain(String name) {
    return name.replace("%2F", "/").replace("%25", "%");
  }
}
