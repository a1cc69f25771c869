package dev.prestage.dataplane.block;

/// How far the fill of one image is. Guarded by the [BlockStager]'s lock, except for what is
/// volatile.
final class SpaceFill {
  private static final double NANOS_PER_SECOND = 1e9;

  /// The rate is that of the last seconds: a fetch of 1 MiB at 1 MiB/s must not look like a burst.
  private static final double MEMORY_SECONDS = 10;

  /// Why an image is not filled any further.
  enum Stop {
    NONE(""),
    ROOM("there is no free room in its tiers for all that is missing of it"),
    AMPLIFICATION("'fill.amplification' allows no more of it until more of it is asked for");

    private final String text;

    Stop(String text) {
      this.text = text;
    }
  }

  /// Bytes that came for another reason than fill, or were here before.
  private long otherBytes;

  private long filledBytes;

  /// Where the search for what is missing goes on.
  int cursor;

  /// How long fill leaves it alone after it failed, and until when.
  long pauseNanos;

  long pausedUntilNanos = Long.MIN_VALUE;

  Stop stop = Stop.NONE;

  /// When it was last said that the fill stops, or 0.
  long saidNanos;

  /// Others must hear what is here now.
  boolean news;

  private long untoldBytes;
  private volatile boolean complete;
  private long completions;
  private double recentBytes;
  private long recentNanos;
  private long firstNanos;

  /// What is here is to be compared with the image, so that it cannot be complete yet.
  volatile boolean doubtful;

  SpaceFill(long foundBytes, boolean doubtful) {
    long extents = (foundBytes + TierFile.EXTENT_BYTES - 1) / TierFile.EXTENT_BYTES;
    this.otherBytes = extents * TierFile.EXTENT_BYTES;
    this.doubtful = doubtful;
  }

  /// Whether all of the image is in the tiers of this host.
  boolean isComplete() {
    return complete;
  }

  void setComplete(boolean now) {
    if (now && !complete) {
      completions++;
    }
    complete = now;
  }

  /// How often the image became complete.
  long completions() {
    return completions;
  }

  String stopText() {
    return stop.text;
  }

  /// Bytes have come to a tier.
  ///
  /// @param byFill whether fill brought them, and nobody wanted them meanwhile
  /// @return whether so many came by fill that it should be told
  boolean landed(int bytes, boolean byFill, long sizeBytes, long nowNanos) {
    // The image's last extent counts as a whole one: it is asked for, and filled, as one.
    if (!byFill) {
      otherBytes += TierFile.EXTENT_BYTES;
      return false;
    }
    filledBytes += TierFile.EXTENT_BYTES;
    if (firstNanos == 0) {
      firstNanos = nowNanos;
    }
    recentBytes = recent(nowNanos) + bytes;
    recentNanos = nowNanos;
    untoldBytes += bytes;
    // What is told takes a bit for each extent of the image: 64 times in all.
    if (untoldBytes < sizeBytes / Long.SIZE) {
      return false;
    }
    untoldBytes = 0;
    return true;
  }

  private double recent(long nowNanos) {
    return recentBytes * Math.exp(-seconds(nowNanos - recentNanos) / MEMORY_SECONDS);
  }

  private static double seconds(long nanos) {
    return nanos / NANOS_PER_SECOND;
  }

  /// What fill has brought lately, in bytes per second.
  long bytesPerSecond(long nowNanos) {
    if (firstNanos == 0) {
      return 0;
    }
    // Younger than its memory, it has less to remember.
    double age = Math.max(1, seconds(nowNanos - firstNanos));
    return (long) (recent(nowNanos) / (MEMORY_SECONDS * (1 - Math.exp(-age / MEMORY_SECONDS))));
  }

  /// How many bytes fill may bring yet, given its cap; 0 for none.
  long allowedBytes(double amplification) {
    return amplification == 0
        ? Long.MAX_VALUE
        : Math.max(0, (long) (amplification * otherBytes) - filledBytes);
  }
}
