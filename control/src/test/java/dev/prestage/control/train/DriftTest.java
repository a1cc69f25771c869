package dev.prestage.control.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.control.model.Provenance;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Programs that change their behaviour, with the forecaster that users have, on a clock that the
/// test moves.
@Timeout(60)
class DriftTest {
  private static final Program WEB = new Program(1, "default", "web");
  private static final int USUAL = 1_000;
  private static final int CHANGED = 9_000;

  private final List<AccessHistory.Row> rows = new CopyOnWriteArrayList<>();
  private final List<String> swaps = new CopyOnWriteArrayList<>();
  private final AtomicLong now = new AtomicLong(1_000_000_000_000L);
  private final ModelBundle.Numbers numbers = new ModelBundle.Numbers();
  private final int space =
      numbers.number(new Spaces.Name("default", ResourceType.FILE_BLOCK, "root"));
  private final Random random = new Random(3);
  private volatile HybridForecaster serving = new HybridForecaster();
  private long runs;

  private final Trainings trainings =
      new Trainings(
          new Host(), Optional::empty, Duration.ofDays(1), Duration.ZERO, now::get, Duration.ZERO);

  private final class Host implements Trainings.Host {
    @Override
    public long accesses() {
      return 0;
    }

    @Override
    public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor) {
      for (AccessHistory.Row row : rows) {
        if (row.timeNanos() >= selection.fromNanos()
            && row.timeNanos() < selection.toNanos()
            && !visitor.visit(row)) {
          return;
        }
      }
    }

    @Override
    public void replace(Program program, HistoryRuns.Learnt learnt, String line) {
      try {
        serving =
            ModelBundle.decode(learnt.model(), numbers, (_, _) -> new HostKnowledge())
                .models()
                .get(ResourceType.FILE_BLOCK)
                .forecaster();
        swaps.add(line);
      } catch (ModelException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public Set<Long> going() {
      return Set.of();
    }

    @Override
    public Map<Spaces.Name, Integer> numbers(Set<Spaces.Name> names) {
      return Map.of();
    }

    @Override
    public Optional<Network> serving(Program program) {
      return Optional.empty();
    }

    @Override
    public void serve(Program program, Network network, Provenance provenance) {}

    @Override
    public void trained(Program program) {}

    @Override
    public Map<Program, Long> newRequests() {
      return Map.of();
    }
  }

  @AfterEach
  void close() {
    trainings.close();
  }

  /// A run that reads 60 units from one on, each with a chance of nine in ten.
  private void run(int first) {
    now.addAndGet(1_000_000_000L);
    long run = ++runs;
    HybridForecaster forecaster = serving;
    Forecaster.Cursor cursor = forecaster.start(1, now.get());
    for (int i = 0; i < 60; i++) {
      if (random.nextInt(10) == 0) {
        continue;
      }
      long unit = first + 7L * i;
      long at = now.addAndGet(1_000_000);
      cursor.observe(
          new Access(
              1, run, Resource.of(space, unit), at, AccessType.READ, 4096, Cause.DEMAND, false, 1));
      rows.add(
          new AccessHistory.Row(
              at,
              "default",
              "web",
              "vm1",
              ResourceType.FILE_BLOCK,
              "root",
              unit,
              AccessType.READ,
              4096,
              Cause.DEMAND,
              false,
              1,
              run));
    }
    now.addAndGet(1_000_000);
    cursor.stop(now.get());
    trainings.ended(WEB, forecaster.lastLoss());
  }

  private void runs(int count, int first) {
    for (int i = 0; i < count; i++) {
      run(first);
    }
  }

  private double counter(String name, String outcome) {
    return trainings.counters().stream()
        .filter(counter ->
            counter.name().equals(name)
                && counter.labels().getOrDefault("outcome", "").equals(outcome))
        .mapToDouble(Reply.Counter::value)
        .sum();
  }

  private void awaitDecision() {
    while (counter("model_challengers", "won") + counter("model_challengers", "lost") == 0) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void aProgramThatChangesIsLearntAnewAndTheChallengerThatForeseesItBetterServes() {
    runs(10, USUAL);
    assertThat(serving.lastLoss()).isLessThan(.35);
    runs(3, CHANGED);
    assertThat(counter("model_drifts", "")).isEqualTo(1);
    runs(2, CHANGED);
    awaitDecision();
    assertThat(counter("model_challengers", "won")).isEqualTo(1);
    assertThat(swaps).hasSize(1);
    assertThat(swaps.getFirst())
        .matches(
            "its starts are foreseen worse: loss 0[.][0-9]+ after 0[.][0-9]+; in the next 2 runs"
                + " 0[.][0-9]+ when learnt since then alone, 0[.][0-9]+ as it served");
    assertThat(serving.runs()).as("of the runs since it changed").isEqualTo(5);
    assertThat(Arrays.stream(serving.touched()).map(Resource::index).min().orElseThrow())
        .isGreaterThanOrEqualTo(CHANGED);
    run(CHANGED);
    assertThat(serving.lastLoss()).isLessThan(.35);
  }

  @Test
  void aProgramThatTurnsBackKeepsItsModel() {
    runs(10, USUAL);
    HybridForecaster before = serving;
    runs(3, CHANGED);
    assertThat(counter("model_drifts", "")).isEqualTo(1);
    runs(2, USUAL);
    awaitDecision();
    assertThat(counter("model_challengers", "lost")).isEqualTo(1);
    assertThat(swaps).isEmpty();
    assertThat(serving).isSameAs(before);
  }

  @Test
  void aProgramThatStaysAsItIsDoesNotDrift() {
    runs(60, USUAL);
    assertThat(counter("model_drifts", "")).isZero();
  }

  @Test
  void aProgramThatWasNeverForeseenDoesNotDrift() {
    for (int i = 0; i < 40; i++) {
      run(1_000 * random.nextInt(100));
    }
    assertThat(counter("model_drifts", "")).isZero();
  }

  @Test
  void oneBadRunIsNoDriftAndOneChangeIsOne() {
    runs(10, USUAL);
    run(CHANGED);
    runs(10, USUAL);
    assertThat(counter("model_drifts", "")).isZero();
    runs(12, CHANGED);
    awaitDecision();
    assertThat(counter("model_drifts", "")).isEqualTo(1);
  }
}
