/// Policies compared on one trace: which rows a report has, in which order they are made, and its
/// JSON.
///
/// Rows are independent of each other and made by several threads; a report is immutable.
@NullMarked
package dev.prestage.simulator.report;

import org.jspecify.annotations.NullMarked;
