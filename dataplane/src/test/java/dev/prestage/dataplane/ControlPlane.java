package dev.prestage.dataplane;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/// The other end of the link, for tests: says what it is told to, and remembers all that it hears.
final class ControlPlane implements AutoCloseable {
  private static final long PATIENCE_SECONDS = 20;
  private static final int LAST_HEARD = 5;

  private final Link link;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition heard = lock.newCondition();
  private final List<Frame> frames = new ArrayList<>();
  private final Thread receiver;
  private boolean ended;
  private long requests;

  ControlPlane(Path socket) throws IOException {
    this.link = Link.connect(socket, new Frame.Hello(FrameCodec.VERSION, 1, 1));
    this.receiver = Thread.ofPlatform().daemon().start(this::receive);
  }

  private void receive() {
    try {
      while (true) {
        Frame frame = link.receive();
        hear(frame);
      }
    } catch (IOException _) {
      lock.lock();
      try {
        ended = true;
        heard.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  private void hear(Frame frame) {
    lock.lock();
    try {
      frames.add(frame);
      heard.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /// Which start of the data plane this is.
  long instance() {
    return link.peer().instance();
  }

  void send(Frame frame) throws IOException {
    link.send(frame);
  }

  /// Attaches and waits for the answer.
  Frame.Answer attach(int vm, String vmName, int space, String image) throws Exception {
    long id = ++requests;
    link.send(new Frame.Bind(id, vm, vmName, space, ResourceType.FILE_BLOCK, "default", image));
    return await(Frame.Answer.class, answer -> answer.requestId() == id);
  }

  Frame.Answer detach(int vm) throws Exception {
    long id = ++requests;
    link.send(new Frame.Unbind(id, vm));
    return await(Frame.Answer.class, answer -> answer.requestId() == id);
  }

  /// Stages and waits until every extent is ready or has ended.
  LeaseState stage(Lease lease) throws Exception {
    link.send(new Frame.Stage(lease));
    return awaitLease(lease.id(), s -> (s.ready() | s.ended()) == lease.mask());
  }

  /// Waits for a state of a lease.
  LeaseState awaitLease(long id, Predicate<LeaseState> condition) throws Exception {
    Frame.Leases found =
        await(
            Frame.Leases.class,
            leases ->
                leases.states().stream().anyMatch(s -> s.leaseId() == id && condition.test(s)));
    return found.states().stream()
        .filter(s -> s.leaseId() == id && condition.test(s))
        .findFirst()
        .orElseThrow();
  }

  /// Waits for a frame, which may have come already.
  <T extends Frame> T await(Class<T> type, Predicate<T> condition) throws Exception {
    long left = TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    lock.lock();
    try {
      int seen = 0;
      while (true) {
        for (; seen < frames.size(); seen++) {
          if (type.isInstance(frames.get(seen)) && condition.test(type.cast(frames.get(seen)))) {
            return type.cast(frames.get(seen));
          }
        }
        if (ended || left <= 0) {
          throw new AssertionError(
              (ended ? "the link ended" : "nothing came")
                  + "; heard last: "
                  + frames.subList(Math.max(0, frames.size() - LAST_HEARD), frames.size()));
        }
        left = heard.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  /// Waits until the data plane has hung up.
  void awaitEnd() throws InterruptedException {
    receiver.join(TimeUnit.SECONDS.toMillis(PATIENCE_SECONDS));
    if (receiver.isAlive()) {
      throw new AssertionError("the link is still open");
    }
  }

  /// Everything of a kind so far.
  <T extends Frame> List<T> heard(Class<T> type) {
    lock.lock();
    try {
      return frames.stream().filter(type::isInstance).map(type::cast).toList();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() throws IOException {
    link.close();
  }
}
