package dev.prestage.dataplane.bandwidth;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Hierarchical token buckets of one link: the link, below it the VMs' demand, and below all of
/// that staging.
///
/// Each bucket is one number, the time until which it is paid for (the virtual scheduling of ITU-T
/// I.371, the "generic cell rate algorithm"): it gives while that time has come, and each take
/// moves it on by bytes ÷ rate. Who takes next follows Linux' `htb`: first those whose guarantee is
/// not used up, then those who borrow what others leave, in equal parts (by start times: Goyal, Vin
/// and Cheng, "Start-time Fair Queueing", SIGCOMM 1996), none beyond its ceiling, and staging last.
///
/// Over any time `t` no more than `capacity × (t + 20 ms)` and one take passes. Nothing is
/// allocated on the way to a decision, and there is no lock: the caller has one.
public final class TokenTree {
  /// So late a taker may come without losing what it did not take meanwhile: a thread that sleeps
  /// wakes up some 0.1 ms late, and up to 10 ms where processors are busy.
  static final long TOLERANCE_NANOS = Duration.ofMillis(20).toNanos();

  /// Of a capacity, at most 15 in 16 are promised, so that those without a promise go on.
  private static final int PROMISED_SIXTEENTHS = 15;

  private static final int SIXTEENTHS = 16;

  /// While there is demand on the link, staging gets a fortieth of it: half of what it may slow
  /// demand down.
  private static final int STAGING_BESIDE_DEMAND = 40;

  /// Demand of a guest that reads one block after the other is there again within this time.
  private static final long DEMAND_LASTS_NANOS = Duration.ofMillis(100).toNanos();

  private static final long NANOS_PER_SECOND = 1_000_000_000L;

  private long bytesPerSecond;
  private final boolean paced;
  private final List<Share> shares = new ArrayList<>();
  private long promised;
  private long paidNanos = Long.MIN_VALUE / 2;
  private long stagingPaidNanos = Long.MIN_VALUE / 2;
  private long demandedNanos = Long.MIN_VALUE / 2;
  private long virtualBytes;
  private long waitNanos;

  /// One VM on the link.
  public static final class Share {
    final String vm;
    private long ceiling;
    private long guarantee;
    private long guaranteePaidNanos = Long.MIN_VALUE / 2;
    private long ceilingPaidNanos = Long.MIN_VALUE / 2;
    private long finishBytes;
    private int waiting;
    private boolean borrows;

    Share(String vm) {
      this.vm = vm;
    }

    /// What is promised to it, in bytes per second.
    public long guarantee() {
      return guarantee;
    }

    /// How many of its reads wait.
    public int waiting() {
      return waiting;
    }
  }

  /// The buckets of a link.
  ///
  /// @param bytesPerSecond what the link moves; 0 if that is not known yet
  /// @param paced whether takes are held to that; else only their order and promises are
  TokenTree(long bytesPerSecond, boolean paced) {
    if (bytesPerSecond < 0 || (paced && bytesPerSecond == 0)) {
      throw new IllegalArgumentException("no link of " + bytesPerSecond + " bytes per second");
    }
    this.bytesPerSecond = bytesPerSecond;
    this.paced = paced;
  }

  /// What the link moves, in bytes per second; 0 if that is not known.
  long bytesPerSecond() {
    return bytesPerSecond;
  }

  /// The link was measured; for one that is not paced.
  void measured(long rate) {
    bytesPerSecond = rate;
  }

  /// What is promised in all, in bytes per second.
  long promised() {
    return promised;
  }

  /// One more VM.
  Share add(String vm) {
    Share share = new Share(vm);
    share.finishBytes = virtualBytes;
    shares.add(share);
    return share;
  }

  /// A VM goes, of which no read waits; what was promised to it is free again.
  void remove(Share share) {
    if (share.waiting > 0 || !shares.remove(share)) {
      throw new IllegalStateException(share.vm + " cannot leave the link");
    }
    giveBack(share, share.guarantee);
  }

  /// The most that a VM gets, in bytes per second; 0 for all that there is.
  void limit(Share share, long rate) {
    share.ceiling = rate;
  }

