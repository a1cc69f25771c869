package dev.prestage.engine.resource;

/// One running instance on this host; it runs one copy of a program at a time. What it touches are
/// its [Binding]s.
///
/// @param id the host's number for it
/// @param name the VM manager's name for it: the VM instance id of history and API
/// @param program the program it runs
public record Vm(int id, String name, Program program) {}
