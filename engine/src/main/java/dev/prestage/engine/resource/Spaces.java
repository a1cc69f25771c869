package dev.prestage.engine.resource;

/// The host's numbering of spaces. A number is given at the first question and never changes on a
/// host, so a model that was learnt elsewhere can speak of an image before any VM here uses it.
public interface Spaces {
  /// The number of the space with this name.
  int number(Name name);

  /// The name of the space with this number.
  ///
  /// @throws IllegalArgumentException if no space has it
  Name name(int number);

  /// What identifies a space on every host.
  record Name(String tenant, ResourceType type, String name) {}
}
