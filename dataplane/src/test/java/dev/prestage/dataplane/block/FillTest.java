package dev.prestage.dataplane.block;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Range;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// What is brought behind demand and leases, and when an image is complete.
final class FillTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int EXTENTS = 70;
  private static final long SECOND = 1_000_000_000L;
  private static final int VM = 8;
  private static final int SPACE = 3;

  /// An attach compares 64 extents of an image, evenly spread: of 70 not this one.
  private static final int NOT_IN_THE_SAMPLE = 11;

  private static final long FAST = 1L << 40;

  /// What one fetch brings of a link of which nothing is known.
  private static final int QUARTER = Fetch.MAX_BYTES / 4;

  private final AtomicLong now = new AtomicLong(1_000_000 * SECOND);
  private final List<String> troubles = Collections.synchronizedList(new ArrayList<>());
  private final Doorbell doorbell = new Doorbell();
  private final VerifiedReader reader = new VerifiedReader();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(Fetch.MAX_BYTES);
  private final CrashStorage storage = new CrashStorage();
  private TestOrigin origin = new TestOrigin();
  private byte[] image = new byte[0];
  private final long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
  private Duration attemptDeadline = Duration.ofSeconds(10);
  private @Nullable BlockStager open;
  private @Nullable Tier tier;

  private static final class Read extends PendingRead {
    private final CountDownLatch end = new CountDownLatch(1);

    Read(long offset, int length, long nanos) {
      super(offset, length, nanos);
    }

    @Override
    protected void finished() {
      end.countDown();
    }
  }

  private BlockStager start(FillOptions fill, int capacityExtents, boolean threaded)
      throws IOException {
    Tier one = tier("ssd", capacityExtents, storage);
    tier = one;
    return start(fill, new Tiers(List.of(one), Moves.DEFAULT, this::trouble), threaded);
  }

  private Tier tier(String name, int capacityExtents, CrashStorage on) throws IOException {
    return new Tier(name, (long) capacityExtents * EXTENT, on, now::get, this::trouble);
  }

  private void trouble(String kind, String text) {
    troubles.add(kind + " " + text);
  }

  private BlockStager start(FillOptions fill, Tiers tiers, boolean threaded) throws IOException {
    origin = new TestOrigin();
    image = origin.put("disk", EXTENTS * EXTENT - 777, 5);
    origin.put("other", EXTENTS * EXTENT, 6);
    var options = new BlockOptions(4, 4, Duration.ofSeconds(20), attemptDeadline, fill);
    BlockStager stager =
        new BlockStager(
            List.of(origin), tiers, options, now::get, this::trouble, doorbell, threaded);
    open = stager;
    return stager;
  }

  private BlockStager start(FillOptions fill, int capacityExtents) throws IOException {
    return start(fill, capacityExtents, false);
  }

  private static FillOptions unlimited() {
    return new FillOptions(FAST, 0);
  }

  private BlockStager stager() {
    return requireNonNull(open);
  }

  private Tier tier() {
    return requireNonNull(tier);
  }

  @AfterEach
  void close() throws IOException {
    if (open != null) {
      open.close();
    }
  }

  private Disk disk(BlockSpace space) {
    return new Disk(VM, "vm", space, stager(), new AccessRing(512, doorbell), now::get);
  }

  private boolean step() {
    boolean any = stager().step("test", buffer);
    // A rate of a tebibyte a second still takes a microsecond for each fetch.
    now.addAndGet(1000);
    return any;
  }

  private void settle() {
    while (step()) {
      // until nothing is left to fetch
    }
  }

  private Read begin(Disk disk, int extent) {
    int length = disk.space().bytesOf(extent);
    var read = new Read((long) extent * EXTENT, length, now.get());
    disk.readLater(read, reader);
    return read;
  }

  /// Reads through the tier or, in the way of demand, from the origin.
  private void read(Disk disk, int extent) {
    Read read = begin(disk, extent);
    while (read.end.getCount() > 0) {
      assertThat(step()).isTrue();
    }
    assertRight(read);
  }

  private void assertRight(Read read) {
    assertThat(read.failure()).isNull();
    int at = (int) read.offset();
    assertThat(ByteBuffer.wrap(read.bytes(), 0, read.length()))
        .isEqualTo(ByteBuffer.wrap(image, at, read.length()).slice());
  }

  private void stage(long id, int space, int first, int count) {
    stager()
        .stage(
            new Lease(
                id, VM, new Range(space, first, count), 0, 0.9f, 0, now.get(), Long.MAX_VALUE));
  }

  private void assertAccount(BlockSpace... spaces) {
    long held = 0;
    for (BlockSpace space : spaces) {
      held += space.heldBytes();
    }
    assertThat(tier().usedBytes()).isEqualTo(held);
    TiersTest.assertPassagesAddUp(tier());
  }

  private long passed(Passage passage) {
    return tier().passedBytes(passage);
  }

  private BlockStager.FillCounts counts(BlockSpace space) {
    return requireNonNull(stager().fillCounts(space));
  }

  @Test
  void theRestOfAnImageComesBehindDemandAndStagingInShortFetches() throws Exception {
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    stage(1, SPACE, 50, 2);
    Read read = begin(disk(space), 40);
    settle();
    assertRight(read);
    assertThat(origin.reads())
        .extracting(one -> one.offset() / EXTENT)
        .containsExactly(
            40L, 50L, 0L, 4L, 8L, 12L, 16L, 20L, 24L, 28L, 32L, 36L, 41L, 45L, 49L, 52L, 56L, 60L,
            64L, 68L);
    assertThat(passed(Passage.DEMANDED)).isEqualTo(EXTENT);
    assertThat(passed(Passage.STAGED)).isEqualTo(2 * EXTENT);
    assertThat(passed(Passage.FILLED)).isEqualTo(image.length - 3L * EXTENT);
    assertThat(stager().takeChanged())
        .singleElement()
        .satisfies(state -> assertThat(state.ready()).isEqualTo(0b11))
        .satisfies(state -> assertThat(state.ended()).isZero());
    assertAccount(space);
  }

  @Test
  void anImageThatIsCompleteNeedsItsOriginNoMore() throws Exception {
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    assertThat(counts(space).complete()).isFalse();
    settle();
    assertThat(counts(space).complete()).isTrue();
    assertThat(counts(space).heldBytes()).isEqualTo(image.length);
    assertThat(counts(space).bytesPerSecond()).isPositive();
    assertThat(stager().takeFilled()).containsExactly(space);
    assertThat(stager().takeFilled()).isEmpty();
    int asked = origin.reads().size();
    origin.fail(Integer.MAX_VALUE);
    Disk disk = disk(space);
    for (int extent = 0; extent < EXTENTS; extent++) {
      read(disk, extent);
    }
    assertThat(origin.reads()).hasSize(asked);
    assertThat(disk.waits()).isZero();
  }

  @Test
  void anImageThatIsHereIsCompleteForWhoeverComesLater() throws Exception {
    start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    settle();
    stager().close();
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    assertThat(counts(space).complete()).isTrue();
    assertThat(step()).isFalse();
    assertThat(passed(Passage.FOUND)).isEqualTo(image.length);
    assertThat(origin.reads()).isEmpty();
  }

  @Test
  void whereItIsOffNothingIsFilled() throws Exception {
    BlockSpace space = start(FillOptions.OFF, 2 * EXTENTS).attach(SPACE, "t", "disk");
    read(disk(space), 3);
    assertThat(step()).isFalse();
    assertThat(stager().fillCounts(space)).isNull();
    assertThat(space.resident().cardinality()).isEqualTo(1);
  }

  @Test
  void anImageThatDoesNotFitIsNotBegunUntilThereIsRoom() throws Exception {
    // Fill may take seven eighths.
    start(unlimited(), 96);
    BlockSpace other = stager().attach(SPACE + 1, "t", "other");
    stage(1, SPACE + 1, 0, 20);
    while (passed(Passage.STAGED) < 20L * EXTENT) {
      assertThat(step()).isTrue();
    }
    stager().detach(other, VM);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    settle();
    assertThat(passed(Passage.FILLED)).as("it would not be complete").isZero();
    assertThat(counts(space).complete()).isFalse();
    assertThat(space.queue.fill.takeLines())
        .filteredOn(line -> line.contains("t/disk"))
        .singleElement()
        .asString()
        .contains("no free room in its tiers for all that is missing")
        .contains("70 extents")
        .contains("64");
    // Nothing changes, and nothing is said again.
    now.addAndGet(60 * SECOND);
    assertThat(step()).isFalse();
    assertThat(space.queue.fill.takeLines()).isEmpty();
    for (int extent = 0; extent < 6; extent++) {
      stager().expel(other, other.shelves[0], extent);
    }
    settle();
    assertThat(counts(space).complete()).isTrue();
    assertThat(passed(Passage.EVICTED)).isZero();
    assertAccount(space, other);
  }

  @Test
  void fillBringsNoMoreThanItsCapAllows() throws Exception {
    BlockSpace space = start(new FillOptions(FAST, 4), 2 * EXTENTS).attach(SPACE, "t", "disk");
    assertThat(step()).as("nobody has asked for anything").isFalse();
    read(disk(space), 20);
    settle();
    assertThat(passed(Passage.FILLED)).isEqualTo(4 * EXTENT);
    stage(1, SPACE, 60, 2);
    settle();
    assertThat(passed(Passage.FILLED)).isEqualTo((1 + 2) * 4L * EXTENT);
    assertThat(space.queue.fill.takeLines())
        .singleElement()
        .asString()
        .contains("fill.amplification");
    assertAccount(space);
  }

  @Test
  void fillKeepsToItsRate() throws Exception {
    BlockSpace space = start(new FillOptions(QUARTER, 0), 2 * EXTENTS).attach(SPACE, "t", "disk");
    for (int second = 1; second <= 4; second++) {
      assertThat(stager().step("test", buffer)).isTrue();
      assertThat(stager().step("test", buffer)).isFalse();
      now.addAndGet(SECOND);
      assertThat(passed(Passage.FILLED)).isEqualTo((long) second * QUARTER);
    }
    assertThat(counts(space).bytesPerSecond()).isBetween(QUARTER / 2L, QUARTER * 3L / 2);
    // Demand waits for no rate.
    read(disk(space), EXTENTS - 1);
  }

  @Test
  void anOriginThatFailsIsLeftAloneForAWhile() throws Exception {
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    origin.fail(2);
    assertThat(step()).isTrue();
    assertThat(step()).isFalse();
    now.addAndGet(SECOND);
    assertThat(step()).as("tried after a second").isTrue();
    now.addAndGet(SECOND);
    assertThat(step()).as("and then after two").isFalse();
    now.addAndGet(SECOND);
    settle();
    assertThat(counts(space).complete()).isTrue();
    assertThat(space.queue.fill.takeLines()).hasSize(1);
    assertAccount(space);
  }

  @Test
  void demandJoinsAFillInFlight() throws Exception {
    start(unlimited(), 2 * EXTENTS, true);
    origin.allow(0);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    origin.awaitReads(1);
    Read read = begin(disk(space), 3);
    origin.allowAll();
    assertThat(read.end.await(20, TimeUnit.SECONDS)).isTrue();
    assertRight(read);
    assertThat(origin.reads().getFirst().offset()).isZero();
    assertThat(origin.reads().stream().skip(1)).noneMatch(one -> one.offset() == 3L * EXTENT);
  }

  @Test
  void anImageThatItsLastVmLeavesWhileItIsFilledIsLetGo() throws Exception {
    start(unlimited(), 2 * EXTENTS, true);
    origin.allow(0);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    origin.awaitReads(1);
    stager().detach(space, VM);
    assertThat(origin.openImages()).isEqualTo(1);
    origin.allowAll();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (origin.openImages() > 0) {
      assertThat(System.nanoTime()).as("the image is closed").isLessThan(deadline);
      doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), () -> false);
    }
    assertThat(origin.reads()).hasSize(1);
  }

  @Test
  void aLeaseOnWhatFillIsBringingIsRedundant() throws Exception {
    start(unlimited(), 2 * EXTENTS, true);
    origin.allow(0);
    stager().attach(SPACE, "t", "disk");
    origin.awaitReads(1);
    stage(1, SPACE, 2, 2);
    assertThat(stager().takeChanged()).singleElement().matches(state -> state.ended() == 0);
    origin.allowAll();
    assertThat(awaitEnd(1).redundant()).isEqualTo(0b11);
  }

  private LeaseState awaitEnd(long lease) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (System.nanoTime() < deadline) {
      for (LeaseState state : stager().takeChanged()) {
        if (state.leaseId() == lease && state.ended() != 0) {
          return state;
        }
      }
      doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), stager()::hasNews);
    }
    throw new AssertionError("the lease does not end");
  }

  @Test
  void whatALeaseHadReadyAndNobodyUsedStaysOfAnImageThatIsFilled() throws Exception {
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    stage(1, SPACE, 10, 2);
    settle();
    assertThat(stager().takeFilled()).containsExactly(space);
    stager().reclaim(1);
    assertThat(stager().takeChanged().getLast().unused()).isEqualTo(0b11);
    assertThat(counts(space).complete()).isTrue();
    assertThat(passed(Passage.REMOVED)).isZero();
    assertThat(stager().takeFilled()).as("it is told that they are here").containsExactly(space);
  }

  @Test
  void anImageThatIsCompleteIsEvictedLastAndItsLossIsSaid() throws Exception {
    start(unlimited(), 96);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    settle();
    assertThat(counts(space).complete()).isTrue();
    BlockSpace other = stager().attach(SPACE + 1, "t", "other");
    Disk disk = disk(other);
    for (int extent = 0; extent < EXTENTS; extent++) {
      Read read = begin(disk, extent);
      while (read.end.getCount() > 0) {
        assertThat(step()).isTrue();
      }
    }
    assertThat(passed(Passage.EVICTED)).as("what is read makes room for itself").isPositive();
    assertThat(counts(space).complete()).isTrue();
    assertThat(troubles).isEmpty();
    // What is staged and not used cannot leave, so the complete image must.
    for (int first = 0; first < 64; first += 16) {
      stage(1 + first, SPACE + 1, first, 16);
    }
    settle();
    assertThat(counts(space).complete()).isFalse();
    assertThat(troubles).filteredOn(line -> line.startsWith("incomplete")).hasSize(1);
    assertAccount(space, other);
    // What was lost comes from the origin.
    Disk lost = disk(space);
    for (int extent = 0; extent < EXTENTS; extent++) {
      read(lost, extent);
    }
  }

  @Test
  void anExtentThatIsLostEndsCompletenessAndIsFilledAgain() throws Exception {
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    settle();
    stager().expel(space, space.shelves[0], 7);
    assertThat(counts(space).complete()).isFalse();
    assertThat(counts(space).heldBytes()).isEqualTo(image.length - EXTENT);
    settle();
    assertThat(counts(space).complete()).isTrue();
    assertAccount(space);
  }

  @Test
  void anImageThatIsPurgedIsNotCompleteAndBecomesSoOnceMore() throws Exception {
    BlockSpace space = start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    settle();
    assertThat(counts(space).completions()).isEqualTo(1);
    assertThat(tier().purge("t", "disk")).isEqualTo(image.length);
    assertThat(counts(space).complete()).isFalse();
    assertThat(troubles).singleElement().asString().startsWith("incomplete:t/disk ");
    settle();
    assertThat(counts(space).complete()).isTrue();
    assertThat(counts(space).completions()).isEqualTo(2);
    assertAccount(space);
  }

  @Test
  void anImageThatWasTouchedIsCompleteOnceItIsCompared() throws Exception {
    start(unlimited(), 2 * EXTENTS).attach(SPACE, "t", "disk");
    settle();
    stager().close();
    start(unlimited(), 2 * EXTENTS);
    origin.changeUnseen("disk", NOT_IN_THE_SAMPLE * EXTENT);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    assertThat(space.resident().cardinality()).isEqualTo(EXTENTS);
    assertThat(step()).isFalse();
    assertThat(counts(space).complete()).isFalse();
    // As the watch does when no byte differs.
    space.queue.fill.proven(space);
    assertThat(counts(space).complete()).isTrue();
  }

  @Test
  void oneImageThatCannotBeReadKeepsNoOtherWaiting() throws Exception {
    start(unlimited(), 4 * EXTENTS);
    BlockSpace broken = stager().attach(SPACE, "t", "disk");
    BlockSpace other = stager().attach(SPACE + 1, "t", "other");
    origin.fail(1);
    settle();
    assertThat(counts(other).complete()).isTrue();
    assertThat(counts(broken).heldBytes()).isZero();
    now.addAndGet(SECOND);
    settle();
    assertThat(counts(broken).complete()).isTrue();
  }

  @Test
  void aLeaseThatJoinedAFillWhichFailsStagesByItself() throws Exception {
    start(unlimited(), 2 * EXTENTS, true);
    origin.allow(0);
    stager().attach(SPACE, "t", "disk");
    origin.awaitReads(1);
    stage(1, SPACE, 2, 2);
    origin.fail(1);
    origin.allowAll();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    boolean ready = false;
    while (!ready && System.nanoTime() < deadline) {
      for (LeaseState state : stager().takeChanged()) {
        assertThat(state.ended()).isZero();
        ready = state.ready() == 0b11;
      }
      doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), stager()::hasNews);
    }
    assertThat(ready).isTrue();
    assertThat(passed(Passage.STAGED)).isEqualTo(2 * EXTENT);
  }

  @Test
  void anImageThatIsWrittenToIsFilledNoMoreAndOneThatIsCompleteServesWhatItWas() throws Exception {
    start(unlimited(), 4 * EXTENTS);
    BlockSpace complete = stager().attach(SPACE, "t", "disk");
    settle();
    BlockSpace partly = stager().attach(SPACE + 1, "t", "other");
    assertThat(step()).isTrue();
    origin.writeInPlace("disk");
    origin.writeInPlace("other");
    settle();
    assertThat(partly.refusal()).contains("was written to while VMs read it");
    assertThat(counts(partly).complete()).isFalse();
    now.addAndGet(60 * SECOND);
    assertThat(step()).as("it is left alone").isFalse();
    Read refused = begin(disk(partly), 0);
    assertThat(refused.end.getCount()).isZero();
    assertThat(refused.failure()).contains("was written to");
    Disk disk = disk(complete);
    for (int extent = 0; extent < EXTENTS; extent++) {
      read(disk, extent);
    }
  }

  @Test
  void ofAFasterTierFillTakesNoMoreThanHalf() throws Exception {
    Tier fast = tier("ram", 64, new CrashStorage());
    Tier slow = tier("ssd", 48, storage);
    start(unlimited(), new Tiers(List.of(fast, slow), Moves.DEFAULT, this::trouble), false);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    settle();
    assertThat(counts(space).complete()).isTrue();
    assertThat(slow.usedBytes()).as("seven eighths, first").isEqualTo(42L * EXTENT);
    assertThat(fast.usedBytes()).isBetween(27L * EXTENT, 28L * EXTENT);
    stager().close();
    Tier small = tier("ram", 50, new CrashStorage());
    Tier same = tier("ssd", 48, new CrashStorage());
    start(unlimited(), new Tiers(List.of(small, same), Moves.DEFAULT, this::trouble), false);
    BlockSpace tooLarge = stager().attach(SPACE, "t", "disk");
    settle();
    assertThat(tooLarge.heldBytes()).as("70 extents, and room for 25 and 42").isZero();
  }

  @Test
  void aFillThatHungGoesOnWhenTheOriginAnswersThoughNothingElseHappens() throws Exception {
    attemptDeadline = Duration.ofMillis(100);
    start(unlimited(), 2 * EXTENTS, true);
    origin.allow(0);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    origin.awaitReads(1);
    while (List.copyOf(troubles).stream().noneMatch(line -> line.startsWith("origin-hangs"))) {
      passSomeTime();
    }
    assertThat(origin.reads()).as("while a thread hangs").hasSize(1);
    origin.allowAll();
    while (!counts(space).complete()) {
      passSomeTime();
    }
  }

  private void passSomeTime() {
    assertThat(System.nanoTime()).as("it comes to an end").isLessThan(patience);
    now.addAndGet(SECOND / 10);
    doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), () -> false);
  }

  @Test
  void theShortLastExtentCountsAsAWholeOneForTheCap() {
    SpaceFill fill = new SpaceFill(0, false);
    assertThat(fill.landed(100, false, EXTENT, 1)).isFalse();
    assertThat(fill.allowedBytes(1)).isEqualTo(EXTENT);
    boolean _ = fill.landed(EXTENT, true, EXTENT, 1);
    assertThat(fill.allowedBytes(1)).isZero();
  }
}
