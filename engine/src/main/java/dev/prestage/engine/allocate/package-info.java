/// Turns forecasts into leases within hard limits, and keeps the account of how each leased extent
/// ended.
///
/// Does nothing while predicting is switched off; live leases then still end and are still counted.
@NullMarked
package dev.prestage.engine.allocate;

import org.jspecify.annotations.NullMarked;
