package dev.prestage.dataplane.memory;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The bindings to each memory file that VM managers map. The page cache is the file's, so what is
/// staged for one of them is there for all, and nobody can know whose touch brought what was not.
final class MappedFiles {
  /// By the file's device and inode.
  private final Map<Object, List<MappedFile>> bindings = new HashMap<>();

  synchronized void add(MappedFile file) {
    bindings.computeIfAbsent(file.key(), _ -> new ArrayList<>()).add(file);
  }

  synchronized void remove(MappedFile file) {
    List<MappedFile> same = bindings.getOrDefault(file.key(), new ArrayList<>());
    same.remove(file);
    if (same.isEmpty()) {
      bindings.remove(file.key());
    }
  }

  /// All that are bound to the file of one.
  synchronized List<MappedFile> sharing(MappedFile file) {
    return List.copyOf(bindings.getOrDefault(file.key(), List.of(file)));
  }
}
