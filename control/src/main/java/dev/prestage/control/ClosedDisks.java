package dev.prestage.control;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Finds VMs whose last connection to their disk has been closed for a while: their copies have
/// ended, whether or not anybody says so. A VM that has not connected since its start is not one of
/// them. Of the engine thread.
final class ClosedDisks {
  private final Duration patience;
  private final Map<String, Long> openOrClosedAtNanos = new HashMap<>();

  private static final long OPEN = Long.MIN_VALUE;

  /// @param patience how long a disk is closed before its VM's copy is taken to have ended; zero if
  ///   that is never concluded
  ClosedDisks(Duration patience) {
    this.patience = patience;
  }

  /// A VM's copy starts: what its disk did before says nothing about this run.
  void started(String vm) {
    openOrClosedAtNanos.remove(vm);
  }

  /// The data plane has said how many connections each disk has.
  ///
  /// @return the VMs whose copies have ended; each is told once
  List<String> heard(Map<String, Long> connections, long nowNanos) {
    List<String> ended = new ArrayList<>();
    if (patience.isZero()) {
      return ended;
    }
    openOrClosedAtNanos.keySet().retainAll(connections.keySet());
    connections.forEach((vm, count) -> {
      if (count > 0) {
        openOrClosedAtNanos.put(vm, OPEN);
        return;
      }
      Long since = openOrClosedAtNanos.get(vm);
      if (since != null && since == OPEN) {
        openOrClosedAtNanos.put(vm, nowNanos);
      } else if (since != null && nowNanos - since >= patience.toNanos()) {
        openOrClosedAtNanos.remove(vm);
        ended.add(vm);
      }
    });
    return ended;
  }
}
