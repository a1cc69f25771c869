package dev.prestage.control.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What a host knows of a program is the same before a restart and after it.
class ModelStoreTest {
  private static final Program WEB = new Program(1, "blue", "web");
  private static final Program MAIL = new Program(2, "blue", "mail");
  private static final int CORE = 100;
  private static final int ALL = 1000;

  private final List<String> troubles = new ArrayList<>();
  private final ModelBundle.Numbers numbers = new ModelBundle.Numbers();

  @TempDir private Path folder;

  private ModelStore store() {
    return new ModelStore(
        folder, numbers, learnt -> learnt, (kind, line) -> troubles.add(kind + ": " + line));
  }

  private int space() {
    return numbers.number(new Spaces.Name("blue", ResourceType.FILE_BLOCK, "image"));
  }

  private void run(ModelStore store, Program program, int units) {
    Forecaster.Cursor cursor = store.of(program, ResourceType.FILE_BLOCK).start(1, 1_000);
    for (int i = 0; i < units; i++) {
      cursor.observe(
          new Access(
              0,
              1,
              Resource.of(space(), i),
              1_000_000L * i,
              AccessType.READ,
              1,
              Cause.DEMAND,
              false,
              1));
    }
    cursor.stop(1_000_000L * units);
    store.learnt(program, ResourceType.FILE_BLOCK);
  }

  /// What is foretold at a start of a program.
  private Map<Long, Double> foretold(ModelStore store, Program program) {
    Forecast forecast = new Forecast();
    store
        .of(program, ResourceType.FILE_BLOCK)
        .start(1, 1_000)
        .forecast(1_000, Long.MAX_VALUE / 4, forecast);
    Map<Long, Double> probabilities = new TreeMap<>();
    for (int row = 0; row < forecast.size(); row++) {
      probabilities.put(Resource.index(forecast.resource(row)), forecast.probability(row));
    }
    return probabilities;
  }

  /// A copy of the whole disk counts as a run of its program. The next start is told that half of
  /// all runs touched the rest of the disk, and learns that this says little.
  private void runsWithACopyOfTheDisk(ModelStore store, Program program) {
    run(store, program, CORE);
    run(store, program, ALL);
    run(store, program, CORE);
  }

  @Test
  void whatCorrectsForecastsOutlivesARestart() {
    Map<Long, Double> before;
    try (ModelStore store = store()) {
      runsWithACopyOfTheDisk(store, MAIL);
      run(store, WEB, CORE);
      run(store, WEB, ALL);
      before = foretold(store, WEB);
    }
    try (ModelStore store = store()) {
      assertThat(foretold(store, WEB)).isEqualTo(before);
    }
    assertThat(before.get((long) ALL - 1))
        .as("foretold of what half of the runs touched")
        .isLessThan(.1);
    assertThat(troubles).isEmpty();
  }

  @Test
  void countsThatAreDamagedAreSetAsideAndCountedAnew() throws IOException {
    try (ModelStore store = store()) {
      runsWithACopyOfTheDisk(store, WEB);
    }
    Path counts = folder.resolve("blue/file-block.counts");
    byte[] bytes = Files.readAllBytes(counts);
    bytes[bytes.length - 1] ^= 1;
    Files.write(counts, bytes);
    try (ModelStore store = store()) {
      assertThat(foretold(store, WEB)).hasSize(ALL);
      assertThat(troubles)
          .containsExactly(
              "model:blue/file-block.counts: the file "
                  + counts
                  + " cannot be used: its checksum is wrong: it was damaged; it is kept as"
                  + " file-block.counts.refused and counting begins anew");
      assertThat(foretold(store, WEB).get((long) ALL - 1)).as("by the prior").isGreaterThan(.3);
    }
    assertThat(counts).doesNotExist();
    assertThat(counts.resolveSibling("file-block.counts.refused")).exists();
    troubles.clear();
    try (ModelStore store = store()) {
      run(store, WEB, CORE);
    }
    assertThat(counts).exists();
    assertThat(troubles).isEmpty();
  }

  @Test
  void whatIsNoFileOfOursIsSetAsideUnread() throws Exception {
    Path tenant = Files.createDirectories(folder.resolve("blue"));
    Files.createDirectory(tenant.resolve("file-block.counts"));
    try (RandomAccessFile sparse =
        new RandomAccessFile(tenant.resolve("web.model").toFile(), "rw")) {
      sparse.setLength(3L << 30);
    }
    try (ModelStore store = store()) {
      assertThat(foretold(store, WEB)).isEmpty();
    }
    assertThat(String.join("\n", troubles))
        .contains("it is no regular file", "it has 3221225472 bytes, more than any");
  }

  @Test
  void aModelFromElsewhereIsReadWithThisHostsCounts() throws Exception {
    byte[] model;
    Map<Long, Double> before;
    try (ModelStore store = store()) {
      runsWithACopyOfTheDisk(store, MAIL);
      run(store, WEB, CORE);
      run(store, WEB, ALL);
      model = store.export(WEB);
      before = foretold(store, WEB);
    }
    Files.delete(folder.resolve("blue/web.model"));
    try (ModelStore store = store()) {
      store.replace(WEB, store.decode(ByteBuffer.wrap(model), numbers));
      assertThat(foretold(store, WEB)).isEqualTo(before);
    }
  }
}
