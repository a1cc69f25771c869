package dev.prestage.control.command;

/// What somebody may do, each with all that the ones before it may.
public enum Role {
  /// Sees everything that can be seen.
  READ,
  /// Registers and removes VMs, starts and stops their programs, asks for allocations, has what
  /// this host learnt trained, learnt again and rolled back.
  OPERATE,
  /// Changes what holds for all: the switch, images in the tier, models.
  ADMIN;

  /// The least role that may give a command.
  public static Role needed(Command command) {
    return switch (command) {
      case Command.ShowVms _,
          Command.ShowAllocation _,
          Command.ShowLeases _,
          Command.ShowForecast _,
          Command.RankProgram _,
          Command.ShowReport _,
          Command.ShowTiers _,
          Command.ShowWebhooks _,
          Command.ShowHost _,
          Command.HistoryQuestion _,
          Command.ShowModels _,
          Command.ShowModelVersions _,
          Command.DiffModels _,
          Command.ShowHealth _,
          Command.ShowCounters _ ->
          READ;
      case Command.RegisterVm _,
          Command.RemoveVm _,
          Command.StartProgram _,
          Command.StopProgram _,
          Command.Allocate _,
          Command.ReleaseAllocation _,
          Command.TrainModel _,
          Command.RebuildModel _,
          Command.RollBackModel _ ->
          OPERATE;
      case Command.SetPredicting _,
          Command.PurgeImage _,
          Command.ExportModel _,
          Command.ImportModel _ ->
          ADMIN;
    };
  }

  /// Whether this role includes another.
  public boolean includes(Role other) {
    return compareTo(other) >= 0;
  }
}
