package dev.prestage.simulator.policy;

/// What a policy asks of its host: bring pages ahead of demand.
public interface Fetches {
  /// Asks for a page.
  ///
  /// @return whether it will be brought; not if it is here or on its way, or if no more may be
  ///   asked for now
  boolean fetch(long page);

  /// Calls off a page that was asked for here.
  ///
  /// @return whether it will not be brought; what is under way cannot be called off
  default boolean callOff(long page) {
    return false;
  }

  /// Whether the page is here or on its way.
  boolean isHere(long page);

  /// The host, by a number: runs with the same one share a cache.
  int host();

  /// Whether no more may be asked for until the next request.
  boolean isFull();
}
