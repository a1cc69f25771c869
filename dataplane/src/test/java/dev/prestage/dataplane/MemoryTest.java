package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.memory.RegionsProbe;
import dev.prestage.dataplane.memory.Vmm;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Memory of restored VMs through a data plane, with a VM manager in a process of its own.
class MemoryTest {
  private static final int MEMORY = 5;
  private static final int SPACE = 50;
  private static final int PAGE = 4096;
  private static final int PAGES = 1024;
  private static final String NAME = "vm1/memory";

  private static @TempDir Path tools;
  private static Path program = Path.of("");

  private @TempDir Path directory;
  private Site site;
  private Path snapshot = Path.of("");
  private DataPlane plane;
  private ControlPlane control;
  private long requests = 900;

  @BeforeAll
  static void compile() throws Exception {
    program = Vmm.compile(tools);
  }

  @BeforeEach
  void start() throws Exception {
    site = new Site(directory);
    snapshot = site.origin().resolve("snap1.mem");
    byte[] memory = new byte[PAGES * PAGE];
    new SplittableRandom(1).nextBytes(memory);
    // Every eighth block of four pages is empty, as in the memory of a guest.
    for (int page = 0; page < PAGES; page += 32) {
      Arrays.fill(memory, page * PAGE, (page + 4) * PAGE, (byte) 0);
    }
    Files.write(snapshot, memory);
    plane = site.start();
    control = site.control();
  }

  @AfterEach
  void stop() throws Exception {
    control.close();
    plane.close();
  }

  private Frame.Answer bind(String source) throws Exception {
    long id = ++requests;
    control.send(
        new Frame.Bind(id, MEMORY, NAME, SPACE, ResourceType.MEMORY_PAGE, "default", source));
    return control.await(Frame.Answer.class, answer -> answer.requestId() == id);
  }

  private String bind() throws Exception {
    Frame.Answer answer = bind("snap1.mem");
    assertThat(answer.error()).isEmpty();
    return answer.address();
  }

  private Vmm vmm() throws IOException {
    return Vmm.whole(program, snapshot);
  }

  private static Lease lease(long id, int first, int units) {
    return lease(id, first, units, Long.MAX_VALUE);
  }

  private static Lease lease(long id, int first, int units, long untilNanos) {
    return new Lease(id, MEMORY, new Range(SPACE, first, units), 0, 1, 0, 0, untilNanos);
  }

  private long counter(String name) {
    return Site.counter(plane, name, NAME);
  }

  private void awaitServed() {
    Site.await(() -> counter("memory_connections") == 1, "the VM is served");
  }

  /// A guest goes on before its fault is counted.
  private void awaitFaults(long count) {
    Site.await(() -> counter("memory_faults") == count, count + " faults are counted");
  }

  private Frame.AccessRecord access(long page, boolean waited, boolean answered) throws Exception {
    Frame.Accesses found =
        control.await(
            Frame.Accesses.class,
            accesses ->
                accesses.records().stream()
                    .anyMatch(record -> matches(record, page, waited, answered)));
    return found.records().stream()
        .filter(record -> matches(record, page, waited, answered))
        .findFirst()
        .orElseThrow();
  }

  private static boolean matches(
      Frame.AccessRecord record, long page, boolean waited, boolean answered) {
    return record.offset() == page * PAGE
        && record.waited() == waited
        && (record.latencyNanos() != Access.PENDING) == answered;
  }

  private Frame.Trouble trouble(String text) throws Exception {
    return control.await(Frame.Trouble.class, t -> t.text().contains(text));
  }

  // ---- demand

  @Test
  void allOfAGuestsMemoryIsTheSnapshotsAndEachFirstTouchIsSeen() throws Exception {
    Frame.Answer bound = bind("snap1.mem");
    assertThat(bound.shape()).isEqualTo(new Shape((long) PAGES * PAGE, PAGE, Measure.BYTES, 1));
    try (Vmm vmm = vmm().restore(bound.address())) {
      vmm.order("touch 7 1 1");
      Frame.AccessRecord came = access(7, true, false);
      Frame.AccessRecord answered = access(7, true, true);
      assertThat(came.binding()).isEqualTo(MEMORY);
      assertThat(came.space()).isEqualTo(SPACE);
      assertThat(came.amount()).isEqualTo(PAGE);
      assertThat(came.type()).isEqualTo(AccessType.READ);
      assertThat(answered.timeNanos()).isEqualTo(came.timeNanos());
      assertThat(answered.latencyNanos()).isPositive();
      vmm.order("write 9 1");
      assertThat(access(9, true, true).type()).isEqualTo(AccessType.WRITE);
      vmm.order("touch 0 " + PAGES + " 1");
      awaitFaults(PAGES);
      assertThat(counter("memory_missing")).isZero();
      assertThat(vmm.order("present")).isEqualTo(PAGES);
    }
    Site.await(() -> counter("memory_connections") == 0, "its end is seen");
    assertThat(control.await(Frame.Evicted.class, gone -> gone.space() == SPACE).units())
        .isEqualTo(PAGES);
  }

