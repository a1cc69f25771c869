/// The subcommands that ask a running Prestage, and their tables.
///
/// Each opens one connection to the API and ends; `--json` prints the API's own answer. They own
/// nothing and touch no file but those that the user names.
@NullMarked
package dev.prestage.cli.command;

import org.jspecify.annotations.NullMarked;
