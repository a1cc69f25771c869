/// The subcommands that ask a running Prestage, and their tables.
@NullMarked
package dev.prestage.cli.command;

import org.jspecify.annotations.NullMarked;