  @Test
  void touchesInsideOfSystemCallsAreServed() throws Exception {
    try (Vmm vmm = vmm().restore(bind())) {
      vmm.order("syscall 0 " + PAGES);
      awaitFaults(PAGES);
    }
  }

  @Test
  void severalRegionsInAnyOrderAreServed() throws Exception {
    String socket = bind();
    try (Vmm vmm = Vmm.start(program, snapshot)) {
      long third = PAGES / 4 * (long) PAGE;
      vmm.map(2 * third, 2 * third);
      vmm.map(0, third);
      vmm.map(third, third);
      vmm.makeFaults();
      vmm.restore(socket);
      // Over the borders of all.
      control.send(new Frame.Stage(lease(1, PAGES / 4 - 8, 16)));
      assertThat(control.awaitLease(1, s -> s.ended() == 0xffff).unobserved()).isEqualTo(0xffff);
      vmm.order("touch 0 " + PAGES + " 1");
      awaitFaults(PAGES - 16);
    }
  }

  @Test
  void removedRangesReadAsZeros() throws Exception {
    try (Vmm vmm = vmm().restore(bind())) {
      vmm.order("touch 100 20 1");
      vmm.order("remove 90 40");
      vmm.order("touch 90 40 1");
      vmm.order("syscall 90 40");
      vmm.order("remove 95 5");
      vmm.order("write 96 2");
      vmm.order("touch 90 40 1");
      LeaseState state = control.stage(lease(1, 120, 16));
      assertThat(state.cancelled()).as("removed before it was staged").isEqualTo(0x03ff);
      assertThat(state.unobserved()).isEqualTo(0xfc00);
      vmm.order("touch 0 " + PAGES + " 1");
    }
  }

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(longs = {1, 2, 3})
  void faultsRemovalsAndStagingMayMixInAnyOrder(long seed) throws Exception {
    try (Vmm vmm = vmm().restore(bind())) {
      SplittableRandom random = new SplittableRandom(seed);
      vmm.tell("storm " + seed + " 20000");
      for (int id = 1; id <= 200; id++) {
        control.send(new Frame.Stage(lease(id, random.nextInt(PAGES - 64), 64)));
      }
      for (int id = 1; id <= 200; id++) {
        LeaseState state = control.awaitLease(id, s -> s.ended() == -1L);
        assertThat(state.isConsistent()).as("seed %d: %s", seed, state).isTrue();
      }
      assertThat(vmm.hear()).as("seed %d: every byte was right", seed).isEqualTo("ok 0");
      vmm.order("touch 0 " + PAGES + " 1");
    }
  }

  // ---- ahead of demand

  @Test
  void whatIsStagedIsThereBeforeTheFirstTouch() throws Exception {
    try (Vmm vmm = vmm().restore(bind())) {
      awaitServed();
      LeaseState state = control.stage(lease(1, 24, 64));
      assertThat(state.ready()).isEqualTo(-1);
      assertThat(state.unobserved()).isEqualTo(-1);
      assertThat(vmm.order("present")).isEqualTo(64);
      vmm.order("touch 24 64 1");
      assertThat(counter("memory_faults")).isZero();
      assertThat(counter("memory_staged")).isEqualTo(64);
      assertThat(control.stage(lease(2, 80, 16)).redundant()).isEqualTo(0x00ff);
    }
  }

