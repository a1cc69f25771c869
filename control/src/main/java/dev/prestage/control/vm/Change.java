package dev.prestage.control.vm;

/// A change of a guest's definition that can be made.
///
/// @param before the definition as it may be shown: without secrets
/// @param after the same, changed
/// @param note one line that whoever makes it should know, or empty
public record Change(String before, String after, String note) {}
