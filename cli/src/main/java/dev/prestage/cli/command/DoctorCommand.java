package dev.prestage.cli.command;

import java.io.PrintStream;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/// Says what Prestage does on which platform.
@Command(
    name = "doctor",
    description =
        "Show what is observed, allocated ahead and given back on which platform, and the test that shows it.",
    mixinStandardHelpOptions = true)
public final class DoctorCommand implements Callable<Integer> {
  @Override
  public Integer call() {
    PrintStream out = System.out;
    Table table = new Table("PLATFORM", "RESOURCE", "OBSERVE", "PRE-ALLOCATE", "DE-ALLOCATE");
    for (PlatformMatrix.Row row : PlatformMatrix.ROWS) {
      table.row(row.platform(), row.resource(), row.observe(), row.preAllocate(), row.deAllocate());
    }
    table.print(out);
    return 0;
  }
}