  @Test
  void whatIsLeasedBeforeTheVmComesIsReadAndFilledInWhenItDoes() throws Exception {
    String socket = bind();
    LeaseState read = control.stage(lease(1, 0, 16));
    assertThat(read.ready()).isEqualTo(0xffff);
    assertThat(read.ended()).isZero();
    try (Vmm vmm = vmm().restore(socket)) {
      assertThat(control.awaitLease(1, s -> s.ended() == 0xffff).unobserved()).isEqualTo(0xffff);
      vmm.order("touch 0 16 1");
      assertThat(counter("memory_faults")).isZero();
    }
  }

  @Test
  void whatNoVmCameForIsGivenBackAtItsTimeWithoutAControlPlane() throws Exception {
    bind();
    control.stage(lease(1, 0, 2, 1));
    control.stage(lease(2, 4, 2));
    control.send(new Frame.Reclaim(2));
    assertThat(control.awaitLease(2, s -> s.ended() == 0b11).unused()).isEqualTo(0b11);
    control.close();
    control = awaitGivenBack(1);
  }

  /// A control plane that comes once the last one has been away for long enough.
  private ControlPlane awaitGivenBack(long lease) throws Exception {
    Site.await(() -> !plane.isControlled(), "no control plane is there");
    // The time is over when the sender looks, which it does each second.
    for (int i = 0; i < 20; i++) {
      ControlPlane next = site.control();
      // What is held is said before the first status.
      next.await(Frame.Status.class, _ -> true);
      List<Frame.HeldLease> held =
          next.heard(Frame.HeldLease.class).stream()
              .filter(found -> found.lease().id() == lease)
              .toList();
      if (held.isEmpty()) {
        return next; // it ended while the one before was hanging up, and that was told
      }
      if (held.getFirst().state().ended() != 0) {
        assertThat(held.getFirst().state().unused()).isEqualTo(0b11);
        return next;
      }
      next.close();
      Site.await(() -> !plane.isControlled(), "no control plane is there");
    }
    throw new AssertionError("the lease is still held");
  }

  @Test
  void demandThatComesFirstIsServedFirstAndTheLeaseIsLate() throws Exception {
    plane.close();
    site.faults = Faults.link(Duration.ofMillis(300), 0);
    plane = site.start();
    control = site.control();
    try (Vmm vmm = vmm().restore(bind())) {
      awaitServed();
      control.send(new Frame.Stage(lease(1, 40, 8)));
      vmm.order("touch 41 1 1");
      LeaseState state = control.awaitLease(1, s -> s.ended() == 0xff);
      assertThat(state.late() | state.redundant()).isEqualTo(0b10);
      assertThat(state.unobserved()).isEqualTo(0xfd);
    }
  }

  @Test
  void neighboursOfOneLeaseComeWithThePageThatIsTouchedFirst() throws Exception {
    plane.close();
    site.faults = Faults.link(Duration.ofMillis(300), 0);
    plane = site.start();
    control = site.control();
    try (Vmm vmm = vmm().restore(bind())) {
      awaitServed();
      control.send(new Frame.Stage(lease(1, 40, 16)));
      // It fails at once, so that the one before it is known when it has.
      control.send(new Frame.Stage(lease(2, PAGES, 1)));
      assertThat(control.awaitLease(2, s -> s.ended() == 1).failed()).isEqualTo(1);
      vmm.order("touch 44 12 1");
      LeaseState state = control.awaitLease(1, s -> s.ended() == 0xffff);
      assertThat(counter("memory_faults")).isLessThanOrEqualTo(1);
      assertThat(state.unobserved() | 1 << 4).isEqualTo(0xffff);
    }
  }

  // ---- a file that the VM manager maps

  @Test
  void mappedFileIsReadAheadAndItsOtherPagesAreSeenWhenTheyCome() throws Exception {
    try (Vmm vmm = Vmm.start(program, snapshot)) {
      vmm.order("evict");
    }
    Frame.Answer bound = bind("mapped:snap1.mem");
    assertThat(bound.error()).isEmpty();
    assertThat(bound.address()).isEqualTo(snapshot.toRealPath().toString());
    LeaseState state = control.stage(lease(1, 512, 16));
    assertThat(state.unobserved()).isEqualTo(0xffff);
    Site.await(() -> counter("memory_resident") >= 16, "what is staged is in the page cache");
    assertThat(counter("memory_faults")).as("staging is no touch").isZero();
    try (FileChannel file = FileChannel.open(snapshot, StandardOpenOption.READ)) {
      assertThat(file.read(ByteBuffer.allocate(PAGE), 8L * PAGE)).isEqualTo(PAGE);
    }
    assertThat(access(8, true, true).binding()).isEqualTo(MEMORY);
  }

