package dev.prestage.control.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class GuestWatchTest {
  private static final Attachment ATTACHED = new Attachment("vm-a", "shop", "d.raw", "vda");

  private final FakeHost host = new FakeHost();
  private GuestWatch watch;

  @BeforeEach
  void follow() {
    watch = GuestWatch.start(host, host, Duration.ofMillis(1), Duration.ofMillis(200));
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
  void whatTheControlPlaneCannotTakeIsSaidAndToldLaterAndTheLastWordCounts() {
    host.register("web");
    host.register("db");
    host.register("old");
    for (String name : List.of("web", "db", "old")) {
      host.define(name, null);
    }
    host.available = false;
    host.define("a", ATTACHED);
    host.start("a");
    host.start("web");
    host.start("db");
    host.stop("db");
    host.start("db");
    host.undefine("old");
    await(() -> watch.state().contains("has not taken what guests of 4 VMs did"));
    assertThat(watch.state()).contains("the data plane is away", "told again by itself");
    assertThat(host.told).isEmpty();

    host.available = true;
    await(() -> watch.state().equals("ok"));
    assertThat(host.told)
        .containsExactlyInAnyOrder(
            "register vm-a shop d.raw", "start vm-a", "start web", "start db", "remove old")
        .containsSubsequence("register vm-a shop d.raw", "start vm-a");
  }

  @Test
  void whateverIsThrownTheWatchSaysSoAndGoesOn() {
    host.register("web");
    host.define("web", null);
    for (Throwable fault :
        List.of(
            new IllegalStateException("a fault"),
            new StackOverflowError("a fault"),
            new HypervisorException("a fault"))) {
      host.daemon(false);
      await(() -> !watch.state().equals("ok"));
      host.fault = fault;
      host.daemon(true);
      await(() -> watch.state().contains("a fault"));
      host.fault = null;
      await(() -> watch.state().equals("ok"));
    }
    host.start("web");
    awaitTold("start web");
  }

  @Test
  void anInventoryThatFailedIsNotTakenForGuestsThatAreGone() {
    host.register("web");
    host.define("web", null);
    host.start("web");
    awaitTold("start web");
    host.fault = new HypervisorException("no list");
    host.daemon(false);
    await(() -> !watch.state().equals("ok"));
    host.daemon(true);
    await(() -> watch.state().contains("no list"));
    int tries = host.connectTimesNanos.size();
    await(() -> host.connectTimesNanos.size() > tries + 3);
    assertThat(host.told).isEmpty();
    host.fault = null;
    await(() -> watch.state().equals("ok"));
    assertThat(host.told).isEmpty();
    host.stop("web");
    awaitTold("stop web");
  }

  @Test
  void whatAConnectionOfBeforeStillSaysDoesNothing() {
    host.register("web");
    host.register("db");
    host.define("web", null);
    host.define("db", null);
    Consumer<GuestEvent> before = host.listener();
    assertThat(before).isNotNull();
    host.daemon(false);
    await(() -> !watch.state().equals("ok"));
    before.accept(FakeHost.event("web", GuestEvent.Kind.STARTED));
    host.daemon(true);
    await(() -> watch.state().equals("ok"));
    before.accept(FakeHost.event("web", GuestEvent.Kind.UNDEFINED));
    host.start("db");
    awaitTold("start db");
  }

  @Test
  void aDaemonThatHangsIsSaidAndHoldsUpNothingElse() {
    host.hanging.acquireUninterruptibly();
    try {
      host.daemon(false);
      await(() -> watch.state().contains("has not answered for"));
      assertThat(watch.state()).contains("its daemon hangs");
      assertThat(watch.counters()).isNotEmpty();
      host.daemon(true);
    } finally {
      host.hanging.release();
    }
    await(() -> watch.state().equals("ok"));
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
