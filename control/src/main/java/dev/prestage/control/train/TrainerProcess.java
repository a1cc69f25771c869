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
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/// The trainer as a child of this process: at the lowest priority, on one thread, with bounded
/// memory. It is an optional part of the installation.
///
/// @param folder with the trainer's jar, `trainer.jar`, and what it needs in `lib`
/// @param work where it keeps its files while it works, and PyTorch's libraries
public record TrainerProcess(Path folder, Path work) {
  private static final String MAIN = "dev.prestage.trainer.Trainer";
  private static final String OWN_LINE = "trainer: ";
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
  /// @throws IOException with the trainer's own line if it fails
  public Network train(Corpus corpus, int epochs, Consumer<String> progress)
      throws IOException, InterruptedException {
    Files.createDirectories(work);
    Path input = work.resolve("corpus");
    Path output = work.resolve("network");
    try {
      try (var bytes =
          new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(input)))) {
        corpus.write(bytes);
      }
      run(input, output, epochs, progress);
      try (var bytes = new DataInputStream(new BufferedInputStream(Files.newInputStream(output)))) {
        return NetworkFile.read(bytes, DataInput::readLong);
      }
    } finally {
      Files.deleteIfExists(input);
      Files.deleteIfExists(output);
    }
  }

  private void run(Path input, Path output, int epochs, Consumer<String> progress)
      throws IOException, InterruptedException {
    Path errors = work.resolve("errors");
    ProcessBuilder builder = new ProcessBuilder(command(input, output, epochs));
    builder.environment().put("OMP_NUM_THREADS", "1");
    builder.environment().put("DJL_CACHE_DIR", work.resolve("pytorch").toString());
    builder.redirectError(errors.toFile());
    Process process = builder.start();
    try {
      process.getOutputStream().close();
      Thread reader = Thread.ofVirtual().start(() -> tell(process, progress));
      int status = process.waitFor();
      reader.join();
      if (status != 0) {
        throw new IOException(reason(errors, status));
      }
    } finally {
      process.destroyForcibly();
      Files.deleteIfExists(errors);
    }
  }

  private List<String> command(Path input, Path output, int epochs) {
    List<String> command = new ArrayList<>();
    if (Files.isExecutable(Path.of("/usr/bin/nice"))) {
      command.addAll(List.of("/usr/bin/nice", "-n", "19"));
    }
    command.addAll(
        List.of(
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
            MAIN,
            input.toString(),
            output.toString(),
            Integer.toString(epochs)));
    return command;
  }

  private static void tell(Process process, Consumer<String> progress) {
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      lines.lines().forEach(progress);
    } catch (IOException e) {
      progress.accept("its output ended: " + e.getMessage());
    }
  }

  /// The trainer's last line of its own, or what is known otherwise.
  private static String reason(Path errors, int status) throws IOException {
    List<String> lines = Files.readAllLines(errors, StandardCharsets.UTF_8);
    return lines.stream()
        .filter(line -> line.startsWith(OWN_LINE))
        .map(line -> line.substring(OWN_LINE.length()))
        .reduce((_, last) -> last)
        .orElse("the trainer ended with status " + status);
  }
}
