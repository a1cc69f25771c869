package dev.prestage.control.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class GuestWatchTest {
  private static final Attachment ATTACHED = new Attachment("vm-a", "shop", "d.raw", "vda");

  private final FakeHost host = new FakeHost();
  private GuestWatch watch;

  @BeforeEach
  void follow() {
    watch = GuestWatch.start(host, host, Duration.ofMillis(1));
    await(() -> watch.state().equals("ok"));
  }

  @AfterEach
  void end() {
    watch.close();
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("waited for half a minute").isLessThan(end);
      LockSupport.parkNanos(100_000);
    }
  }

  private void awaitTold(String... all) {
    try {
      assertThat(host.tellings.tryAcquire(all.length, 30, TimeUnit.SECONDS))
          .as("%s", host.told)
          .isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    assertThat(host.told).containsExactly(all);
    host.told.clear();
  }

  @Test
  void aRegisteredGuestsStartAndStopAreThoseOfItsProgram() {
    host.register("web");
    host.define("web", null);
    host.start("web");
    host.stop("web");
    awaitTold("start web", "stop web");
  }

  @Test
  void aGuestThatNobodyRegisteredIsLeftAlone() {
    host.register("web");
    host.define("other", null);
    host.start("other");
    host.stop("other");
    host.undefine("other");
    host.start("web");
    awaitTold("start web");
  }

  @Test
  void anAttachedGuestGoesByTheNameOfItsVm() {
    host.define("a", ATTACHED);
    awaitTold("register vm-a shop d.raw");
    host.start("a");
    host.stop("a");
    host.undefine("a");
    awaitTold("start vm-a", "stop vm-a", "remove vm-a");
    assertThat(host.registered()).isEmpty();
  }

  @Test
  void aGuestThatIsUndefinedWhileItRunsIsGoneWhenItStops() {
    host.register("web");
    host.define("web", null);
    host.start("web");
    awaitTold("start web");
    host.undefine("web");
    host.vanish("web");
    awaitTold("stop web", "remove web");
  }

  @Test
  void aRunThatBeganWithTheFirstReadIsNotBegunAgain() {
    host.register("web");
    host.define("web", null);
    host.start("web");
    awaitTold("start web");
    // Said twice, as by a manager and by the hypervisor.
    host.say("web", GuestEvent.Kind.STARTED);
    host.stop("web");
    awaitTold("stop web");
  }

  @Test
  void whatHappenedWhileTheDaemonWasAwayIsMadeUpFor() {
    host.register("web");
    host.register("db");
    host.define("web", null);
    host.define("db", null);
    host.start("web");
    awaitTold("start web");
    host.daemon(false);
    await(() -> !watch.state().equals("ok"));
    assertThat(watch.state()).contains("tried again by itself");
    host.run("web", false);
    host.run("db", true);
    host.daemon(true);
    await(() -> watch.state().equals("ok"));
    await(() -> host.told.size() == 2);
    assertThat(host.told).containsExactlyInAnyOrder("stop web", "start db");
  }

  @Test
  void aDaemonThatIsAwayIsAskedLessAndLessOften() {
    host.daemon(false);
    int tries = 8;
    await(() -> host.connectTimesNanos.size() > tries);
    // The first one was the connection that was lost.
    for (int i = 1; i < tries; i++) {
      long pause = host.connectTimesNanos.get(i + 1) - host.connectTimesNanos.get(i);
      assertThat(Duration.ofNanos(pause)).isGreaterThanOrEqualTo(Duration.ofMillis(1L << i));
    }
  }

  @Test
  void aStormThatDoesNotFitIsMadeUpForByALook() {
    host.register("web");
    host.define("web", null);
    for (int i = 0; i < 3 * GuestWatch.QUEUED_EVENTS; i++) {
      host.say("nobody-" + i, GuestEvent.Kind.STARTED);
    }
    host.start("web");
    await(() -> host.registered().get("web"));
  }

  @Test
  void whatAHypervisorCannotDoIsRefusedInOneLine() throws Exception {
    try (Hypervisor hypervisor = host.connect()) {
      assertThatThrownBy(() -> hypervisor.resizeMemory("web", 1))
          .isInstanceOf(HypervisorException.class)
          .hasMessage("fake cannot change a guest's memory");
      assertThatThrownBy(() -> hypervisor.limit("web", "vda", IoLimits.NONE))
          .hasMessage("fake cannot limit a disk's input and output");
      assertThatThrownBy(() -> hypervisor.memoryStatistics("web"))
          .hasMessage("fake cannot count what a guest does");
    }
  }
}
