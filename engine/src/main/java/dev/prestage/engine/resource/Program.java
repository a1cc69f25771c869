package dev.prestage.engine.resource;

/// The software whose behaviour is learnt.
///
/// @param id the host's number for it
/// @param tenant whose it is
/// @param name its name within the tenant
public record Program(int id, String tenant, String name) {
  /// What identifies a program on every host.
  public record Key(String tenant, String name) {}

  /// What identifies it on every host.
  public Key key() {
    return new Key(tenant, name);
  }
}
