package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Vm;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Who holds what, from the first binding of a VM to its last one and the end of its last lease.
final class Holders {
  private final Quotas quotas;
  private final Map<Object, Holder> known = new HashMap<>();
  private final Map<Integer, Holder> byBinding = new HashMap<>();

  private record VmKey(int id) {}

  private record TenantKey(String name) {}

  Holders(Quotas quotas) {
    this.quotas = quotas;
  }

  /// A binding of a VM begins. Repeating it is harmless.
  void bound(int binding, Vm vm) {
    byBinding.computeIfAbsent(binding, _ -> use(of(vm)));
  }

  /// A binding is gone.
  void unbound(int binding) {
    Holder holder = byBinding.remove(binding);
    if (holder != null) {
      drop(holder);
    }
  }

  /// The VM of a binding that is there.
  @Nullable Holder ofBinding(int binding) {
    return byBinding.get(binding);
  }

  /// A lease refers to a VM, until it is dropped.
  Holder use(Holder holder) {
    holder.used();
    return holder;
  }

  /// A binding or a lease of a VM is gone, and with the last one what is known of the VM.
  void drop(Holder holder) {
    if (holder.unused()) {
      known.remove(holder.key());
      Holder above = holder.above();
      if (above != null) {
        drop(above);
      }
    }
  }

  /// Whether nobody is bound here, and nobody holds anything.
  boolean isEmpty() {
    return known.isEmpty() && byBinding.isEmpty();
  }

  private Holder of(Vm vm) {
    Holder found = known.get(new VmKey(vm.id()));
    if (found != null) {
      return found;
    }
    Holder tenant = of(new TenantKey(vm.program().tenant()), null, quotas.tenantBytes());
    Holder program = of(vm.program().key(), tenant, quotas.programBytes());
    return of(new VmKey(vm.id()), program, quotas.vmBytes());
  }

  private Holder of(Object key, @Nullable Holder above, long quota) {
    return known.computeIfAbsent(
        key,
        _ -> {
          if (above != null) {
            use(above);
          }
          return new Holder(key, above, quota);
        });
  }
}
