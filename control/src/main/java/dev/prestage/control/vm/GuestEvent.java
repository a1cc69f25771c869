package dev.prestage.control.vm;

/// Something happened to a guest.
///
/// @param id as in [Guest]
public record GuestEvent(String id, String name, Kind kind) {
  /// What happened.
  public enum Kind {
    /// It was defined, or its definition was changed.
    DEFINED,
    /// Its definition was removed; it may run on.
    UNDEFINED,
    STARTED,
    STOPPED,
    /// It runs on another host than before.
    MOVED
  }
}