  /// Promises more to a VM, if there is that much.
  ///
  /// @return whether it is promised now
  boolean promise(Share share, long rate) {
    if (promised + rate > bytesPerSecond / SIXTEENTHS * PROMISED_SIXTEENTHS) {
      return false;
    }
    promised += rate;
    share.guarantee += rate;
    return true;
  }

  /// Takes some of a promise back.
  void giveBack(Share share, long rate) {
    if (rate > share.guarantee) {
      throw new IllegalStateException("gives back " + rate + " of " + share.guarantee);
    }
    promised -= rate;
    share.guarantee -= rate;
  }

  /// One more read of a VM waits.
  static void waits(Share share) {
    share.waiting++;
  }

  /// A read that waited is not the link's any more.
  static void leaves(Share share) {
    share.waiting--;
  }

  /// Whose read is next, or null if that is nobody's now; [#waitNanos] then says how long not. The
  /// caller takes for it, or asks again later.
  @Nullable Share next(long nowNanos) {
    waitNanos = paced ? paidNanos - nowNanos : 0;
    if (waitNanos > 0) {
      return null;
    }
    waitNanos = Long.MAX_VALUE;
    Share promisedTo = null;
    Share borrower = null;
    for (int i = 0; i < shares.size(); i++) {
      Share share = shares.get(i);
      if (share.waiting == 0) {
        continue;
      }
      if (share.guarantee > 0 && share.guaranteePaidNanos <= nowNanos) {
        if (promisedTo == null || share.guaranteePaidNanos < promisedTo.guaranteePaidNanos) {
          promisedTo = share;
        }
      } else if (share.ceiling > 0 && share.ceilingPaidNanos > nowNanos) {
        waitNanos = Math.min(waitNanos, share.ceilingPaidNanos - nowNanos);
      } else if (borrower == null || start(share) < start(borrower)) {
        borrower = share;
      }
    }
    Share next = promisedTo == null ? borrower : promisedTo;
    if (next != null) {
      waitNanos = 0;
      next.borrows = promisedTo == null;
    } else if (waitNanos == Long.MAX_VALUE) {
      waitNanos = 0;
    }
    return next;
  }

  private long start(Share share) {
    return Math.max(virtualBytes, share.finishBytes);
  }

  /// How long nothing goes, as the last question found; 0 if nothing waits.
  long waitNanos() {
    return waitNanos;
  }

  /// The read of the VM that [#next] named goes.
  void take(Share share, int bytes, long nowNanos) {
    share.waiting--;
    demandedNanos = nowNanos;
    pay(bytes, nowNanos);
    if (share.borrows || share.guarantee == 0) {
      virtualBytes = start(share);
      share.finishBytes = virtualBytes + bytes;
    } else {
      share.guaranteePaidNanos = paid(share.guaranteePaidNanos, bytes, share.guarantee, nowNanos);
    }
    if (share.ceiling > 0) {
      share.ceilingPaidNanos = paid(share.ceilingPaidNanos, bytes, share.ceiling, nowNanos);
    }
  }

  private void pay(int bytes, long nowNanos) {
    if (bytesPerSecond > 0) {
      paidNanos = paid(paidNanos, bytes, bytesPerSecond, nowNanos);
    }
  }

  private static long paid(long before, int bytes, long rate, long nowNanos) {
    return Math.max(before, nowNanos - TOLERANCE_NANOS) + bytes * NANOS_PER_SECOND / rate;
  }

  /// Whether staging may take, while no demand may; else [#waitNanos] says how long not.
  boolean mayStage(long nowNanos) {
    waitNanos = paced ? Math.max(0, paidNanos - nowNanos) : 0;
    if (nowNanos - demandedNanos < DEMAND_LASTS_NANOS) {
      waitNanos = Math.max(waitNanos, stagingPaidNanos - nowNanos);
    }
    return waitNanos <= 0;
  }

  /// Staging takes.
  void takeStaging(int bytes, long nowNanos) {
    pay(bytes, nowNanos);
    if (bytesPerSecond > 0) {
      long rate = Math.max(1, bytesPerSecond / STAGING_BESIDE_DEMAND);
      stagingPaidNanos = paid(stagingPaidNanos, bytes, rate, nowNanos);
    }
  }
}
