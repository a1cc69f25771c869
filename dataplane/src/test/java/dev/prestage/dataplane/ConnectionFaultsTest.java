package dev.prestage.dataplane;

import static dev.prestage.dataplane.Guests.assertEchoes;
import static dev.prestage.dataplane.Guests.assertEnds;
import static dev.prestage.dataplane.Guests.assertReset;
import static dev.prestage.dataplane.Guests.guest;
import static dev.prestage.dataplane.Guests.receive;
import static dev.prestage.dataplane.Guests.send;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.sun.management.UnixOperatingSystemMXBean;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.FutureTask;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What relayed connections meet: upstreams that come and go, are slow or vanish; guests in
/// thousands; a process without descriptors; a resolver that is not there.
class ConnectionFaultsTest {
  private static final int DATABASE = 5;
  private static final int SPACE = 50;
  private static final int LEVELS = 100;

  /// What a test's own process and a data plane need beside connections.
  private static final int OTHER_DESCRIPTORS = 1000;

  private @TempDir Path directory;
  private Site site;
  private long requests = 900;

  private final List<DataPlaneProcess> processes = new ArrayList<>();

  @BeforeEach
  void makeSite() throws IOException {
    site = new Site(directory);
  }

  @AfterEach
  void endProcesses() {
    processes.forEach(DataPlaneProcess::close);
  }

  private DataPlaneProcess process(List<String> prefix, String... options) throws IOException {
    DataPlaneProcess process = DataPlaneProcess.start(directory, prefix, List.of(options));
    processes.add(process);
    return process;
  }

  private String bind(ControlPlane control, int binding, int space, String source)
      throws Exception {
    long id = ++requests;
    control.send(
        new Frame.Bind(
            id,
            binding,
            "vm1/" + binding,
            space,
            ResourceType.NETWORK_CONNECTION,
            "default",
            source));
    Frame.Answer answer = control.await(Frame.Answer.class, each -> each.requestId() == id);
    assertThat(answer.error()).isEmpty();
    return answer.address();
  }

  private String bind(ControlPlane control, String source) throws Exception {
    return bind(control, DATABASE, SPACE, source);
  }

  private static Lease lease(long id, int units) {
    return lease(id, 0, units);
  }

  private static Lease lease(long id, int first, int units) {
    return new Lease(id, DATABASE, new Range(SPACE, first, units), 0, 1, 0, 0, Long.MAX_VALUE);
  }

  private static String trouble(ControlPlane control, String kind, String text) throws Exception {
    return control
        .await(Frame.Trouble.class, t -> t.kind().equals(kind) && t.text().contains(text))
        .text();
  }

  private static long counter(DataPlane plane, String name) {
    return Site.counter(plane, name, "vm1/" + DATABASE);
  }

  // ---- upstreams

