package dev.prestage.control.vm;

/// A change of a guest's definition that can be made.
///
/// @param before the definition as it may be shown: without secrets
/// @param after the same, changed
public record Change(String before, String after) {}
