package dev.prestage.control.registry;

import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Vm;
import java.util.List;

/// A VM and what it is bound to.
///
/// @param bindings in the order of the registration; none for a VM of which only starts and stops
///   are followed
public record Registered(Vm vm, List<Binding> bindings) {
  public Registered {
    bindings = List.copyOf(bindings);
  }

  /// The name under which a binding is served: the VM's for its first one, and for each other the
  /// VM's and its own.
  public static String address(Binding binding) {
    String vm = binding.vm().name();
    return binding.as().equals(FIRST_DISK) ? vm : vm + "/" + binding.as();
  }

  /// What a VM calls its first disk where nobody says otherwise.
  public static final String FIRST_DISK = "disk0";
}
