package dev.prestage.engine.allocate;

/// What live leases of one tenant, of one program and of one VM may hold at most, in bytes. All
/// three hold at the same time, beside what all together may hold.
public record Quotas(long tenant, long program, long vm) {
  /// Nobody is held to less than all there is.
  public static final Quotas NONE = new Quotas(Long.MAX_VALUE, Long.MAX_VALUE, Long.MAX_VALUE);

  /// What one VM can have, as far as quotas go.
  long ofOneVm() {
    return Math.min(tenant, Math.min(program, vm));
  }
}
