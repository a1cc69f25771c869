package dev.prestage.benchmarks.demo;

import dev.prestage.simulator.trace.Trace;
import java.io.IOException;
import java.util.List;

/// The recordings that ship with the project as one trace for the simulator: six boots of each of
/// two roles of one image, in extents of 64 KiB.
public final class RecordedBoots {
  private static final int BOOTS = 6;
  private static final int UNIT_BYTES = 64 * 1024;

  private RecordedBoots() {}

  /// All of them, each a run from its role's program.
  ///
  /// @param slowness what the guest's time is multiplied by
  public static Trace trace(double slowness) throws IOException {
    Trace.Builder builder = new Trace.Builder("recordings", UNIT_BYTES, true);
    for (String role : List.of("web", "db")) {
      for (int boot = 1; boot <= BOOTS; boot++) {
        int run = builder.run(new Trace.Run(role, boot, 0));
        for (Recording.Read read : Recording.load(role + "-" + boot).reads()) {
          long nanos = (long) (read.startMicros() * 1000 * slowness);
          long last = (read.offset() + read.length() - 1) / UNIT_BYTES;
          for (long unit = read.offset() / UNIT_BYTES; unit <= last; unit++) {
            builder.add(nanos, run, 0, unit, 1, false);
          }
        }
      }
    }
    return builder.build();
  }
}
