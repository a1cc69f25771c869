/// The control plane: history, forecasts, plans, and the API. It only advises: killed at any time,
/// it costs a guest nothing.
@NullMarked
package dev.prestage.control;

import org.jspecify.annotations.NullMarked;
