package dev.prestage.dataplane.memory;

import dev.prestage.link.Frame;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One binding of a VM's memory to a snapshot: what leases are for.
sealed interface Target extends AutoCloseable permits Endpoint, MappedFile {
  String name();

  String tenant();

  String source();

  int binding();

  int space();

  /// The size of the snapshot when the binding was made, which decides how many units it has.
  long sizeBytes();

  /// The snapshot as it was when the binding was made.
  Snapshot snapshot();

  /// The VM that is served now, or null.
  @Nullable PageServer server();

  /// Whether it is there once it is in the page cache, from where nobody tells of its use.
  boolean isMapped();

  /// These pages are about to be read ahead, for no touch; or are not after all.
  void expect(long first, int units, boolean comes);

  /// What a VM manager is told.
  String address();

  /// Begins; nothing happens before.
  void start();

  /// The control plane counts anew. While it is unknown to the staging.
  void renumber(int newBinding, int newSpace);

  void count(List<Frame.Counter> into);

  @Override
  void close() throws IOException;
}
