package dev.prestage.engine.allocate;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.resource.Binding;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What is believed of each space that a VM here is bound to, or of which a lease is live. It holds
/// for all that are bound to the space, unless each has its own: then it is kept by binding.
final class Residencies {
  /// By space, or under numbers that no space has by binding.
  private final Map<Integer, Residency> spaces = new HashMap<>();

  /// Asked for again and again while one VM is planned for.
  private @Nullable Residency last;

  private static int key(Binding binding) {
    return binding.space().shape().isOwn() ? ~binding.id() : binding.space().id();
  }

  /// A binding begins. Repeating it is harmless.
  void open(Binding binding) {
    spaces
        .computeIfAbsent(key(binding), key -> new Residency(key, binding.space()))
        .bound(binding.id());
  }

  /// A binding is gone.
  void close(Binding binding) {
    Residency residency = spaces.get(key(binding));
    if (residency != null) {
      residency.unbound(binding.id());
      forgetIfDone(residency);
    }
  }

  /// Forgets what nobody is bound to and nobody holds.
  void forgetIfDone(Residency residency) {
    if (residency.isDone()) {
      spaces.remove(residency.key());
      last = null;
    }
  }

  @Nullable Residency of(Binding binding) {
    return binding.space().shape().isOwn() ? spaces.get(key(binding)) : of(binding.space().id());
  }

  /// That of a space that all share.
  @Nullable Residency of(int space) {
    Residency known = last;
    if (known == null || known.space().id() != space) {
      known = spaces.get(space);
      last = known;
    }
    return known;
  }

  /// That of a space for a binding, whether all share it or not.
  @Nullable Residency of(int space, int binding) {
    Residency shared = spaces.get(space);
    return shared == null ? ofBinding(space, binding) : shared;
  }

  /// That of a space of which each binding has its own.
  @Nullable Residency ofBinding(int space, int binding) {
    Residency own = spaces.get(~binding);
    return own == null || own.space().id() != space ? null : own;
  }

  /// That of a space of which a lease is live.
  Residency require(Lease lease) {
    return require(lease.space(), lease.binding());
  }

  /// That of a space which is known.
  Residency require(int space, int binding) {
    Residency residency = of(space, binding);
    if (residency == null) {
      throw new IllegalStateException(
          "nobody is bound to space " + space + ", nor holds any of it");
    }
    return residency;
  }

  /// All of a space: one, or one for each binding.
  List<Residency> known(int space) {
    Residency shared = spaces.get(space);
    return shared == null
        ? spaces.values().stream().filter(each -> each.space().id() == space).toList()
        : List.of(shared);
  }

  Collection<Residency> all() {
    return Collections.unmodifiableCollection(spaces.values());
  }
}
