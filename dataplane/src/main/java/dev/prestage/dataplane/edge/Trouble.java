package dev.prestage.dataplane.edge;

/// Where things go that a person should know: full disk, dead origin, corrupt extent. Any thread
/// may report, at any rate; the receiver thins repetitions out.
@FunctionalInterface
public interface Trouble {
  /// Tells.
  ///
  /// @param kind one word that stays the same for the same trouble, such as `tier-full`
  /// @param text one line: what, where, what to do
  void report(String kind, String text);
}
