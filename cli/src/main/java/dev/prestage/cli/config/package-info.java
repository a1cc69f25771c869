/// The one configuration file: read whole, checked whole, each mistake with its line.
///
/// Immutable once read; any thread may use it. Reads files and makes none: without a file
/// everything is as by default.
@NullMarked
package dev.prestage.cli.config;

import org.jspecify.annotations.NullMarked;
