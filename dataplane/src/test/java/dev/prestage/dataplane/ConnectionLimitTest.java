package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.dataplane.nbd.NbdLimits;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// More clients than there are connections for.
@Timeout(60)
final class ConnectionLimitTest {
  private static final int POLICY = 0x80000002;
  private static final String WHY = "all 2 NBD connections are in use";

  private @TempDir Path directory;
  private final List<NbdClient> clients = new ArrayList<>();
  private Site site;
  private DataPlane plane;
  private ControlPlane control;

  @BeforeEach
  void useAllConnections() throws Exception {
    site = new Site(directory);
    site.image("disk.raw", 1000, 3);
    site.limits = NbdLimits.of(2, Duration.ofSeconds(30));
    plane = site.start();
    control = site.control();
    assertThat(control.attach(1, "vm1", 5, "disk.raw").error()).isEmpty();
    clients.add(site.client("vm1"));
    clients.add(site.client("vm1"));
  }

  @AfterEach
  void stop() throws Exception {
    for (NbdClient client : clients) {
      client.close();
    }
    control.close();
    plane.close();
  }

  @Test
  void theNextClientIsToldWhyItGetsNone() throws Exception {
    assertThatThrownBy(() -> site.client("vm1")).hasMessageContaining(WHY);
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      for (int option : new int[] {8, 3, 6, 7, 99}) {
        client.option(option, new byte[0]);
        RawClient.Reply refused = client.reply();
        assertThat(refused.kind()).as("option %d", option).isEqualTo(POLICY);
        assertThat(refused.text()).contains(WHY).contains("nbd.connections");
      }
      client.option(2, new byte[0]);
      assertThat(client.reply().kind()).as("ACK of ABORT").isEqualTo(1);
    }
    try (var client = new RawClient(site.nbdSocket()).flags(3)) {
      client.option(1, "vm1".getBytes(StandardCharsets.UTF_8));
      assertThat(client.isHungUp()).as("EXPORT_NAME has no refusal").isTrue();
    }
  }

  @Test
  void qemuSaysWhyItGetsNone() throws Exception {
    Tools.need("qemu-img", "qemu-utils");
    assertThat(Tools.run("qemu-img", "info", site.uri("vm1")).output()).contains(WHY);
  }

  @Test
  void clientsThatAreTurnedAwayAndStayTakeNoConnectionAndKeepNobodyFromHearingWhy()
      throws Exception {
    List<RawClient> staying = new ArrayList<>();
    try {
      for (int i = 0; i < 40; i++) {
        staying.add(new RawClient(site.nbdSocket()));
      }
      assertThat(staying.getFirst().isHungUp()).as("the oldest makes room").isTrue();
      assertThatThrownBy(() -> site.client("vm1")).hasMessageContaining(WHY);
      assertThat(Site.counter(plane, "connections", "")).isEqualTo(2);
      clients.removeLast().close();
      Site.await(() -> Site.counter(plane, "connections", "") == 1, "one is free");
      clients.add(site.client("vm1"));
    } finally {
      for (RawClient client : staying) {
        client.close();
      }
    }
  }
}
