package dev.prestage.control.train;

import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.NetworkFile;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/// The trainer as a child of this process: at the lowest priority, on one thread, and while guests
/// are not at work. It takes some 450 MB, and ends with this process. It is an optional part of the
/// installation.
///
/// @param folder with the trainer's jar, `trainer.jar`, and what it needs in `lib`
/// @param work where it keeps its files while it works, and PyTorch's libraries
public record TrainerProcess(Path folder, Path work) {
  private static final String TRAINER = "dev.prestage.trainer.Trainer";
  private static final String BESIDE_ONNX_RUNTIME = "dev.prestage.trainer.BesideOnnxRuntime";

  /// What is random in a training is the same each time: the order of segments and first weights.
  static final int SEED = 1;

  private static final int HIDDEN_UNITS = 64;
  private static final String OWN_LINE = "trainer: ";
  private static final String LEFTOVER = "training-";

  /// Six epochs of 400,000 requests at a quarter of the usual speed.
  private static final Duration LONGEST = Duration.ofMinutes(30);

  /// What the trainer is told on its standard input.
  private static final char REST = 'r';

  private static final char WORK = 'w';

  /// Guests that made so many accesses between two looks are at work, and for a while after.
  private static final long BUSY_ACCESSES = 5;

  /// After so long it works however busy they are: a model that grows old is of no use to them.
  private static final Duration LONGEST_REST = Duration.ofHours(1);

  private static final Duration LOOK = Duration.ofMillis(100);
  private static final Duration BUSY = Duration.ofSeconds(1);

  private static final String MOST_MEMORY = "-Xmx1g";

  /// The trainer of an installation.
  ///
  /// @param home of the installation
  /// @param work where it may keep files
  /// @return empty if the trainer is not installed there
  public static Optional<TrainerProcess> installed(Path home, Path work) {
    Path folder = home.resolve("trainer/target");
    return Files.isReadable(folder.resolve("trainer.jar"))
            && Files.isDirectory(folder.resolve("lib"))
        ? Optional.of(new TrainerProcess(folder, work))
        : Optional.empty();
  }

