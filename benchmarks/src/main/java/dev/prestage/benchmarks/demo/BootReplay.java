package dev.prestage.benchmarks.demo;

import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.DoubleConsumer;

/// Replays a recorded boot against an NBD export as the guest would read from it.
///
/// A read that was asked after others had been answered is asked after the same ones have been answered here, plus the
/// time that the guest then thought; reads that overlapped overlap again. So a slower disk slows the replay as it would have slowed the guest.
/// The recorded guest ran in software emulation, which thinks slowly: its think time is divided by [#THINK_DIVISOR].
final class BootReplay {
  /// Software emulation runs some 20 times slower than the hardware that VMs run on.
  static final int THINK_DIVISOR = 20;

  /// No guest here has more reads in flight; what lies further back was answered long ago.
  private static final int MAX_OVERLAP = 256;

  private static final long ANSWER_SECONDS = 60;

  private final Recording recording;
  private final SeededImage image;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition answered = lock.newCondition();
  private final long[] doneNanos;
  private int outstanding;
  private long busySince;
  private long stallNanos;
  private long verifiedBytes;
  private String failure = "";

  /// What came of it.
  ///
  /// @param runSeconds from the VM's start to the last answer
  /// @param stallSeconds in which at least one read was outstanding
  /// @param reads how many were asked
  /// @param bytesVerified read and compared with the image
  record Result(double runSeconds, double stallSeconds, int reads, long bytesVerified) {}

  private BootReplay(Recording recording, SeededImage image) {
    this.recording = recording;
    this.image = image;
    this.doneNanos = new long[recording.reads().size()];
  }

  /// Runs to the end.
  ///
  /// @param startVm is called when the VM's clock starts
  /// @param progress hears the share that is done, 0 to 1
  /// @throws IOException if a read fails or a byte is wrong
  static Result run(
      Recording recording,
      SeededImage image,
      Path socket,
      String export,
      VmStart startVm,
      DoubleConsumer progress)
      throws IOException {
    try (NbdClient client = NbdClient.connect(UnixDomainSocketAddress.of(socket), export)) {
      startVm.run();
      return new BootReplay(recording, image).replay(client, progress);
    }
  }

  /// Starts the VM.
  interface VmStart {
    void run() throws IOException;
  }

  private Result replay(NbdClient client, DoubleConsumer progress) throws IOException {
    List<Recording.Read> reads = recording.reads();
    long started = System.nanoTime();
    Moment asked = new Moment(0, started);
    for (int i = 0; i < reads.size(); i++) {
      Recording.Read read = reads.get(i);
      Moment cause = awaitEarlier(i, asked);
      long think = TimeUnit.MICROSECONDS.toNanos(read.startMicros() - cause.recordedMicros());
      parkUntil(cause.nanos() + think / THINK_DIVISOR);
      asked = new Moment(read.startMicros(), System.nanoTime());
      ask(client, i, read);
      progress.accept((i + 1.0) / reads.size());
    }
    awaitAll(reads.size());
    double run = (System.nanoTime() - started) / 1e9;
    return new Result(run, stallNanos / 1e9, reads.size(), verifiedBytes);
  }

  /// One event, in the recording's time and in this replay's.
  private record Moment(long recordedMicros, long nanos) {}

  /// Waits for the reads that were answered in the recording before this one was asked.
  ///
  /// @param asked the previous read
  /// @return what this read followed: the last of those answers, or the previous read if that was later
  private Moment awaitEarlier(int i, Moment asked) throws IOException {
    List<Recording.Read> reads = recording.reads();
    long start = reads.get(i).startMicros();
    Moment last = asked;
    lock.lock();
    try {
      for (int j = i - 1; j >= 0 && j >= i - MAX_OVERLAP; j--) {
        long end = reads.get(j).endMicros();
        if (end <= start) {
          await(j);
          if (end > last.recordedMicros()) {
            last = new Moment(end, doneNanos[j]);
          }
        }
      }
    } finally {
      lock.unlock();
    }
    return last;
  }

  private void awaitAll(int reads) throws IOException {
    lock.lock();
    try {
      for (int j = 0; j < reads; j++) {
        await(j);
      }
    } finally {
      lock.unlock();
    }
  }

  private void await(int j) throws IOException {
    long left = TimeUnit.SECONDS.toNanos(ANSWER_SECONDS);
    try {
      while (doneNanos[j] == 0 && failure.isEmpty() && left > 0) {
        left = answered.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      failure = "interrupted";
    }
    if (!failure.isEmpty()) {
      throw new IOException(recording.name() + ": " + failure);
    }
    if (doneNanos[j] == 0) {
      throw new IOException(
          recording.name() + ": read " + j + " had no answer within " + ANSWER_SECONDS + " s");
    }
  }

  private void ask(NbdClient client, int i, Recording.Read read) throws IOException {
    lock.lock();
    try {
      if (outstanding++ == 0) {
        busySince = System.nanoTime();
      }
    } finally {
      lock.unlock();
    }
    client.read(read.offset(), read.length(), (error, bytes) -> answer(i, read, error, bytes));
  }

  private void answer(int i, Recording.Read read, int error, ByteBuffer bytes) {
    long now = System.nanoTime();
    String wrong = error == 0 ? verify(read, bytes) : "read " + i + " failed with NBD error " + error;
    lock.lock();
    try {
      if (--outstanding == 0) {
        stallNanos += now - busySince;
      }
      verifiedBytes += wrong.isEmpty() ? read.length() : 0;
      failure = failure.isEmpty() ? wrong : failure;
      doneNanos[i] = now;
      answered.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private String verify(Recording.Read read, ByteBuffer bytes) {
    if (bytes.remaining() != read.length()) {
      return "a read of " + read.length() + " bytes was answered with " + bytes.remaining();
    }
    long wrong = image.firstWrong(read.offset(), bytes);
    return wrong < 0 ? "" : "byte " + wrong + " of the image is wrong";
  }

  private static void parkUntil(long nanos) {
    for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }
}
