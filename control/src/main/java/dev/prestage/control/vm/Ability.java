package dev.prestage.control.vm;

/// What a hypervisor may be able to do. One that is not declared by [Hypervisor#abilities] is
/// refused when it is asked for.
public enum Ability {
  INVENTORY("list guests"),
  LIFECYCLE("say when guests start and stop"),
  ATTACH_DISK("let a guest's disk be read from here"),
  MEMORY_SIZE("change a guest's memory"),
  RESERVATION("promise a guest memory of its host"),
  IO_LIMITS("limit a disk's input and output"),
  STATISTICS("count what a guest does");

  private final String words;

  Ability(String words) {
    this.words = words;
  }

  /// What it is, to be read after "cannot".
  public String words() {
    return words;
  }
}