  /// Trains a network. Interrupting the caller ends the trainer.
  ///
  /// @param epochs how often the corpus is read
  /// @param progress hears each line of the trainer
  /// @param accesses how many accesses guests have made so far: while they make many, the trainer
  ///   rests, for an hour in all
  /// @throws IOException with the trainer's own line if it fails
  public Network train(Corpus corpus, int epochs, Consumer<String> progress, LongSupplier accesses)
      throws IOException, InterruptedException {
    Files.createDirectories(work);
    sweep();
    Path folder = Files.createTempDirectory(work, LEFTOVER);
    try {
      Path input = folder.resolve("corpus");
      Path output = folder.resolve("network");
      try (var bytes =
          new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(input)))) {
        corpus.write(bytes);
      }
      List<String> command = new ArrayList<>(leastUrgent());
      command.addAll(java(TRAINER));
      command.addAll(
          List.of(
              input.toString(),
              output.toString(),
              Integer.toString(epochs),
              Integer.toString(HIDDEN_UNITS),
              Integer.toString(SEED)));
      run(command, folder, progress, accesses);
      try (var bytes = new DataInputStream(new BufferedInputStream(Files.newInputStream(output)))) {
        return NetworkFile.read(bytes, DataInput::readLong);
      }
    } finally {
      remove(folder);
    }
  }

  /// What a network's words add to its gates, in two factors, as ONNX's operator GRU takes it.
  ///
  /// @param width of a word's embedding
  /// @param words the embedding of each word: `w · width`
  /// @param gates what each of its cells adds to the gates r, z, n: `width · 3h`
  @SuppressWarnings("ArrayRecordComponent") // weights, not compared
  public record Embedding(int width, float[] words, float[] gates) {}

  /// Measures a network's step in our loops and in ONNX Runtime, in turns in one process.
  ///
  /// @param embedding whose product the network has
  /// @param steps of a pass
  /// @param figures hears each figure: its name, a space, its value
  /// @throws IOException with the trainer's own line if it fails
  public void besideOnnxRuntime(
      Network network, Embedding embedding, int steps, int passes, Consumer<String> figures)
      throws IOException, InterruptedException {
    Files.createDirectories(work);
    sweep();
    Path folder = Files.createTempDirectory(work, LEFTOVER);
    try {
      Path weights = folder.resolve("network");
      Path factors = folder.resolve("embedding");
      try (var bytes =
          new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(weights)))) {
        NetworkFile.write(network, bytes, (resource, to) -> to.writeLong(resource));
      }
      try (var bytes =
          new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(factors)))) {
        bytes.writeInt(embedding.width());
        for (float weight : embedding.words()) {
          bytes.writeFloat(weight);
        }
        for (float weight : embedding.gates()) {
          bytes.writeFloat(weight);
        }
      }
      List<String> command = new ArrayList<>(java(BESIDE_ONNX_RUNTIME));
      command.addAll(
          List.of(
              weights.toString(),
              factors.toString(),
              Integer.toString(steps),
              Integer.toString(passes)));
      run(command, folder, figures, () -> 0);
    } finally {
      remove(folder);
    }
  }

  /// Runs what follows while nobody else wants the processor. Of what was measured beside reads,
  /// the scheduling policy "idle" is worse than the lowest priority.
  private static List<String> leastUrgent() {
    return Files.isExecutable(Path.of("/usr/bin/nice"))
        ? List.of("/usr/bin/nice", "-n", "19")
        : List.of();
  }

  /// What a killed process left.
  private void sweep() throws IOException {
    try (DirectoryStream<Path> left = Files.newDirectoryStream(work, LEFTOVER + "*")) {
      for (Path folder : left) {
        remove(folder);
      }
    }
  }

  private static void remove(Path folder) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
    }
    Files.deleteIfExists(folder);
  }

  private void run(
      List<String> command, Path scratch, Consumer<String> progress, LongSupplier accesses)
      throws IOException, InterruptedException {
    Path errors = scratch.resolve("errors");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("OMP_NUM_THREADS", "1");
    builder.environment().put("DJL_CACHE_DIR", work.resolve("pytorch").toString());
    builder.redirectError(errors.toFile());
    // Its standard input stays open while this process lives, and it ends with that.
    Process process = builder.start();
    try {
      Thread reader = Thread.ofVirtual().start(() -> tell(process, progress));
      await(process, progress, accesses);
      reader.join();
      if (process.exitValue() != 0) {
        throw new IOException(reason(errors, process.exitValue()));
      }
    } finally {
      process.destroyForcibly();
    }
  }

  /// Waits for the trainer's end, and tells it meanwhile whether guests are at work.
  private static void await(Process process, Consumer<String> progress, LongSupplier accesses)
      throws IOException, InterruptedException {
    long begin = System.nanoTime();
    long before = accesses.getAsLong();
    boolean rests = false;
    long restedNanos = 0;
    long busyUntil = begin;
    long looked = begin;
    while (!process.waitFor(LOOK.toMillis(), TimeUnit.MILLISECONDS)) {
      long now = System.nanoTime();
      restedNanos += rests ? now - looked : 0;
      looked = now;
      if (now - begin - restedNanos > LONGEST.toNanos()) {
        throw new IOException("the trainer took longer than " + LONGEST.toMinutes() + " minutes");
      }
      long after = accesses.getAsLong();
      if (after - before >= BUSY_ACCESSES) {
        busyUntil = now + BUSY.toNanos();
      }
      before = after;
      boolean isToRest = now < busyUntil && restedNanos < LONGEST_REST.toNanos();
      if (isToRest != rests) {
        rests = isToRest;
        say(process, rests ? REST : WORK);
        progress.accept(rests ? "rests while guests are at work" : "goes on");
      }
    }
  }

  private static void say(Process process, char word) {
    try {
      process.getOutputStream().write(word);
      process.getOutputStream().flush();
    } catch (IOException _) {
      // It has ended; its status says why.
    }
  }

  private List<String> java(String main) {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+UseSerialGC",
        MOST_MEMORY,
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-Dai.djl.offline=true",
        "-Dai.djl.pytorch.num_threads=1",
        "-Dai.djl.pytorch.num_interop_threads=1",
        "-cp",
        folder.resolve("trainer.jar") + ":" + folder.resolve("lib") + "/*",
        main);
  }

  private static void tell(Process process, Consumer<String> progress) {
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      lines.lines().forEach(progress);
    } catch (IOException | UncheckedIOException e) {
      progress.accept("its output ended: " + e.getMessage());
    }
  }

  /// The trainer's last line of its own, or else its last line.
  private static String reason(Path errors, int status) throws IOException {
    String said = new String(Files.readAllBytes(errors), StandardCharsets.UTF_8).strip();
    String last = said.substring(Math.max(0, said.lastIndexOf(OWN_LINE)));
    if (last.startsWith(OWN_LINE)) {
      return last.lines().findFirst().orElseThrow().substring(OWN_LINE.length());
    }
    String line = said.substring(said.lastIndexOf('\n') + 1);
    return "the trainer ended with status " + status + (line.isEmpty() ? "" : ": " + line);
  }
}