  @Test
  void anUpstreamThatComesAndGoesServesWheneverItIsThere() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control()) {
      TestUpstream upstream = TestUpstream.start(TestUpstream::echo);
      int port = upstream.port();
      String address = bind(control, upstream.source());
      for (int round = 0; round < 5; round++) {
        long whileThere = 2L * round + 1;
        long whileGone = whileThere + 1;
        assertThat(control.stage(lease(whileThere, 2)).ready()).isEqualTo(0b11);
        try (Socket guest = guest(address)) {
          assertEchoes(guest);
          upstream.close();
          assertEnds(guest);
        }
        Site.await(() -> counter(plane, "network_in_use") == 0, "the level is given up");
        try (Socket guest = guest(address)) {
          assertEnds(guest);
        }
        Site.await(() -> counter(plane, "network_in_use") == 0, "that one's too");
        control.send(new Frame.Reclaim(whileThere));
        LeaseState ended = control.awaitLease(whileThere, s -> s.ended() == 0b11);
        assertThat(ended.isConsistent()).as("round %d: %s", round, ended).isTrue();
        assertThat(ended.useful() & 0b01).as("round %d: %s", round, ended).isEqualTo(0b01);
        assertThat(control.stage(lease(whileGone, 2)).failed()).isEqualTo(0b11);
        upstream = TestUpstream.startAgain(port, TestUpstream::echo);
        try (Socket guest = guest(address)) {
          assertEchoes(guest);
        }
        Site.await(() -> counter(plane, "network_in_use") == 0, "all levels are given up");
      }
      upstream.close();
      assertThat(trouble(control, "upstream", "refused"))
          .contains("'vm1/5'", "127.0.0.1:" + port + " cannot be reached")
          .doesNotContain("\n");
    }
  }

  @Test
  void anUpstreamAtAnAddressThatThisHostCannotUseResetsGuestsAndFailsLeases() throws Exception {
    DataPlaneProcess plane = process(List.of(), "-Xmx64m", "-Djava.net.preferIPv4Stack=true");
    try (ControlPlane control = site.control()) {
      String address = bind(control, "[::1]:5432");
      for (int i = 0; i < 3; i++) {
        try (Socket guest = guest(address)) {
          assertReset(guest);
        }
      }
      assertThat(trouble(control, "upstream", "cannot connect to"))
          .contains("'vm1/5'", "[::1]:5432 cannot be reached");
      assertThat(control.stage(lease(1, 1, 2)).failed()).isEqualTo(0b11);
      awaitCounter(control, "network_in_use", 0);
    }
    assertThat(plane.log()).noneMatch(line -> line.contains("could not be handled"));
  }

  /// Waits until the data plane says that a counter has this value, now.
  private static void awaitCounter(ControlPlane control, String name, long value) throws Exception {
    int before = control.heard(Frame.Status.class).size();
    Frame.Counter expected = new Frame.Counter(name, "vm1/" + DATABASE, value);
    control.await(
        Frame.Status.class,
        _ -> {
          List<Frame.Status> heard = control.heard(Frame.Status.class);
          return heard.size() > before && heard.getLast().counters().contains(expected);
        });
  }

  @Test
  void aGuestThatNothingIsReadyForWaitsForAnUpstreamThatIsSlowToAccept() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.full(TestUpstream::echo);
        Socket _ = guest(upstream.source());
        Socket _ = guest(upstream.source())) {
      String address = bind(control, upstream.source());
      try (Socket guest = guest(address)) {
        send(guest, "early");
        upstream.awaitAttempt();
        upstream.accept();
        assertThat(receive(guest, 5)).isEqualTo("early");
      }
    }
  }

  @Test
  void aGuestWhoseUpstreamIsSlowToAcceptIsResetWhenItsVmGoes() throws Exception {
    try (DataPlane plane = site.start();
        ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.full(TestUpstream::echo);
        Socket _ = guest(upstream.source());
        Socket _ = guest(upstream.source())) {
      String address = bind(control, upstream.source());
      try (Socket guest = guest(address)) {
        upstream.awaitAttempt();
        assertThat(control.detach(DATABASE).error()).isEmpty();
        assertReset(guest);
      }
      assertThat(plane.status().counters())
          .noneMatch(counter -> counter.name().startsWith("network_"));
    }
  }

  /// An end that vanished answers no question of the kernel; that one is asked is seen in Linux'
  /// tables, where timer 2 is that of the next question, in hundredths of a second.
  @Test
  void anUpstreamThatIsSilentIsAskedWithinAMinuteAndAGuestThatMayBePausedIsNot() throws Exception {
    try (DataPlane _ = site.start();
        ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(control, upstream.source());
      control.stage(lease(1, 2));
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
        Site.await(() -> upstream.connections.size() == 2, "both are open");
        int port = Guests.endpoint(address).getPort();
        Site.await(
            () -> asked(port, guest.getLocalPort(), 360_000, 3_000_000),
            "the guest will be asked in hours");
        for (Socket connection : upstream.connections) {
          Site.await(
              () -> asked(connection.getPort(), upstream.port(), 0, 6_100),
              "the upstream will be asked");
        }
      }
    }
  }

  private static boolean asked(int local, int remote, long least, long most) {
    Pattern line =
        Pattern.compile(
            String.format(
                "0100007F:%04X [0-9A-F]*0100007F:%04X 01 [0-9A-F]+:[0-9A-F]+ 02:([0-9A-F]+)",
                local, remote));
    return Stream.of("/proc/net/tcp", "/proc/net/tcp6")
        .map(Path::of)
        .filter(Files::exists)
        .map(table -> {
          try {
            return Files.readString(table);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        })
        .flatMap(table -> line.matcher(table).results())
        .mapToLong(found -> Long.parseLong(found.group(1), 16))
        .anyMatch(hundredths -> hundredths >= least && hundredths <= most);
  }

  // ---- guests in thousands

  private static long descriptorLimit() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix
        ? unix.getMaxFileDescriptorCount()
        : 0;
  }

  /// Each takes two descriptors here and two in the data plane, so a lower limit of either means
  /// fewer.
  @Test
  void tenThousandGuestsAtOnceAreServedAndLeaveNothingBehind() throws Exception {
    long most = Math.min(10_000, (descriptorLimit() - OTHER_DESCRIPTORS) / 2);
    int bindings = Math.toIntExact(most / LEVELS);
    assumeThat(bindings).as("bindings within the limit of descriptors").isPositive();
    DataPlaneProcess plane = process(List.of(), "-Xmx256m");
    try (ControlPlane control = site.control();
        Crowd crowd = new Crowd()) {
      List<String> addresses = new ArrayList<>();
      for (int binding = 0; binding < bindings; binding++) {
        addresses.add(bind(control, binding, SPACE + binding, crowd.upstream()));
      }
      long before = plane.descriptors();
      crowd.connect(addresses, LEVELS);
      assertThat(crowd.awaitAnswers()).isEqualTo(bindings * LEVELS);
      assertThat(plane.descriptors()).isGreaterThanOrEqualTo(before + 2L * bindings * LEVELS);
      crowd.leave();
      Site.await(
          () -> {
            try {
              // A socket in advance for each endpoint, and what the JDK opens once.
              return plane.descriptors() < before + bindings + LEVELS;
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          },
          "all descriptors are given back");
    }
  }

  /// Many guests that ask once, and an upstream that answers them, on one thread.
  private static final class Crowd implements AutoCloseable {
    private final Selector selector = Selector.open();
    private final ServerSocketChannel server = ServerSocketChannel.open();
    private final List<SocketChannel> guests = new ArrayList<>();
    private final ByteBuffer bytes = ByteBuffer.allocate(64);

    Crowd() throws IOException {
      server.bind(Guests.endpoint("127.0.0.1:0"), 4096);
      server.configureBlocking(false);
      server.register(selector, SelectionKey.OP_ACCEPT);
    }

    String upstream() throws IOException {
      return "127.0.0.1:" + server.socket().getLocalPort();
    }

    void connect(List<String> addresses, int each) throws IOException {
      for (int i = 0; i < each; i++) {
        for (String address : addresses) {
          SocketChannel guest = SocketChannel.open();
          guests.add(guest);
          guest.configureBlocking(false);
          guest.connect(Guests.endpoint(address));
          guest.register(selector, SelectionKey.OP_CONNECT, this);
        }
      }
    }

    /// How many guests were answered, once all were or nothing happens any more.
    int awaitAnswers() throws IOException {
      int answered = 0;
      while (answered < guests.size() && selector.select(20_000) > 0) {
        for (SelectionKey key : List.copyOf(selector.selectedKeys())) {
          answered += handle(key) ? 1 : 0;
        }
        selector.selectedKeys().clear();
      }
      return answered;
    }

    /// Whether a guest got its answer.
    private boolean handle(SelectionKey key) throws IOException {
      if (key.isAcceptable()) {
        SocketChannel connection = server.accept();
        if (connection != null) {
          connection.configureBlocking(false);
          connection.register(selector, SelectionKey.OP_READ);
        }
        return false;
      }
      SocketChannel channel = (SocketChannel) key.channel();
      boolean isGuest = key.attachment() == this;
      if (key.isConnectable() && channel.finishConnect()) {
        channel.write(ByteBuffer.wrap(new byte[] {1}));
        key.interestOps(SelectionKey.OP_READ);
        return false;
      }
      int count = channel.read(bytes.clear());
      if (count < 0) {
        channel.close();
      } else if (!isGuest) {
        channel.write(bytes.flip());
      }
      return isGuest && count > 0;
    }

    void leave() throws IOException {
      for (SelectionKey key : List.copyOf(selector.keys())) {
        if (key.channel() instanceof SocketChannel) {
          key.channel().close();
        }
      }
      selector.selectNow();
    }

    @Override
    public void close() throws IOException {
      leave();
      server.close();
      selector.close();
    }
  }

  @Test
  void aGuestThatFloodsDoesNotStopItsNeighbour() throws Exception {
    int flood = 2_000;
    List<Socket> guests = new ArrayList<>();
    try (DataPlane plane = site.start();
        ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(control, upstream.source());
      String neighbour = bind(control, 7, 70, upstream.source());
      try {
        for (int i = 0; i < LEVELS; i++) {
          Socket guest = guest(address);
          guests.add(guest);
          assertEchoes(guest);
        }
        FutureTask<Integer> flooding = new FutureTask<>(() -> flood(address, flood));
        Thread.ofVirtual().start(flooding);
        int served = 0;
        while (!flooding.isDone() || served == 0) {
          try (Socket guest = guest(neighbour)) {
            assertEchoes(guest);
            served++;
          }
        }
        assertThat(flooding.get()).isEqualTo(flood);
        assertThat(counter(plane, "network_refused")).isEqualTo(flood);
        for (Socket guest : guests) {
          assertEchoes(guest);
        }
        assertThat(upstream.connections).hasSize(LEVELS + served);
      } finally {
        for (Socket guest : guests) {
          guest.close();
        }
      }
    }
  }

  /// How many of so many connects were ended without an answer.
  private static int flood(String address, int connects) throws IOException {
    int ended = 0;
    for (int i = 0; i < connects; i++) {
      try (Socket guest = guest(address)) {
        assertEnds(guest);
        ended++;
      } catch (SocketException _) {
        // ended before it was set up
        ended++;
      }
    }
    return ended;
  }

  // ---- this host

  @Test
  void aProcessWithoutDescriptorsSaysSoAndItsGuestsWaitUntilSomeAreFree() throws Exception {
    // The data plane takes some 90 itself; two bindings full of guests would take 400.
    List<String> few = List.of("prlimit", "--nofile=300:300");
    DataPlaneProcess plane = process(few, "-Xmx64m");
    List<Socket> guests = new ArrayList<>();
    try (ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(control, upstream.source());
      String other = bind(control, 7, 70, upstream.source());
      // Classes of a folder need a descriptor when they are loaded, those of the product's jars do
      // not: what relays and what reports troubles is loaded first.
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
        assertEchoes(guest);
      }
      String refused = bind(control, 8, 80, "127.0.0.1:1");
      try (Socket guest = guest(refused)) {
        assertReset(guest);
      }
      try {
        for (int i = 0; i < LEVELS; i++) {
          guests.add(guest(address));
          guests.add(guest(other));
        }
        assertThat(trouble(control, "network-connections", "Too many open files"))
            .contains("cannot accept guests of")
            .doesNotContain("\n");
        for (Socket guest : guests) {
          assertEchoes(guest);
          guest.close();
        }
        awaitCounter(control, "network_failures", 0);
      } finally {
        for (Socket guest : guests) {
          guest.close();
        }
      }
      for (String each : List.of(address, other)) {
        Site.await(() -> isServed(each), each + " is served again");
      }
      assertThat(plane.log()).noneMatch(line -> line.contains("Error"));
    }
  }

  private static boolean isServed(String address) {
    try (Socket guest = guest(address)) {
      send(guest, "ping");
      return receive(guest, 4).equals("ping");
    } catch (IOException _) {
      return false;
    }
  }

  @Test
  void whileNoResolverIsThereGuestsAreResetAndLeasesFail() throws Exception {
    Path hosts = directory.resolve("hosts");
    // The JDK does not ask again for ten seconds otherwise.
    Path doubts = directory.resolve("security");
    Files.writeString(doubts, "networkaddress.cache.negative.ttl=0\n");
    DataPlaneProcess _ =
        process(
            List.of(),
            "-Xmx64m",
            "-Djdk.net.hosts.file=" + hosts,
            "-Djava.security.properties=" + doubts);
    try (ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String source = "db.example.org:" + upstream.port();
      String address = bind(control, source);
      try (Socket guest = guest(address)) {
        assertReset(guest);
      }
      assertThat(trouble(control, "upstream", "cannot be resolved"))
          .contains("'vm1/5'", source + " cannot be reached")
          .doesNotContain("\n");
      // Of levels that no guest has, not even one that just ended.
      assertThat(control.stage(lease(1, 1, 2)).failed()).isEqualTo(0b11);
      Files.writeString(hosts, "127.0.0.1 db.example.org\n");
      try (Socket guest = guest(address)) {
        assertEchoes(guest);
      }
      assertThat(control.stage(lease(2, 1, 2)).ready()).isEqualTo(0b11);
    }
  }

  @Test
  void aResolverThatHangsHoldsOneThreadHoweverManyGuestsWait() throws Exception {
    Path hosts = directory.resolve("hosts");
    assertThat(new ProcessBuilder("mkfifo", hosts.toString()).start().waitFor()).isZero();
    DataPlaneProcess plane = process(List.of(), "-Xmx64m", "-Djdk.net.hosts.file=" + hosts);
    List<Socket> guests = new ArrayList<>();
    try (ControlPlane control = site.control();
        TestUpstream upstream = TestUpstream.start(TestUpstream::echo)) {
      String address = bind(control, "db.example.org:" + upstream.port());
      String same = bind(control, 8, 80, "DB.example.org:" + upstream.port() + ",proxy=v2");
      try (Socket _ = guest(same)) {
        for (int i = 0; i < 20; i++) {
          guests.add(guest(address));
        }
        String near = bind(control, 7, 70, upstream.source());
        try (Socket guest = guest(near)) {
          assertEchoes(guest);
        }
        assertThat(plane.threads("resolve-")).isEqualTo(1);
        Files.writeString(hosts, "127.0.0.1 db.example.org\n");
        for (Socket guest : guests) {
          assertEchoes(guest);
        }
      } finally {
        for (Socket guest : guests) {
          guest.close();
        }
      }
    }
  }
}
