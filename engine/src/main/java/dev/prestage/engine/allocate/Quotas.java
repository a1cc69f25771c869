package dev.prestage.engine.allocate;

/// How many bytes the live leases of any one tenant, program and VM may hold. The three limits
/// apply together, and beside the limit for the whole host.
///
/// @param tenantBytes for one tenant; `Long.MAX_VALUE` for no limit, as in the others
/// @param programBytes for one program
/// @param vmBytes for one VM
public record Quotas(long tenantBytes, long programBytes, long vmBytes) {
  /// No limits but the host's.
  public static final Quotas NONE = new Quotas(Long.MAX_VALUE, Long.MAX_VALUE, Long.MAX_VALUE);

  /// The most that one VM can hold.
  long mostBytesOfVm() {
    return Math.min(tenantBytes, Math.min(programBytes, vmBytes));
  }
}
