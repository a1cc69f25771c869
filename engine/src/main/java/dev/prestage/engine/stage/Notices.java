package dev.prestage.engine.stage;

/// Where notices go. A slow listener is the implementation's problem: this returns at once.
@FunctionalInterface
public interface Notices {
  /// Tells all listeners.
  void publish(Notice notice);
}
