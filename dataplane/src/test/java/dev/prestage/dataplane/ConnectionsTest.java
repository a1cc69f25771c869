package dev.prestage.dataplane;

import static dev.prestage.dataplane.Guests.assertEchoes;
import static dev.prestage.dataplane.Guests.assertReset;
import static dev.prestage.dataplane.Guests.guest;
import static dev.prestage.dataplane.Guests.receive;
import static dev.prestage.dataplane.Guests.send;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.Frame;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Guests' connections through a data plane, on real sockets.
class ConnectionsTest {
  private static final int DATABASE = 5;
  private static final int SPACE = 50;
  private static final int LEVELS = 100;

  private @TempDir Path directory;
  private Site site;
  private DataPlane plane;
  private ControlPlane control;
  private long requests = 900;

  @BeforeEach
  void start() throws Exception {
    site = new Site(directory);
    plane = site.start();
    control = site.control();
  }

  @AfterEach
  void stop() throws Exception {
    control.close();
    plane.close();
  }

  private Frame.Answer bind(int binding, String source) throws Exception {
    long id = ++requests;
    control.send(
        new Frame.Bind(
            id,
            binding,
            "vm1/" + binding,
            SPACE,
            ResourceType.NETWORK_CONNECTION,
            "default",
            source));
    return control.await(Frame.Answer.class, answer -> answer.requestId() == id);
  }

  private String bind(TestUpstream upstream) throws Exception {
    return bind(DATABASE, upstream.source()).address();
  }

  private static Lease lease(long id, int first, int units) {
    return lease(id, first, units, Long.MAX_VALUE);
  }

  private static Lease lease(long id, int first, int units, long untilNanos) {
    return new Lease(id, DATABASE, new Range(SPACE, first, units), 0, 1, 0, 0, untilNanos);
  }

  private Frame.AccessRecord access(int level, AccessType type, boolean waited, boolean answered)
      throws Exception {
    Frame.Accesses found =
        control.await(
            Frame.Accesses.class,
            accesses ->
                accesses.records().stream()
                    .anyMatch(record -> matches(record, level, type, waited, answered)));
    return found.records().stream()
        .filter(record -> matches(record, level, type, waited, answered))
        .findFirst()
        .orElseThrow();
  }

  private static boolean matches(
      Frame.AccessRecord record, int level, AccessType type, boolean waited, boolean answered) {
    return record.offset() == level
        && record.type() == type
        && record.waited() == waited
        && (record.latencyNanos() != Access.PENDING) == answered;
  }

  private long counter(String name) {
    return Site.counter(plane, name, "vm1/" + DATABASE);
  }

  // ---- demand

