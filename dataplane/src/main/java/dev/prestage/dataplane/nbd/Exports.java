package dev.prestage.dataplane.nbd;

import dev.prestage.dataplane.block.Disk;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The disks that can be read now. Any thread may ask.
public interface Exports {
  /// The disk of this name, or null.
  @Nullable Disk find(String name);

  /// All names.
  List<String> names();
}