  @Test
  void leasesBeyondTheEndOfWhatNobodyServesFail() throws Exception {
    control.send(new Frame.Stage(lease(1, 0, 2)));
    assertThat(control.awaitLease(1, s -> s.ended() == 0b11).failed()).isEqualTo(0b11);
    bind();
    control.send(new Frame.Stage(lease(2, PAGES - 1, 2)));
    assertThat(control.awaitLease(2, s -> s.failed() != 0).failed()).isEqualTo(0b10);
  }

  // ---- wrong input

  private void assertRefused(Vmm vmm, String socket, String message, String why) throws Exception {
    vmm.order("connect " + socket);
    vmm.order(message);
    assertThat(trouble(why).text()).contains(NAME, "process " + vmm.pid(), "end that process");
    vmm.order("close");
  }

  @Test
  void aMessageThatIsNotFirecrackersIsRefusedAndTheNextOneIsServed() throws Exception {
    String socket = bind();
    long size = (long) PAGES * PAGE;
    try (Vmm vmm = vmm()) {
      assertRefused(vmm, socket, "send hello", "no JSON array");
      assertRefused(vmm, socket, "plain " + vmm.regions(), "no userfaultfd");
      vmm.restore(socket);
      vmm.order("touch 0 " + PAGES + " 1");
    }
    String[][] wrong = {
      {"[]", "no memory region"},
      {"[{\"size\":4096,\"offset\":0}]", "no base_host_virt_addr"},
      {"[{\"size\":4096,]", "no '\"'"},
      {"[" + Vmm.region(4096, 100, 0) + "]", "whole pages"},
      {"[" + Vmm.region(4097, 4096, 0) + "]", "whole pages"},
      {"[" + Vmm.region(4096, size + PAGE, 0) + "]", "was cut short"},
      {"[" + Vmm.region(4096, 8192, 0) + "," + Vmm.region(8192, 4096, 8192) + "]", "addresses"},
      {"[" + Vmm.region(4096, 8192, 0) + "," + Vmm.region(65536, 4096, 4096) + "]", "same part"},
      {
        "["
            + Vmm.region(4096, 8192, 0).replace("4096,\"page_size_kib", "2097152,\"page_size_kib")
            + "]",
        "2097152"
      },
    };
    for (String[] each : wrong) {
      assertThat(RegionsProbe.reasonAgainst(each[0], size)).as(each[0]).contains(each[1]);
    }
  }

  @Test
  void aMessageThatIsTooLongIsRefused() throws Exception {
    try (Vmm vmm = vmm()) {
      vmm.order("connect " + bind());
      vmm.say("fill 200000");
      assertThat(trouble("it says more than").text()).contains(NAME);
    }
  }

  @Test
  void thousandsOfConnectionsThatSayNothingKeepNobodyOut() throws Exception {
    String socket = bind();
    long before = openDescriptors();
    for (int i = 0; i < 3000; i++) {
      SocketChannel.open(UnixDomainSocketAddress.of(socket)).close();
    }
    try (Vmm vmm = vmm().restore(socket)) {
      vmm.order("touch 0 100 1");
      awaitFaults(100);
      assertThat(openDescriptors()).isLessThan(before + 100);
    }
  }

