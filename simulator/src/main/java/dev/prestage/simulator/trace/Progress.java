package dev.prestage.simulator.trace;

/// Hears how far the reading of a trace file has come.
@FunctionalInterface
public interface Progress {
  /// Hears nothing.
  Progress NONE = (_, _) -> {};

  /// More of the file was read. Called on the reading thread, once for some ten thousand bytes.
  ///
  /// @param bytes how many bytes of the file, compressed as it lies on the disk, were read
  /// @param total how many it has
  void read(long bytes, long total);
}
