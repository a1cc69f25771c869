package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.levels.LevelsEdge;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.Frame;
import dev.prestage.link.host.HostClock;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A data plane with more than one edge: an edge is one package and one line of wiring.
class EdgesTest {
  private static final int DISK = 1;
  private static final int UPLINK = 2;

  private @TempDir Path directory;
  private Site site;
  private final AtomicReference<LevelsEdge> levels = new AtomicReference<>();

  @BeforeEach
  void makeImage() throws Exception {
    site = new Site(directory);
    byte[] _ = site.image("disk.raw", 4 * Site.MIB, 17);
  }

  private DataPlane start() throws Exception {
    return DataPlane.start(
        site.options(),
        new HostClock(),
        List.of(host -> {
          levels.set(new LevelsEdge(host));
          return levels.get();
        }));
  }

  private static Frame.Bind bind(long request, int binding, ResourceType type, String source) {
    return new Frame.Bind(request, binding, "vm1/" + binding, binding, type, "default", source);
  }

  private static Lease lease(long id, int space, int first, int units, long until) {
    return new Lease(id, space, new Range(space, first, units), 0, 1, 0, 0, until);
  }

  private static Frame.Answer answer(ControlPlane control, Frame.Bind bind) throws Exception {
    control.send(bind);
    return control.await(Frame.Answer.class, answer -> answer.requestId() == bind.requestId());
  }

  @Test
  void whatConcernsAnEdgeFindsIt() throws Exception {
    try (DataPlane _ = start();
        ControlPlane control = site.control()) {
      assertThat(answer(control, bind(901, DISK, ResourceType.FILE_BLOCK, "disk.raw")).shape())
          .isEqualTo(Shape.blocks(4 * Site.MIB));
      assertThat(answer(control, bind(902, UPLINK, ResourceType.IO_BANDWIDTH, "uplink")).shape())
          .isEqualTo(new Shape(8, 1, Measure.BYTES_PER_SECOND, 8));
      assertThat(answer(control, bind(903, 3, ResourceType.MEMORY_PAGE, "snapshot")).error())
          .isEqualTo("snapshot 'snapshot' is in none of the origins nas");
      control.send(new Frame.Stage(lease(1, DISK, 3, 2, Long.MAX_VALUE)));
      control.send(new Frame.Stage(lease(2, UPLINK, 0, 3, Long.MAX_VALUE)));
      LeaseState extents = control.awaitLease(1, s -> s.ready() == 0b11);
      assertThat(extents.ended()).isZero();
      LeaseState rates = control.awaitLease(2, s -> s.ready() == 0b111);
      assertThat(rates.ended()).isZero();
      levels.get().demand(UPLINK, 1);
      control.awaitLease(2, s -> s.useful() == 0b010);
      Frame.Accesses accesses =
          control.await(
              Frame.Accesses.class, a -> a.records().stream().anyMatch(r -> r.binding() == UPLINK));
      assertThat(accesses.records().getFirst().waited()).isFalse();
      control.send(new Frame.Reclaim(1));
      control.send(new Frame.Reclaim(2));
      assertThat(control.awaitLease(1, s -> s.ended() == 0b11).unused()).isEqualTo(0b11);
      assertThat(control.awaitLease(2, s -> s.ended() == 0b111).unused()).isEqualTo(0b101);
      control.await(
          Frame.Status.class,
          status ->
              status
                  .counters()
                  .containsAll(
                      List.of(
                          new Frame.Counter("levels_bound", "", 1),
                          new Frame.Counter("disk_served", "vm1/1", 1))));
    }
  }

  @Test
  void aUnitsEndNeverComesBeforeTheAccessThatEndedIt() throws Exception {
    try (DataPlane _ = start();
        ControlPlane control = site.control()) {
      answer(control, bind(902, UPLINK, ResourceType.IO_BANDWIDTH, "uplink"));
      control.stage(lease(2, UPLINK, 0, 3, Long.MAX_VALUE));
      levels.get().beforeNews(() -> levels.get().demand(UPLINK, 1));
      control.send(new Frame.Stage(lease(3, UPLINK, 5, 1, Long.MAX_VALUE)));
      control.awaitLease(2, s -> s.useful() == 0b010);
      control.await(Frame.Accesses.class, _ -> true);
      List<Frame> order =
          control.heard(Frame.class).stream()
              .filter(frame ->
                  frame instanceof Frame.Accesses
                      || (frame instanceof Frame.Leases leases
                          && leases.states().stream().anyMatch(s -> s.useful() != 0)))
              .toList();
      assertThat(order).hasSize(2);
      assertThat(order.getFirst()).isInstanceOf(Frame.Accesses.class);
    }
  }

  @Test
  void whatIsNotUsedIsGivenBackAtItsTimeWithoutAControlPlane() throws Exception {
    try (DataPlane _ = start()) {
      try (ControlPlane control = site.control()) {
        answer(control, bind(901, DISK, ResourceType.FILE_BLOCK, "disk.raw"));
        answer(control, bind(902, UPLINK, ResourceType.IO_BANDWIDTH, "uplink"));
        control.stage(lease(1, DISK, 3, 2, 1));
        control.stage(lease(2, DISK, 10, 2, Long.MAX_VALUE));
        control.stage(lease(3, UPLINK, 0, 2, 1));
      }
      Site.await(() -> levels.get().ready(UPLINK).isEmpty(), "levels are given back");
      try (ControlPlane next = site.control()) {
        Frame.HeldLease extents = next.await(Frame.HeldLease.class, held -> held.lease().id() == 1);
        assertThat(extents.state().unused()).isEqualTo(0b11);
        Frame.HeldLease kept = next.await(Frame.HeldLease.class, held -> held.lease().id() == 2);
        assertThat(kept.state().ended()).isZero();
        assertThat(kept.lease().untilNanos()).isEqualTo(Long.MAX_VALUE);
      }
    }
  }
}
