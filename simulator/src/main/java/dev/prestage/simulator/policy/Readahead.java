package dev.prestage.simulator.policy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import java.util.Arrays;

/// Read-ahead in the manner of Linux: a sequential touch opens a window that doubles with each
/// further one, a jump closes it.
///
/// After the on-demand readahead of the Linux kernel (mm/readahead.c; Wu et al., "On the Design of
/// a New Linux Readahead Framework", Operating Systems Review 42(5), 2008): the first window is
/// small and grows by two up to a maximum, and it moves when demand comes to its middle. Because
/// disks of VMs interleave several readers, the last few streams are told apart. It learns nothing
/// from one run to the next.
public final class Readahead implements Forecaster {
  /// The window after the first sequential touch: 4 extents are 256 KiB.
  private static final int FIRST_WINDOW = 4;

  /// The largest window: 32 extents are 2 MiB, one round trip of 10 ms at 200 MB/s.
  private static final int MAX_WINDOW = 32;

  private static final int STREAMS = 16;

  /// No resource: they are never negative.
  private static final long NONE = -1;

  @Override
  public Cursor start(int vm, long nowNanos) {
    return new Windows();
  }

  private static final class Windows implements Cursor {
    private final long[] last = new long[STREAMS];
    private final int[] window = new int[STREAMS];
    private int next;
    private int active;

    private Windows() {
      Arrays.fill(last, NONE);
    }

    @Override
    public void observe(Access access) {
      long resource = access.resource();
      for (int stream = 0; stream < STREAMS; stream++) {
        if (resource == last[stream]) {
          active = stream;
          return;
        }
        if (last[stream] != NONE && resource == last[stream] + 1) {
          last[stream] = resource;
          window[stream] = Math.clamp(2L * window[stream], FIRST_WINDOW, MAX_WINDOW);
          active = stream;
          return;
        }
      }
      last[next] = resource;
      window[next] = 0;
      active = next;
      next = (next + 1) % STREAMS;
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      for (int ahead = 1; ahead <= window[active]; ahead++) {
        into.add(last[active] + ahead, 1, nowNanos + ahead, Expert.PEER);
      }
    }

    @Override
    public void next(long nowNanos, Forecast into) {}

    @Override
    public void stop(long nowNanos) {}
  }
}
