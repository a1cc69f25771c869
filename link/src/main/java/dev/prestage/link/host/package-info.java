/// What both planes need of their host: its clock, unix sockets to listen on, a lock on a state
/// folder, files that are replaced whole or put aside when damaged, and words for I/O errors.
///
/// Everything here may be called by any thread, and blocks for as long as the file system does. It
/// owns no thread and no state of its own; who takes a lock or a socket closes it. Nothing here
/// retries: each error is one line for the operator that says what, where and what to do.
@NullMarked
package dev.prestage.link.host;

import org.jspecify.annotations.NullMarked;