  private static long openDescriptors() throws IOException {
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  @Test
  void aSnapshotThatIsNotThereOrIsOutsideIsRefused() throws Exception {
    for (String source : new String[] {"none.mem", "../state", ".", "a\0b"}) {
      assertThat(bind(source).error()).as(source).contains("snapshot");
    }
    Files.createFile(site.origin().resolve("empty.mem"));
    assertThat(bind("empty.mem").error()).contains("not even one page");
  }

  @Test
  void aSnapshotOfAnotherSizeIsNotServed() throws Exception {
    String socket = bind();
    Path other = directory.resolve("other");
    Files.write(other, new byte[PAGE]);
    try (Vmm vmm = vmm()) {
      Files.move(other, snapshot, StandardCopyOption.REPLACE_EXISTING);
      assertRefused(vmm, socket, "send " + vmm.regions(), "another size");
    }
  }

  @Test
  void aPageThatCannotBeReadIsNeverInventedAndComesWhenItCan() throws Exception {
    byte[] whole = Files.readAllBytes(snapshot);
    try (Vmm vmm = vmm().restore(bind())) {
      vmm.order("touch 0 8 1");
      try (FileChannel cut = FileChannel.open(snapshot, StandardOpenOption.WRITE)) {
        cut.truncate(64L * PAGE);
      }
      vmm.order("hang 500");
      assertThat(trouble("cannot be filled").text())
          .contains(NAME, "page 500", "cut short", "process " + vmm.pid());
      assertThat(vmm.order("came")).as("it waits").isEqualTo(1);
      access(500, true, false);
      vmm.order("touch 8 8 1");
      assertThat(control.stage(lease(1, 60, 8)).failed()).isEqualTo(0xff);
      Files.write(snapshot, whole, StandardOpenOption.WRITE);
      Site.await(() -> answersRight(vmm), "the page comes once it can be read");
      vmm.order("touch 0 " + PAGES + " 1");
      assertThat(counter("memory_failures")).isPositive();
    }
  }

  private static boolean answersRight(Vmm vmm) {
    try {
      return vmm.order("came") == 2;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void readsThatFailNowAndThenAreRepeated() throws Exception {
    plane.close();
    site.faults = new Faults(Duration.ZERO, 0, 0.05, 0, 0, 7);
    plane = site.start();
    control = site.control();
    try (Vmm vmm = vmm().restore(bind())) {
      vmm.order("touch 0 100 1");
      assertThat(counter("memory_failures")).isPositive();
      awaitFaults(100);
    }
  }

  // ---- ends

  @Test
  void aVmThatIsKilledWhileItWaitsIsSeenAndTheNextOneIsServed() throws Exception {
    String socket = bind();
    byte[] whole = Files.readAllBytes(snapshot);
    try (Vmm vmm = vmm().restore(socket)) {
      vmm.order("touch 0 8 1");
      try (FileChannel cut = FileChannel.open(snapshot, StandardOpenOption.WRITE)) {
        cut.truncate(64L * PAGE);
      }
      vmm.order("hang 500");
      trouble("cannot be filled");
      vmm.tell("die");
      vmm.awaitEnd();
    }
    Site.await(() -> counter("memory_connections") == 0, "its end is seen");
    Files.write(snapshot, whole, StandardOpenOption.WRITE);
    try (Vmm vmm = vmm().restore(socket)) {
      vmm.order("touch 0 " + PAGES + " 1");
    }
  }

  @Test
  void aVmThatIsKilledDuringStagingEndsItsLeases() throws Exception {
    String socket = bind();
    for (int round = 0; round < 5; round++) {
      try (Vmm vmm = vmm().restore(socket)) {
        awaitServed();
        for (int i = 0; i < 16; i++) {
          control.send(new Frame.Stage(lease(100L * (round + 1) + i, 64 * i, 64)));
        }
        vmm.tell("touch 0 100 5");
        vmm.tell("die");
        vmm.awaitEnd();
      }
      Site.await(() -> counter("memory_connections") == 0, "its end is seen");
      for (int i = 0; i < 16; i++) {
        long id = 100L * (round + 1) + i;
        control.send(new Frame.Reclaim(id));
        assertThat(control.awaitLease(id, s -> s.ended() == -1L).isConsistent()).isTrue();
      }
    }
  }

  @Test
  void aSecondVmAtOneSocketIsTurnedAwayAndTheFirstIsServedOn() throws Exception {
    String socket = bind();
    try (Vmm first = vmm().restore(socket);
        Vmm second = vmm()) {
      first.order("touch 0 1 1");
      second.order("connect " + socket);
      assertThat(trouble("a socket of its own").text())
          .contains("process " + first.pid(), "process " + second.pid());
      first.order("touch 1 100 1");
    }
  }

  @Test
  void aDataPlaneThatComesBackSaysWhichGuestsTheLastOneLeftBehind() throws Exception {
    String socket = bind();
    try (Vmm vmm = vmm().restore(socket)) {
      vmm.order("touch 0 1 1");
      control.close();
      plane.close();
      plane = site.start();
      control = site.control();
      assertThat(bind()).isEqualTo(socket);
      assertThat(trouble("has ended before it").text())
          .contains("process " + vmm.pid(), "restore the VM");
    }
  }
}
