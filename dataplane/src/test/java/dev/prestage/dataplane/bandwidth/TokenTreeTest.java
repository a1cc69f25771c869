package dev.prestage.dataplane.bandwidth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.dataplane.bandwidth.TokenTree.Share;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Who may take from a link, under a clock of the test.
class TokenTreeTest {
  private static final long SECOND = 1_000_000_000L;
  private static final long CAPACITY = 20_000_000;
  private static final int READ = 65_536;

  private final TokenTree tree = new TokenTree(CAPACITY, true);
  private final Map<Share, Long> passed = new HashMap<>();
  private long staged;
  private long now = 1_000 * SECOND;

  private record Take(long nanos, int bytes) {}

  private final List<Take> takes = new ArrayList<>();

  /// VMs that always have a read waiting, for so long.
  private void contend(List<Share> greedy, boolean staging, long nanos) {
    long end = now + nanos;
    while (now < end) {
      for (Share share : greedy) {
        while (share.waiting() == 0) {
          TokenTree.waits(share);
        }
      }
      step(staging);
    }
  }

  private void step(boolean staging) {
    Share next = tree.next(now);
    long wait = tree.waitNanos();
    if (next != null) {
      tree.take(next, READ, now);
      takes.add(new Take(now, READ));
      passed.merge(next, (long) READ, Long::sum);
    } else if (staging && tree.mayStage(now)) {
      tree.takeStaging(READ, now);
      takes.add(new Take(now, READ));
      staged += READ;
    } else {
      now += Math.max(100_000, wait);
    }
  }

  private double share(Share of, long nanos) {
    return passed.getOrDefault(of, 0L) / (CAPACITY * (nanos / (double) SECOND));
  }

  @Test
  void thoseWithoutPromiseShareTheLinkEqually() {
    List<Share> shares = List.of(tree.add("a"), tree.add("b"), tree.add("c"), tree.add("d"));
    contend(shares, false, 10 * SECOND);
    shares.forEach(each -> assertThat(share(each, 10 * SECOND)).isCloseTo(0.25, within(0.01)));
  }

  @Test
  void promiseIsKeptUnderContentionFromTheFirstTake() {
    List<Share> shares = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      shares.add(tree.add("vm" + i));
    }
    contend(shares.subList(1, 8), false, 5 * SECOND);
    assertThat(tree.promise(shares.getFirst(), CAPACITY / 2)).isTrue();
    passed.clear();
    contend(shares, false, SECOND);
    assertThat(share(shares.getFirst(), SECOND)).isGreaterThan(0.5);
    assertThat(share(shares.getLast(), SECOND)).isGreaterThan(0.04);
  }

  @Test
  void whatIsPromisedAndUnusedIsBorrowed() {
    Share idle = tree.add("idle");
    Share greedy = tree.add("greedy");
    assertThat(tree.promise(idle, CAPACITY / 4 * 3)).isTrue();
    contend(List.of(greedy), false, 5 * SECOND);
    assertThat(share(greedy, 5 * SECOND)).isGreaterThan(0.99);
  }

  @Test
  void nobodyPassesItsCeiling() {
    Share limited = tree.add("limited");
    Share other = tree.add("other");
    tree.limit(limited, CAPACITY / 10);
    contend(List.of(limited, other), false, 5 * SECOND);
    assertThat(share(limited, 5 * SECOND)).isCloseTo(0.1, within(0.01));
    assertThat(share(other, 5 * SECOND)).isCloseTo(0.9, within(0.02));
  }

  @Test
  void noMoreIsPromisedThanThereIs() {
    Share one = tree.add("one");
    Share two = tree.add("two");
    assertThat(tree.promise(one, CAPACITY / 2)).isTrue();
    assertThat(tree.promise(two, CAPACITY / 2)).isFalse();
    assertThat(tree.promise(two, CAPACITY / 4)).isTrue();
    tree.giveBack(one, CAPACITY / 2);
    assertThat(tree.promise(two, CAPACITY / 2)).isTrue();
    tree.remove(two);
    assertThat(tree.promised()).isZero();
  }

  @Test
  void nothingIsPromisedOfALinkThatNobodyMeasured() {
    TokenTree unknown = new TokenTree(0, false);
    Share share = unknown.add("vm");
    assertThat(unknown.promise(share, 1)).isFalse();
    unknown.measured(CAPACITY);
    assertThat(unknown.promise(share, CAPACITY / 2)).isTrue();
  }

  @Test
  void stagingUsesTheLinkWhenNobodyElseDoes() {
    contend(List.of(), true, 5 * SECOND);
    assertThat(staged).isGreaterThan(CAPACITY * 5 * 99 / 100);
  }

  @Test
  void stagingBesideAGuestThatReadsOneAfterTheOtherGetsAFortieth() {
    Share guest = tree.add("guest");
    // A read at a time, each asked for 3 ms after the one before was answered: the link is free
    // half of the time.
    long end = now + 5 * SECOND;
    long asks = now;
    while (now < end) {
      if (now >= asks && guest.waiting() == 0) {
        TokenTree.waits(guest);
      }
      long before = passed.getOrDefault(guest, 0L);
      step(true);
      if (passed.getOrDefault(guest, 0L) > before) {
        asks = now + READ * SECOND / CAPACITY + 3_000_000;
      }
    }
    assertThat(staged).isLessThan(CAPACITY * 5 / 38);
    assertThat(staged).isPositive();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void noWindowPassesMoreThanTheCapacityAndPromisesAreKept(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Share> shares = new ArrayList<>();
    for (int i = 0; i < 2 + random.nextInt(10); i++) {
      Share share = tree.add("vm" + i);
      shares.add(share);
      if (random.nextBoolean()) {
        boolean _ = tree.promise(share, random.nextLong(CAPACITY / 4));
      }
    }
    assertThat(tree.promised()).isLessThan(CAPACITY);
    long began = now;
    for (int phase = 0; phase < 20; phase++) {
      List<Share> greedy = shares.stream().filter(_ -> random.nextInt(4) > 0).toList();
      passed.clear();
      long from = now;
      contend(greedy, random.nextBoolean(), SECOND / 4 + random.nextLong(SECOND / 2));
      for (Share share : greedy) {
        double kept = share.guarantee() * ((now - from) / (double) SECOND);
        assertThat(passed.getOrDefault(share, 0L) + 13.0 * READ)
            .as("seed %d, phase %d, %s", seed, phase, share.vm)
            .isGreaterThanOrEqualTo(kept);
      }
      if (random.nextInt(3) == 0) {
        now += random.nextLong(SECOND);
      }
      Share one = shares.get(random.nextInt(shares.size()));
      tree.giveBack(one, one.guarantee() / 2);
      boolean _ = tree.promise(one, random.nextLong(CAPACITY / 8));
    }
    assertThat(now).isGreaterThan(began);
    for (long window : new long[] {SECOND / 100, SECOND / 10, SECOND, 3 * SECOND}) {
      assertThat(mostIn(window))
          .as("seed %d, %d ns", seed, window)
          .isLessThanOrEqualTo(
              (window + TokenTree.TOLERANCE_NANOS) / 1000 * CAPACITY / 1_000_000 + 2L * READ);
    }
  }

  private long mostIn(long window) {
    long most = 0;
    long sum = 0;
    int first = 0;
    for (Take take : takes) {
      sum += take.bytes();
      while (takes.get(first).nanos() <= take.nanos() - window) {
        sum -= takes.get(first++).bytes();
      }
      most = Math.max(most, sum);
    }
    return most;
  }
}
