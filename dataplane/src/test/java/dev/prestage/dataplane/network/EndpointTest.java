package dev.prestage.dataplane.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// One endpoint on real sockets, with a lock in whose queue the test orders the threads.
class EndpointTest {
  private static final InetAddress LOOPBACK = InetAddress.ofLiteral("127.0.0.1");
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(20);

  private final ReentrantLock lock = new ReentrantLock(true);
  private final AccessRing ring = new AccessRing(1024, new Doorbell());
  private final List<AutoCloseable> open = new ArrayList<>();

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private <T extends AutoCloseable> T opened(T what) {
    open.add(what);
    return what;
  }

  private Endpoint endpoint(int upstreamPort, Trouble trouble) throws IOException {
    Host host = new Host(ring, new Doorbell(), trouble, new HostClock(), _ -> {});
    Loop loop = opened(new Loop());
    Endpoint endpoint =
        new Endpoint(
            "vm1/db",
            5,
            50,
            Upstream.of("127.0.0.1:" + upstreamPort),
            new InetSocketAddress(LOOPBACK, 0),
            lock,
            new Reserve(lock, host),
            loop,
            new Buffers(),
            host);
    open.add(endpoint::close);
    endpoint.start();
    return endpoint;
  }

  private Socket guest(Endpoint endpoint) throws IOException {
    Socket guest = opened(new Socket(LOOPBACK, endpoint.port()));
    guest.setSoTimeout(20_000);
    return guest;
  }

  /// A server that says one byte to each and hears until its end.
  private ServerSocket upstream() throws IOException {
    ServerSocket server = opened(new ServerSocket(0, 50, LOOPBACK));
    Thread.ofVirtual()
        .start(() -> {
          try {
            while (true) {
              Socket connection = server.accept();
              Thread.ofVirtual().start(() -> greet(connection));
            }
          } catch (IOException _) {
            // closed
          }
        });
    return server;
  }

  private static void greet(Socket connection) {
    try (connection) {
      connection.getOutputStream().write(1);
      InputStream in = connection.getInputStream();
      while (in.read() >= 0) {
        // Until its end.
      }
    } catch (IOException _) {
      // the other end is gone
    }
  }

  private static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime() - deadline).as(what).isNegative();
      LockSupport.parkNanos(100_000);
    }
  }

  private int inUse(Endpoint endpoint) {
    lock.lock();
    try {
      return endpoint.inUse();
    } finally {
      lock.unlock();
    }
  }

  /// What is said of levels, without the answers to those who waited.
  private List<String> said() {
    List<String> said = new ArrayList<>();
    ring.drain(
        (_, _, level, _, _, type, _, waited, latency) -> {
          if (type == AccessType.RELEASE) {
            said.add("released " + level);
          } else if (!waited || latency == Access.PENDING) {
            said.add("taken " + level);
          }
        },
        1024);
    return said;
  }

  @Test
  void aLevelIsTakenBeforeItIsGivenUpHoweverTheThreadsMeet() throws Exception {
    Endpoint endpoint = endpoint(upstream().getLocalPort(), (_, _) -> {});
    Socket first = guest(endpoint);
    assertThat(first.getInputStream().read()).isEqualTo(1);
    await(() -> inUse(endpoint) == 1, "the first has its level");
    Socket second;
    lock.lock();
    try {
      second = guest(endpoint);
      await(() -> lock.getQueueLength() == 1, "the second one waits for its level");
      first.close();
      await(() -> lock.getQueueLength() == 2, "the first one's level is about to be given up");
    } finally {
      lock.unlock();
    }
    assertThat(second.getInputStream().read()).isEqualTo(1);
    second.close();
    await(() -> inUse(endpoint) == 0, "all levels are given up");
    assertThat(said()).containsExactly("taken 0", "taken 1", "released 1", "released 0");
  }

  @Test
  void aDefectInTheHandlingOfAGuestCostsTheGuestAndNotItsLevel() throws Exception {
    int nobody;
    try (ServerSocket gone = new ServerSocket(0, 1, LOOPBACK)) {
      nobody = gone.getLocalPort();
    }
    Endpoint endpoint =
        endpoint(
            nobody,
            (_, _) -> {
              throw new IllegalStateException("a defect");
            });
    for (int i = 0; i < 3; i++) {
      Socket guest = guest(endpoint);
      assertThatThrownBy(() -> guest.getInputStream().read())
          .isInstanceOf(SocketException.class)
          .hasMessageContaining("reset");
    }
    await(() -> inUse(endpoint) == 0, "all levels are given up");
    assertThat(said()).hasSize(6).endsWith("released 0");
  }
}
