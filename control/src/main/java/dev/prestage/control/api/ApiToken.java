package dev.prestage.control.api;

import dev.prestage.control.command.Role;
import java.nio.file.Path;

/// A token for the API over TCP.
///
/// @param file its only line is the token
/// @param role what whoever sends it may do
public record ApiToken(Path file, Role role) {}