  @Test
  void aConnectionThatNobodyForecastIsOpenedOnDemandAndItsLevelIsGivenUpAtItsEnd()
      throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      Frame.Answer bound = bind(DATABASE, upstream.source());
      assertThat(bound.shape()).isEqualTo(new Shape(LEVELS, 1, Measure.CONNECTIONS, LEVELS));
      assertThat(bound.address()).matches("127\\.0\\.0\\.1:[0-9]+");
      try (Socket first = guest(bound.address())) {
        assertEchoes(first);
        try (Socket second = guest(bound.address())) {
          assertEchoes(second);
        }
      }
      for (int level : new int[] {0, 1}) {
        Frame.AccessRecord came = access(level, AccessType.UNKNOWN, true, false);
        Frame.AccessRecord answered = access(level, AccessType.UNKNOWN, true, true);
        assertThat(came.binding()).isEqualTo(DATABASE);
        assertThat(came.space()).isEqualTo(SPACE);
        assertThat(came.amount()).isEqualTo(1);
        assertThat(answered.timeNanos()).isEqualTo(came.timeNanos());
        access(level, AccessType.RELEASE, false, true);
      }
      assertThat(upstream.connections).hasSize(2);
      Site.await(() -> counter("network_in_use") == 0, "all levels are given up");
    }
  }

  @Test
  void whatIsNoUpstreamIsRefused() throws Exception {
    for (String source :
        List.of("db", "db:", "db:0", "db:65536", "a b:1", "db:1,proxy=v1", "::1:5432", "[x]:1")) {
      assertThat(bind(DATABASE, source).error()).as(source).contains("is no upstream");
    }
    assertThat(bind(DATABASE, "[::1]:5432").error()).isEmpty();
  }

  @Test
  void anUpstreamIsFoundByNameAndByAddressesOfBothFamilies() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String byName = bind(DATABASE, "localhost:" + upstream.port()).address();
      try (Socket guest = guest(byName)) {
        assertEchoes(guest);
      }
      String mapped = bind(7, "[::ffff:127.0.0.1]:" + upstream.port()).address();
      try (Socket guest = guest(mapped)) {
        assertEchoes(guest);
      }
    }
  }

  @Test
  void whileTheUpstreamRefusesGuestsAreResetAndLeasesFail() throws Exception {
    int port;
    try (ServerSocket gone = new ServerSocket(0)) {
      port = gone.getLocalPort();
    }
    String address = bind(DATABASE, "127.0.0.1:" + port).address();
    try (Socket guest = guest(address)) {
      assertReset(guest);
    }
    access(0, AccessType.RELEASE, false, true);
    control.send(new Frame.Stage(lease(1, 0, 5)));
    assertThat(control.awaitLease(1, s -> s.ended() == 0b11111).failed()).isEqualTo(0b11111);
    assertThat(control.await(Frame.Trouble.class, t -> t.kind().equals("upstream")).text())
        .contains("vm1/5", "127.0.0.1:" + port);
  }

  // ---- ahead of demand

  @Test
  void aGuestGetsTheConnectionThatALeaseOpenedAndWhatIsLeftIsGivenBack() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      LeaseState ready = control.stage(lease(1, 0, 3));
      assertThat(ready.ready()).isEqualTo(0b111);
      assertThat(ready.ended()).isZero();
      Site.await(() -> upstream.connections.size() == 3, "three connections are open");
      assertThat(counter("network_ready")).isEqualTo(3);
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
        assertThat(control.awaitLease(1, s -> s.ended() != 0).useful()).isEqualTo(0b001);
        assertThat(access(0, AccessType.UNKNOWN, false, true).latencyNanos()).isNotNegative();
        control.send(new Frame.Reclaim(1));
        LeaseState ended = control.awaitLease(1, s -> s.ended() == 0b111);
        assertThat(ended.unused()).isEqualTo(0b110);
        assertThat(ended.isConsistent()).isTrue();
        Site.await(() -> upstream.served() == 2, "two connections are closed");
        assertEchoes(guest);
      }
      assertThat(upstream.connections).hasSize(3);
      assertThat(counter("network_waits")).isZero();
    }
  }

  @Test
  void aGuestGetsWhatStandsReadyForAnotherLevelOrAnotherVmOfTheUpstream() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      bind(upstream);
      String other = bind(8, upstream.source()).address();
      control.stage(lease(1, 3, 1));
      try (Socket guest = guest(other)) {
        assertEchoes(guest);
      }
      assertThat(control.awaitLease(1, s -> s.ended() != 0).useful()).isEqualTo(1);
      control.await(
          Frame.Evicted.class,
          gone -> gone.space() == SPACE && gone.first() == 3 && gone.units() == 1);
      assertThat(upstream.connections).hasSize(1);
    }
  }

  @Test
  void whatAServerSaysFirstReachesItsGuest() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::greet)) {
      String address = bind(upstream);
      control.stage(lease(1, 0, 1));
      for (boolean ahead : new boolean[] {true, false}) {
        try (Socket guest = guest(address)) {
          assertThat(receive(guest, 5)).as("ahead: %s", ahead).isEqualTo(TestUpstream.GREETING);
          assertEchoes(guest);
          guest.shutdownOutput();
          assertThat(guest.getInputStream().read()).isEqualTo(-1);
        }
      }
      assertThat(control.awaitLease(1, s -> s.ended() != 0).useful()).isEqualTo(1);
    }
  }

  @Test
  void aConnectionThatItsUpstreamHasClosedIsNotHandedOver() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::hold)) {
      String address = bind(upstream);
      control.stage(lease(1, 0, 2));
      Site.await(() -> upstream.connections.size() == 2, "two connections are open");
      for (Socket idle : upstream.connections) {
        TestUpstream.endAndTell(idle);
      }
      try (Socket guest = guest(address)) {
        Site.await(() -> upstream.connections.size() == 3, "a fresh one is opened");
        send(upstream.connections.get(2), "fresh");
        assertThat(receive(guest, 5)).isEqualTo("fresh");
      }
      assertThat(control.awaitLease(1, s -> s.ended() == 0b11).failed()).isEqualTo(0b11);
      access(0, AccessType.UNKNOWN, true, true);
    }
  }

  @Test
  void demandThatComesDuringTheOpeningWaitsForThatAndIsLate() throws Exception {
    try (TestUpstream upstream = TestUpstream.full(TestUpstream::echo);
        Socket one = guest(upstream.source());
        Socket two = guest(upstream.source())) {
      String address = bind(upstream);
      control.send(new Frame.Stage(lease(1, 0, 1)));
      upstream.awaitAttempt();
      try (Socket guest = guest(address)) {
        assertThat(control.awaitLease(1, s -> s.ended() != 0).late()).isEqualTo(1);
        upstream.accept();
        assertEchoes(guest);
        assertThat(upstream.connections).as("the two, and the guest's").hasSize(3);
      }
      assertEchoes(one);
      assertEchoes(two);
    }
  }

  @Test
  void aLevelThatIsInUseIsNotOpenedAgain() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
        LeaseState state = control.stage(lease(1, 0, 2));
        assertThat(state.redundant()).isEqualTo(0b01);
        assertThat(state.ready()).isEqualTo(0b10);
        assertThat(control.stage(lease(2, LEVELS - 1, 2)).failed()).isEqualTo(0b10);
      }
    }
  }

  @Test
  void whatIsNotUsedIsClosedAtItsTimeWithoutAControlPlane() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      bind(upstream);
      control.stage(lease(1, 0, 2, 1));
      control.close();
      Site.await(() -> upstream.served() == 2, "both are closed");
      control = site.control();
      assertThat(
              control.await(Frame.HeldLease.class, held -> held.lease().id() == 1).state().unused())
          .isEqualTo(0b11);
    }
  }

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(longs = {1, 2, 3})
  void eachUnitEndsExactlyOnceWhateverHappens(long seed) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    Map<Long, Lease> leases = new HashMap<>();
    List<Socket> guests = new ArrayList<>();
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      for (int step = 0; step < 150; step++) {
        long any = 1 + random.nextInt(leases.size() + 1);
        switch (random.nextInt(6)) {
          case 0, 1 -> {
            Lease lease = lease(leases.size() + 1, random.nextInt(10), 1 + random.nextInt(5));
            leases.put(lease.id(), lease);
            control.send(new Frame.Stage(lease));
          }
          case 2 -> {
            Socket guest = guest(address);
            guests.add(guest);
            assertEchoes(guest);
          }
          case 3 -> {
            if (!guests.isEmpty()) {
              guests.remove(random.nextInt(guests.size())).close();
            }
          }
          case 4 -> control.send(new Frame.Cancel(any));
          default -> control.send(new Frame.Reclaim(any));
        }
      }
      control.detach(DATABASE);
      for (Lease lease : leases.values()) {
        LeaseState state = control.awaitLease(lease.id(), s -> s.ended() == lease.mask());
        assertThat(state.isConsistent()).as("seed %d: %s", seed, state).isTrue();
      }
      Site.await(
          () -> upstream.served() == upstream.connections.size(), "every connection is closed");
    } finally {
      for (Socket guest : guests) {
        guest.close();
      }
    }
  }

  // ---- what a proxy must not change

  @Test
  void anUpstreamThatWantsToKnowIsToldWhoTheGuestIsBeforeAnythingElse() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::hold)) {
      String address = bind(DATABASE, upstream.source() + ",proxy=v2").address();
      control.stage(lease(1, 0, 1));
      for (boolean ahead : new boolean[] {true, false}) {
        int number = ahead ? 0 : 1;
        try (Socket guest = guest(address)) {
          send(guest, "mine");
          Site.await(() -> upstream.connections.size() > number, "it is open");
          Socket server = upstream.connections.get(number);
          server.setSoTimeout(20_000);
          byte[] header = server.getInputStream().readNBytes(28);
          assertThat(header).startsWith('\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T');
          assertThat(ByteBuffer.wrap(header, 16, 12))
              .as("ahead: %s", ahead)
              .isEqualTo(
                  ByteBuffer.allocate(12)
                      .put(new byte[] {127, 0, 0, 1, 127, 0, 0, 1})
                      .putShort((short) guest.getLocalPort())
                      .putShort((short) guest.getPort())
                      .flip());
          assertThat(receive(server, 4)).isEqualTo("mine");
        }
      }
      assertThat(control.awaitLease(1, s -> s.ended() != 0).useful()).isEqualTo(1);
    }
  }

  @Test
  void anEndThatHasSaidAllStillListens() throws Exception {
    try (TestUpstream upstream =
        TestUpstream.start(connection -> {
          byte[] all = connection.getInputStream().readAllBytes();
          connection.getOutputStream().write(all);
          connection.close();
        })) {
      String address = bind(upstream);
      control.stage(lease(1, 0, 1));
      for (int i = 0; i < 2; i++) {
        try (Socket guest = guest(address)) {
          send(guest, "all that there is");
          guest.shutdownOutput();
          assertThat(guest.getInputStream().readAllBytes())
              .asString(StandardCharsets.US_ASCII)
              .isEqualTo("all that there is");
        }
      }
    }
  }

  @Test
  void aResetOfOneEndResetsTheOther() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::hold)) {
      String address = bind(upstream);
      try (Socket guest = guest(address)) {
        send(guest, "x");
        Site.await(() -> upstream.connections.size() == 1, "it is open");
        Socket server = upstream.connections.getFirst();
        assertThat(receive(server, 1)).isEqualTo("x");
        server.setSoLinger(true, 0);
        server.close();
        assertReset(guest);
      }
      Socket guest = guest(address);
      send(guest, "y");
      Site.await(() -> upstream.connections.size() == 2, "it is open");
      Socket server = upstream.connections.getLast();
      assertThat(receive(server, 1)).isEqualTo("y");
      guest.setSoLinger(true, 0);
      guest.close();
      server.setSoTimeout(20_000);
      assertReset(server);
    }
  }

  @Test
  void anEndThatDoesNotReadHoldsTheOtherBackAndLosesNothing() throws Exception {
    // More than what the kernel keeps for three sockets, at most 16 MiB each.
    long tooMuch = 256L << 20;
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::hold)) {
      String address = bind(upstream);
      int colon = address.indexOf(':');
      try (SocketChannel guest =
              SocketChannel.open(
                  new InetSocketAddress(
                      "127.0.0.1", Integer.parseInt(address.substring(colon + 1))));
          Selector selector = Selector.open()) {
        guest.configureBlocking(false);
        guest.register(selector, SelectionKey.OP_WRITE);
        ByteBuffer bytes = ByteBuffer.allocate(1 << 20);
        long sent = 0;
        // Where nothing moves for this long, it is held back, or the machine is very slow.
        while (sent < tooMuch && selector.select(500) > 0) {
          selector.selectedKeys().clear();
          sent += guest.write(bytes.clear());
        }
        assertThat(sent).isPositive().isLessThan(tooMuch);
        guest.shutdownOutput();
        long received = 0;
        InputStream in = upstream.connections.getFirst().getInputStream();
        byte[] part = new byte[1 << 16];
        for (int count; (count = in.read(part)) >= 0; ) {
          received += count;
        }
        assertThat(received).isEqualTo(sent);
      }
    }
  }

  // ---- bounds and ends

  @Test
  void aFloodBeyondTheMostIsResetAndTheOthersAreServed() throws Exception {
    List<Socket> guests = new ArrayList<>();
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      for (int i = 0; i < LEVELS; i++) {
        Socket guest = guest(address);
        guests.add(guest);
        assertEchoes(guest);
      }
      for (int i = 0; i < 20; i++) {
        try (Socket guest = guest(address)) {
          assertReset(guest);
        }
      }
      assertThat(counter("network_refused")).isEqualTo(20);
      assertThat(upstream.connections).hasSize(LEVELS);
      assertThat(
              control
                  .await(Frame.Trouble.class, t -> t.kind().equals("network-connections"))
                  .text())
          .contains("vm1/5", "100 connections");
      guests.removeFirst().close();
      Site.await(() -> counter("network_in_use") < LEVELS, "there is room again");
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
      }
    } finally {
      for (Socket guest : guests) {
        guest.close();
      }
    }
  }

  @Test
  void aBindingThatIsClosedClosesEverything() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      control.stage(lease(1, 0, 3));
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
        assertThat(control.detach(DATABASE).error()).isEmpty();
        assertReset(guest);
      }
      LeaseState ended = control.awaitLease(1, s -> s.ended() == 0b111);
      assertThat(ended.useful()).isEqualTo(0b001);
      assertThat(ended.unused()).isEqualTo(0b110);
      Site.await(() -> upstream.served() == 3, "all connections are closed");
      assertThatThrownBy(() -> guest(address).close()).isInstanceOf(ConnectException.class);
      control.send(new Frame.Stage(lease(2, 0, 2)));
      assertThat(control.awaitLease(2, s -> s.ended() == 0b11).failed()).isEqualTo(0b11);
    }
  }

  /// All of 127/8 is this host's, as is a bridge's address.
  @Test
  void guestsAreServedAtTheAddressThatWasConfigured() throws Exception {
    for (String each : List.of("127.0.0.2", "::1")) {
      control.close();
      plane.close();
      site.connectionsAddress = InetAddress.ofLiteral(each);
      plane = site.start();
      control = site.control();
      try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
        String address = bind(upstream);
        assertThat(Guests.endpoint(address).getAddress()).isEqualTo(site.connectionsAddress);
        assertThat(address).startsWith(each.contains(":") ? "[0:0:0:0:0:0:0:1]:" : each + ":");
        try (Socket guest = guest(address)) {
          assertEchoes(guest);
        }
        int port = Guests.endpoint(address).getPort();
        assertThatThrownBy(() -> guest("127.0.0.1:" + port).close())
            .isInstanceOf(ConnectException.class);
      }
      control.detach(DATABASE);
    }
  }

  /// A bridge that has its address later than the data plane starts.
  @Test
  void anAddressThatIsMissingAtAStartKeepsItsPort() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      control.close();
      plane.close();
      // For documentation, so no host has it.
      site.connectionsAddress = InetAddress.ofLiteral("192.0.2.1");
      plane = site.start();
      control = site.control();
      assertThat(
              control
                  .await(Frame.Trouble.class, t -> t.kind().equals("network-connections"))
                  .text())
          .contains("'vm1/5' on 192.0.2.1:", "reach nothing until it can be")
          .doesNotContain("\n");
      assertThat(bind(DATABASE, upstream.source()).error())
          .contains("cannot listen for connections of 'vm1/5' on 192.0.2.1:0");
      control.close();
      plane.close();
      site.connectionsAddress = Options.LOOPBACK;
      plane = site.start();
      control = site.control();
      assertThat(bind(upstream)).isEqualTo(address);
    }
  }

  /// Starts again while somebody else has the port of the one endpoint.
  private void startAgainWithout(int port, Check then) throws Exception {
    control.close();
    plane.close();
    try (ServerSocket other = new ServerSocket()) {
      other.setReuseAddress(true);
      other.bind(new InetSocketAddress(Options.LOOPBACK, port));
      plane = site.start();
      control = site.control();
      then.run();
    }
  }

  private interface Check {
    void run() throws Exception;
  }

  @Test
  void anEndpointThatHasToMoveSaysWhereItListensNow() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      int port = Guests.endpoint(address).getPort();
      startAgainWithout(
          port,
          () -> {
            String moved = bind(upstream);
            assertThat(moved).isNotEqualTo(address);
            assertThat(
                    control
                        .await(
                            Frame.Trouble.class,
                            t -> t.text().contains("guests need the new address"))
                        .text())
                .contains("'vm1/5' listens at " + moved + " now", "port " + port);
            control.close();
            plane.close();
            plane = site.start();
            control = site.control();
            assertThat(bind(upstream)).isEqualTo(moved);
          });
    }
  }

  @ParameterizedTest(name = "unbound: {0}")
  @ValueSource(booleans = {true, false})
  void anEndpointThatWasLostAndIsGivenUpIsForgotten(boolean unbound) throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      int port = Guests.endpoint(bind(upstream)).getPort();
      startAgainWithout(
          port,
          () -> {
            if (unbound) {
              assertThat(control.detach(DATABASE).error()).isEmpty();
            } else {
              control.send(new Frame.BoundAll());
              assertThat(control.detach(99).error()).isEmpty();
            }
          });
      control.close();
      plane.close();
      plane = site.start();
      assertThat(plane.status().counters())
          .noneMatch(counter -> counter.name().startsWith("network_"));
      control = site.control();
    }
  }

  @Test
  void aRestartedDataPlaneListensAtTheSameAddressWithoutAControlPlane() throws Exception {
    try (TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(upstream);
      control.close();
      plane.close();
      plane = site.start();
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
      }
      control = site.control();
      assertThat(bind(upstream)).isEqualTo(address);
      assertThat(bind(DATABASE, "127.0.0.1:1").address()).isNotEqualTo(address);
      control.send(new Frame.BoundAll());
      control.detach(DATABASE);
      plane.close();
      plane = site.start();
      assertThat(plane.status().counters())
          .noneMatch(counter -> counter.name().startsWith("network_"));
    }
  }
}
