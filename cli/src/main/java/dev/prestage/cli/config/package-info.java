/// The one configuration file: read whole, checked whole, each mistake with its line.
@NullMarked
package dev.prestage.cli.config;

import org.jspecify.annotations.NullMarked;
