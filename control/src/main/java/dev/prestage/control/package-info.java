/// The control plane: history, forecasts, plans, and the API. It only advises: killed at any time,
/// it costs a guest nothing.
///
/// [dev.prestage.control.ControlPlane] owns the engine thread, to which everything comes in one
/// bounded queue, and the link's thread, which reads. Commands are carried out on the engine thread
/// by `CommandExecutor`; queries of history run on the caller's. It owns registrations and models
/// in the state folder, and nothing of a guest's bytes.
///
/// Does nothing without a data plane but answer, and try to connect ten times a second. With more
/// accesses than it can learn from it sheds batches and counts them; what it sheds is not forecast
/// from.
@NullMarked
package dev.prestage.control;

import org.jspecify.annotations.NullMarked;
