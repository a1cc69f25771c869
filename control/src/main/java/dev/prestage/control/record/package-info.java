/// History on QuestDB, embedded in the control plane.
///
/// [dev.prestage.control.record.QuestDbHistory] is the database: a folder, one table
/// ([dev.prestage.control.record.AccessTable]), one writer, and beside it, until its last hour is
/// dropped, the table of an earlier schema. [dev.prestage.control.record.AccessReader] reads rows
/// from the columns; all questions, exports and trainings come to it.
///
/// [dev.prestage.control.record.HistoryWriter] stands before it with a bounded queue and a thread
/// of its own: a slow or broken database means lost history, counted by VM, and a loud health
/// state, never a slow guest. It opens the history in the background and again after each failure.
///
/// [dev.prestage.control.record.HistoryKeeper] stands between: it waits for space on a full disk,
/// puts a damaged folder aside, says which rows are lost, and drops what is too old or too much.
///
/// [dev.prestage.control.record.HourlyUsage] keeps what each hour's accesses add up to, in files of
/// their own beside the database, longer than the rows.
///
/// It owns the folder that it is given, and nothing outside of it; QuestDB's native library is
/// unpacked to the JVM's temporary folder. QuestDB opens no port, sends no telemetry, and says what
/// is critical through `System.Logger`.
///
/// Limits: a row takes 43 bytes; whole hours are dropped, the newest never; an access is stored
/// with the space of its VM's disk; the names of a binding take their 100 bytes or so for as long
/// as the table lives, also when its rows are gone.
@NullMarked
package dev.prestage.control.record;

import org.jspecify.annotations.NullMarked;
