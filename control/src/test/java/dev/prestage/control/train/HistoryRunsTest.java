package dev.prestage.control.train;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class HistoryRunsTest {
  private static final long END = 1_000_000_000_000L;

  private final List<AccessHistory.Row> rows = new ArrayList<>();
  private final List<String> lines = new ArrayList<>();
  private final ModelBundle.Numbers host = new ModelBundle.Numbers();
  private final Map<ResourceType, HybridForecaster> live = new EnumMap<>(ResourceType.class);
  private long now = 1_000;

  /// A run as the engine has it, which also goes into the history.
  private final class LiveRun {
    private final long run;
    private final String vm;
    private final Map<ResourceType, Forecaster.Cursor> cursors = new EnumMap<>(ResourceType.class);

    LiveRun(long run, String vm, ResourceType... types) {
      this.run = run;
      this.vm = vm;
      for (ResourceType type : types) {
        cursors.put(
            type,
            live.computeIfAbsent(type, _ -> new HybridForecaster(new HostKnowledge()))
                .start(1, now));
      }
    }

    void touch(ResourceType type, String space, long unit, AccessType how) {
      rows.add(row("default", type, space, unit, how, run));
      int number = host.number(new Spaces.Name("default", type, space));
      Access access =
          new Access(
              space.hashCode(),
              run,
              Resource.of(number, unit),
              now,
              how,
              4096,
              Cause.DEMAND,
              unit % 5 == 0,
              1);
      Forecaster.Cursor cursor = cursors.get(type);
      assertThat(cursor).isNotNull();
      if (how == AccessType.RELEASE) {
        cursor.released(access);
      } else {
        cursor.observe(access);
      }
    }

    private AccessHistory.Row row(
        String tenant, ResourceType type, String space, long unit, AccessType how, long of) {
      return new AccessHistory.Row(
          now, tenant, "web", vm, type, space, unit, how, 4096, Cause.DEMAND, unit % 5 == 0, 1, of);
    }

    void stop() {
      cursors.values().forEach(cursor -> cursor.stop(now));
    }
  }

  private void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) {
    for (AccessHistory.Row row : rows) {
      if (row.timeNanos() >= selection.fromNanos()
          && row.timeNanos() < selection.toNanos()
          && !visitor.visit(row)) {
        return;
      }
    }
  }

  private HistoryRuns runs(Set<Long> going) {
    return new HistoryRuns(
        this::scan, new Program.Key("default", "web"), 0, END, going, lines::add);
  }

  /// A run of jumps and stretches over two disks.
  private void run(LiveRun run, Random random) {
    for (int i = 0; i < 300; i++) {
      now += 50_000 + random.nextInt(200_000);
      long first = 40L * random.nextInt(20) + random.nextInt(2);
      String space = random.nextInt(4) == 0 ? "data" : "root";
      for (int unit = 0; unit <= random.nextInt(3); unit++) {
        run.touch(ResourceType.FILE_BLOCK, space, first + unit, AccessType.READ);
      }
    }
  }

  private byte[] file(HybridForecaster forecaster) {
    return new ModelFile("default", "web", forecaster).encode(host);
  }

  private ModelBundle decoded(HistoryRuns.Learnt learnt) throws ModelException {
    return ModelBundle.decode(learnt.model(), host, (_, _) -> new HostKnowledge());
  }

  @Test
  void whatIsLearntFromHistoryIsByteForByteWhatWasLearntLive() throws Exception {
    Random random = new Random(7);
    for (int i = 1; i <= 11; i++) {
      LiveRun run = new LiveRun(i, "vm" + i % 3, ResourceType.FILE_BLOCK);
      run(run, random);
      run.stop();
      now += 1_000_000;
    }
    HistoryRuns.Learnt learnt = runs(Set.of()).learn().orElseThrow();
    assertThat(learnt.runs()).isEqualTo(11);
    assertThat(learnt.accesses()).isEqualTo(rows.size());
    assertThat(learnt.toNanos()).isEqualTo(rows.getLast().timeNanos());
    HybridForecaster before = requireNonNull(live.get(ResourceType.FILE_BLOCK));
    assertThat(Arrays.mismatch(learnt.model().array(), file(before))).isEqualTo(-1);
    HybridForecaster again = decoded(learnt).models().get(ResourceType.FILE_BLOCK).forecaster();
    assertThat(again.lastRun()).isEqualTo(before.lastRun());
    assertThat(lines).isNotEmpty();
  }

  @Test
  void levelsThatAreGivenUpAndTypesThatARunDidNotTouchAreLearntAsTheyWere() throws Exception {
    for (int i = 1; i <= 4; i++) {
      LiveRun run = new LiveRun(i, "vm1", ResourceType.FILE_BLOCK, ResourceType.NETWORK_CONNECTION);
      now += 1_000_000;
      run.touch(ResourceType.FILE_BLOCK, "root", 3, AccessType.READ);
      // The second run needs no connection.
      for (int level = 0; i != 2 && level < 3; level++) {
        now += 1_000_000;
        run.touch(ResourceType.NETWORK_CONNECTION, "db:5432", level, AccessType.READ);
        run.touch(ResourceType.NETWORK_CONNECTION, "db:5432", level, AccessType.RELEASE);
      }
      run.stop();
      now += 1_000_000;
    }
    ModelBundle again = decoded(runs(Set.of()).learn().orElseThrow());
    assertThat(again.models().keySet()).isEqualTo(live.keySet());
    live.forEach((type, forecaster) -> {
      HybridForecaster learnt = again.models().get(type).forecaster();
      assertThat(learnt.runs()).isEqualTo(forecaster.runs());
      assertThat(Arrays.mismatch(file(learnt), file(forecaster))).as("%s", type).isEqualTo(-1);
    });
  }

  @Test
  void runsThatGoOnAreNotLearntAndOthersAccessesAreNotRead() throws Exception {
    LiveRun whole = new LiveRun(1, "vm1", ResourceType.FILE_BLOCK);
    whole.touch(ResourceType.FILE_BLOCK, "root", 3, AccessType.READ);
    now++;
    LiveRun going = new LiveRun(2, "vm2", ResourceType.FILE_BLOCK);
    going.touch(ResourceType.FILE_BLOCK, "root", 9, AccessType.READ);
    now++;
    rows.add(whole.row("other", ResourceType.FILE_BLOCK, "root", 70, AccessType.READ, 3));
    rows.add(
        whole.row("default", ResourceType.FILE_BLOCK, "root", 80, AccessType.READ, Access.NO_RUN));
    HistoryRuns.Learnt learnt = runs(Set.of(2L)).learn().orElseThrow();
    assertThat(learnt.runs()).isEqualTo(1);
    assertThat(learnt.accesses()).isEqualTo(2);
    HybridForecaster again = decoded(learnt).models().get(ResourceType.FILE_BLOCK).forecaster();
    assertThat(again.touched()).containsExactly(Resource.of(0, 3));
    assertThat(runs(Set.of(1L, 2L)).learn()).isEmpty();
  }

  @Test
  void historyWithoutTheProgramHasNothing() throws Refusal, InterruptedException {
    assertThat(runs(Set.of()).hasAny()).isFalse();
    assertThat(runs(Set.of()).learn()).isEmpty();
    LiveRun run = new LiveRun(1, "vm1", ResourceType.FILE_BLOCK);
    run.touch(ResourceType.FILE_BLOCK, "root", 3, AccessType.READ);
    assertThat(runs(Set.of()).hasAny()).isTrue();
  }
}
