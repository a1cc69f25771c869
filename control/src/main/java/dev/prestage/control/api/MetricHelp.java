package dev.prestage.control.api;

import java.util.Map;

/// One line on each metric, for its `# HELP`.
final class MetricHelp {
  private static final Map<String, String> LINES =
      Map.ofEntries(
          Map.entry("accesses_dropped", "Accesses that the data plane had no room for."),
          Map.entry("accesses_shed", "Accesses that came faster than they could be learnt from."),
          Map.entry("api_peers_refused", "Connections of users who may not use the unix socket."),
          Map.entry("api_restarts", "How often the API had to listen anew."),
          Map.entry("api_silent_clients_closed", "Connections whose clients were too slow."),
          Map.entry("api_wrong_tokens", "Requests over TCP with a wrong token or none."),
          Map.entry("connections", "NBD clients."),
          Map.entry("disk_connections", "NBD clients of a disk."),
          Map.entry("disk_served", "Whether a VM's disk can be read."),
          Map.entry("demand_bytes", "Bytes that guests read."),
          Map.entry("demand_reads", "Reads of guests."),
          Map.entry("demand_waits", "Reads of guests that waited for an origin."),
          Map.entry("fetched_bytes", "Bytes read from origins."),
          Map.entry("fetches", "Reads from origins."),
          Map.entry(
              "fetches_behind_staging",
              "Reads from origins for demand that waited for their turn while staging ran."),
          Map.entry("fill_complete", "Whether all of a VM's disk is on this host."),
          Map.entry(
              "fill_completions", "How often a VM's disk came to be on this host as a whole."),
          Map.entry("fill_held_bytes", "What of a VM's disk is on this host."),
          Map.entry("fill_rate_bytes", "What fill has brought of a VM's disk lately, a second."),
          Map.entry("fill_total_bytes", "The size of a VM's disk."),
          Map.entry("fetches_for_demand", "Reads from origins that were begun for demand."),
          Map.entry(
              "forecast_units", "Staged units for which an expert spoke: demanded, or unused."),
          Map.entry("history_dropped", "Accesses that history had no room for or could not write."),
          Map.entry("history_expired_rows", "Rows of history dropped for age or size."),
          Map.entry("history_failures", "How often history failed to open or to write."),
          Map.entry("history_lost_rows", "Rows that were gone when history was opened."),
          Map.entry("history_put_aside", "Damaged folders of history that were put aside."),
          Map.entry("history_up", "Whether history is open."),
          Map.entry("history_vm_dropped", "Accesses that history dropped, by VM."),
          Map.entry("history_written", "Accesses written to history."),
          Map.entry("lead_seconds", "How long useful units waited for their demand, over units."),
          Map.entry("memory_connections", "Whether a VM's memory is served."),
          Map.entry("memory_failures", "Attempts to fill a page of a VM that failed."),
          Map.entry("memory_faults", "Touches of pages that were missing."),
          Map.entry("memory_missing", "Pages of a VM that never were there."),
          Map.entry("memory_resident", "Pages of a mapped memory file in the page cache."),
          Map.entry("memory_staged", "Pages that were filled before they were touched."),
          Map.entry("memory_zero_faults", "Touches of pages that the VM had given back."),
          Map.entry("model_challengers", "Models that were learnt anew of programs that drifted."),
          Map.entry("model_drifts", "How often a program was foreseen worse than before."),
          Map.entry("notices_listeners", "Clients that follow the events."),
          Map.entry("notices_listeners_cut_off", "Clients that fell too far behind the events."),
          Map.entry("notices_published", "Events."),
          Map.entry("origin_errors", "Reads from origins that failed."),
          Map.entry("plans_shed", "Plans left out so that all accesses could be learnt from."),
          Map.entry("predicting", "Whether anything is predicted and staged."),
          Map.entry("qemu_failures", "Questions that a QEMU refused or did not answer."),
          Map.entry("qemu_machines", "Machines that run and can be asked over QMP."),
          Map.entry("qemu_questions", "Questions to QEMU over QMP."),
          Map.entry(
              "ranges_unavailable", "Ranges that could not be had; those short of room then wait."),
          Map.entry("ranges_waiting", "Ranges that wait for capacity."),
          Map.entry("staged_bytes", "Bytes of live leases."),
          Map.entry("tier_capacity_bytes", "What the tier may hold."),
          Map.entry(
              "tier_corrupt_extents", "Extents of the tier that did not match their checksums."),
          Map.entry("tier_demanded_bytes", "Bytes that came to the tier because a guest waited."),
          Map.entry("tier_demoted_bytes", "Bytes that went from the tier to slower ones."),
          Map.entry("tier_evicted_bytes", "Bytes that left the host from the tier to make room."),
          Map.entry("tier_filled_bytes", "Bytes that came to the tier behind everything else."),
          Map.entry("tier_found_bytes", "Bytes that were in the tier at the start."),
          Map.entry("tier_hits", "Reads that got bytes from the tier."),
          Map.entry("tier_moved_in_bytes", "Bytes that came to the tier from other tiers."),
          Map.entry("tier_moved_out_bytes", "Bytes that went from the tier to other tiers."),
          Map.entry("tier_promoted_bytes", "Bytes that came to the tier from slower ones."),
          Map.entry(
              "tier_removed_bytes",
              "Bytes that were given back: unused, purged, corrupt or of another version."),
          Map.entry("tier_staged_bytes", "Bytes that came to the tier for a forecast."),
          Map.entry("tier_used_bytes", "What the tier holds."),
          Map.entry("units_ended", "Staged units, by how they ended."),
          Map.entry("units_granted", "Units ever granted: live and ended."),
          Map.entry("units_in_flight", "Units on their way."),
          Map.entry("units_live", "Granted units that have not ended."),
          Map.entry("webhooks_dead", "Notices that an address never took."),
          Map.entry("webhooks_delivered", "Notices that an address took."),
          Map.entry("webhooks_failed", "Attempts to deliver a notice that failed."));

  private MetricHelp() {}

  /// What a counter says, by its name without prefix and ending.
  static String of(String name) {
    return LINES.getOrDefault(name, "See docs/api.md.");
  }
}
