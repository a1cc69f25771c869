package dev.prestage.control.aggregate;

import dev.prestage.engine.history.AccessHistory;

/// One run of a program in one VM: what is in a sequence is in the sequence of one of these.
record RunOfVm(String vm, long run) {
  @Override
  public int hashCode() { // as in Unit
    return vm.hashCode() * 31 + Long.hashCode(run);
  }

  static RunOfVm of(AccessHistory.Row row) {
    return new RunOfVm(row.vm(), row.run());
  }
}
