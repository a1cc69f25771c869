package dev.prestage.benchmarks.api;

import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/// What VM managers, people and monitoring ask of a host with many VMs.
final class RequestMix {
  /// One kind of request and its share of all, in hundredths.
  enum Kind {
    VM(40),
    VMS(2),
    LEASES(8),
    ALLOCATE(10),
    ALLOCATION(10),
    START(6),
    STOP(6),
    FORECAST(16),
    TOP(2),
    /// Once a second, whatever the rate; its share is none of the hundred.
    METRICS(0);

    private final int share;

    Kind(int share) {
      this.share = share;
    }
  }

  /// @param method of HTTP
  /// @param json the body, or empty
  record Request(Kind kind, String method, String path, String json) {}

  private final int vms;
  private final int perSecond;
  private final long seed;
  private final AtomicLong lastAllocation = new AtomicLong(1);

  RequestMix(int vms, int perSecond, long seed) {
    this.vms = vms;
    this.perSecond = perSecond;
    this.seed = seed;
  }

  /// An allocation that may be asked about later.
  void allocated(long id) {
    lastAllocation.set(id);
  }

  /// The request with this number; the same numbers make the same requests.
  Request request(int number) {
    SplittableRandom random = new SplittableRandom(seed * 1_000_003 + number);
    String vm = ApiSetting.vm(random.nextInt(vms));
    Kind kind = number % perSecond == 0 ? Kind.METRICS : kind(random.nextInt(100));
    return switch (kind) {
      case VM -> get(kind, "/v1/vms/" + vm);
      case VMS -> get(kind, "/v1/vms");
      case LEASES -> get(kind, "/v1/leases?limit=20");
      case ALLOCATE -> new Request(kind, "POST", "/v1/allocations", ApiSetting.json("vm", vm));
      case ALLOCATION -> get(kind, "/v1/allocations/" + lastAllocation.get());
      case START -> new Request(kind, "POST", "/v1/vms/" + vm + "/start", "");
      case STOP -> new Request(kind, "POST", "/v1/vms/" + vm + "/stop", "");
      case FORECAST -> get(kind, "/v1/vms/" + vm + "/forecast?limit=20");
      case TOP -> get(kind, "/v1/history/top?since=5s&limit=20");
      case METRICS -> get(kind, "/metrics");
    };
  }

  private static Kind kind(int hundredth) {
    int left = hundredth;
    for (Kind kind : Kind.values()) {
      if (left < kind.share) {
        return kind;
      }
      left -= kind.share;
    }
    throw new IllegalStateException("the shares are not a hundred");
  }

  private static Request get(Kind kind, String path) {
    return new Request(kind, "GET", path, "");
  }
}
