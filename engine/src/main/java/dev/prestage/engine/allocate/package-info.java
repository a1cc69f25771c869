/// Turns forecasts into leases within hard limits, and keeps the account of how each leased unit
/// ended.
///
/// Confined to the engine thread. Owns the leases, the capacity that they hold, and what is
/// believed about residency; [dev.prestage.engine.allocate.Decisions] carries out what it decides.
///
/// Does nothing while predicting is switched off or the stager is not connected; live leases then
/// still end and are still counted.
@NullMarked
package dev.prestage.engine.allocate;

import org.jspecify.annotations.NullMarked;
