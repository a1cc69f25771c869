package dev.prestage.benchmarks.api;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.Progress;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/// A hundred clients follow the events of a host whose VM managers ask for an allocation ten times
/// in a tenth of a second: each is answered by an event once it is settled, and each event goes to
/// each client.
final class EventGate {
  private static final int STREAMS = 100;

  /// A little more than a hundred, so that what is on its way at the end does not count.
  private static final int EVENTS_PER_SECOND = 102;

  /// Each VM has an allocation by then, which the next one replaces.
  private static final int WARM_SECONDS = 10;

  private static final int SECONDS = 20;

  /// The ring keeps 8192 events; so many a second overtake a client that stands still soon after
  /// the twenty seconds.
  private static final int OVERTAKING_PER_SECOND = 400;

  private static final int MOST_OVERTAKING_SECONDS = 40;

  private static final double LEAST_MESSAGES = 10_000;

  /// The ring is not full yet: 2,000 events of about 150 bytes are 0.3 MB more, and what the
  /// compilers and the HTTP server keep for themselves varies by some hundred KiB. 200,000 messages
  /// that kept ten bytes each would be 2 MB.
  private static final double MOST_GROWTH_KIB = 2048;

  private final ApiSetting setting;
  private final Consumer<Check> checks;
  private int allocations;

  EventGate(ApiSetting setting, Consumer<Check> checks) {
    this.setting = setting;
    this.checks = checks;
  }

  void run(Progress progress) throws IOException, InterruptedException {
    ControlPlaneMemory memory = new ControlPlaneMemory(setting.host.controlPlane());
    try (EventListeners listeners = new EventListeners(setting.socket(), STREAMS);
        SocketChannel stalled = EventListeners.stalled(setting.socket())) {
      awaitNumber("prestage_notices_listeners", STREAMS + 1);
      progress.begin("events to " + STREAMS + " streams");
      allocate(EVENTS_PER_SECOND, WARM_SECONDS);
      awaitReceived(listeners);
      long heap = memory.heapKib();
      long resident = memory.residentKib();
      listeners.forgetDelays();
      long before = listeners.received();
      long began = System.nanoTime();
      allocate(EVENTS_PER_SECOND, SECONDS);
      double perSecond = (listeners.received() - before) / ((System.nanoTime() - began) / 1e9);
      awaitReceived(listeners);
      checks.accept(
          new Check(
              "events: messages a second to " + STREAMS + " streams",
              perSecond,
              String.format(Locale.ROOT, "at least %.0f", LEAST_MESSAGES),
              perSecond >= LEAST_MESSAGES));
      checks.accept(
          Check.atMost(
              "events: ids that did not follow the one before", (double) listeners.gaps(), 0));
      checks.accept(
          Check.atMost("events: different last ids", (double) listeners.differentLastIds(), 1));
      checks.accept(
          Check.atMost(
              "events: KiB by which the reachable heap grew",
              (double) memory.heapKib() - heap,
              MOST_GROWTH_KIB));
      see("events: KiB of that heap before", (double) heap);
      see(
          "events: KiB by which the resident memory grew",
          (double) memory.residentKib() - resident);
      see(
          "events: ms from happening to receipt, p50, beside a stalled stream",
          listeners.delayMillis(.5));
      checks.accept(
          Check.atMost("events: the same, p99", listeners.delayMillis(.99), ApiGate.MOST_MILLIS));
      overtake(listeners, stalled);
    }
  }

  /// The client that never reads is cut off, and the others still get all.
  private void overtake(EventListeners listeners, SocketChannel stalled)
      throws IOException, InterruptedException {
    long began = System.nanoTime();
    listeners.forgetDelays();
    while (cutOff() == 0 && seconds(began) < MOST_OVERTAKING_SECONDS) {
      allocate(OVERTAKING_PER_SECOND, 1);
    }
    awaitReceived(listeners);
    see(
        "events: seconds until the stalled stream was cut off, at "
            + OVERTAKING_PER_SECOND
            + " events a second",
        seconds(began));
    see("events: ms from happening to receipt meanwhile, p99", listeners.delayMillis(.99));
    checks.accept(
        new Check(
            "events: streams cut off", (double) cutOff(), "1, the stalled one", cutOff() == 1));
    checks.accept(Check.atMost("events: other streams that ended", (double) listeners.ended(), 0));
    checks.accept(
        Check.atMost("events: ids lost by others meanwhile", (double) listeners.gaps(), 0));
    stalled.close();
  }

  private long cutOff() throws IOException {
    return setting.host.numbers().of("prestage_notices_listeners_cut_off_total");
  }

  private void see(String what, double value) {
    checks.accept(new Check(what, value, "to be seen", true));
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  /// Asks for allocations at a steady rate, of one VM after the other, so that none replaces one
  /// that is not settled yet.
  private void allocate(int perSecond, int seconds) throws IOException {
    long began = System.nanoTime();
    try (KeptConnection connection = new KeptConnection(setting.socket())) {
      for (int i = 0; i < perSecond * seconds; i++) {
        OpenLoop.awaitTime(began + i * 1_000_000_000L / perSecond);
        String vm = ApiSetting.vm(allocations++ % ApiSetting.VMS);
        int status = connection.ask("POST", "/v1/allocations", ApiSetting.json("vm", vm)).status();
        if (status != 202) {
          throw new IOException("an allocation is refused with status " + status);
        }
      }
      OpenLoop.awaitTime(began + seconds * 1_000_000_000L);
    }
  }

  /// Until nothing more comes.
  private static void awaitReceived(EventListeners listeners) {
    long before;
    do {
      before = listeners.received();
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(500));
    } while (listeners.received() != before);
  }

  private void awaitNumber(String name, long value) throws IOException {
    setting.host.awaitNumbers(name, value);
  }
}
