package dev.prestage.trainer;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.NetworkFile;
import dev.prestage.engine.predict.neural.Vocabulary;
import java.io.BufferedInputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/// What a step of a network takes in our loops and in ONNX Runtime, with the same weights in one
/// process, on one thread, in passes that take turns: `NETWORK EMBEDDING STEPS PASSES`. A step
/// reads a request and names the five words that are likeliest to come soon.
///
/// Standard output has a line for each figure, its name and its value: `ours`, `onnx-operator` and
/// `onnx-arithmetic` ([OnnxStep.Form]) in microseconds of the thread's own time a step, medians of
/// the passes; `difference`, the largest between our probabilities and those of ONNX Runtime.
public final class BesideOnnxRuntime {
  private static final int USAGE = 2;
  private static final int NAMED = 5;
  private static final int COMPARED_STEPS = 512;

  /// Spreads the steps over the words, which are fewer.
  private static final int STRIDE = 7919;

  private final Network network;
  private final Embedding embedding;
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();

  BesideOnnxRuntime(Network network, Embedding embedding) {
    this.network = network;
    this.embedding = embedding;
  }

  /// Measures, and ends the process.
  ///
  /// @param arguments see the class
  public static void main(String[] arguments) {
    System.exit(run(arguments, System.out, System.err));
  }

  static int run(String[] arguments, PrintStream out, PrintStream err) {
    if (arguments.length != 4) {
      err.println("usage: NETWORK EMBEDDING STEPS PASSES");
      return USAGE;
    }
    try {
      Network network;
      try (var in = read(arguments[0])) {
        network = NetworkFile.read(in, DataInput::readLong);
      }
      Embedding embedding;
      try (var in = read(arguments[1])) {
        embedding = Embedding.read(in, network.vocabulary().words(), 3 * network.hidden());
      }
      new BesideOnnxRuntime(network, embedding)
          .measure(Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]), out);
      return 0;
    } catch (IOException | OrtException | IllegalArgumentException | LinkageError e) {
      err.println("trainer: " + e);
      return 1;
    }
  }

  private static DataInputStream read(String file) throws IOException {
    return new DataInputStream(new BufferedInputStream(Files.newInputStream(Path.of(file))));
  }

  private void measure(int steps, int passes, PrintStream out) throws OrtException {
    double difference = 0;
    for (OnnxStep.Form form : OnnxStep.Form.values()) {
      difference = Math.max(difference, difference(form, COMPARED_STEPS));
    }
    double[] ours = new double[passes];
    double[][] theirs = new double[OnnxStep.Form.values().length][passes];
    try (OnnxStep operator = soonest(OnnxStep.Form.OPERATOR);
        OnnxStep arithmetic = soonest(OnnxStep.Form.ARITHMETIC)) {
      Network.Memory memory = network.new Memory();
      for (int pass = -1; pass < passes; pass++) {
        // The first round warms up.
        int kept = Math.max(0, pass);
        ours[kept] = ours(memory, steps);
        theirs[0][kept] = theirs(operator, steps);
        theirs[1][kept] = theirs(arithmetic, steps);
      }
    }
    figure(out, "ours", median(ours));
    figure(out, "onnx-operator", median(theirs[0]));
    figure(out, "onnx-arithmetic", median(theirs[1]));
    figure(out, "difference", difference);
  }

  private static void figure(PrintStream out, String name, double value) {
    out.printf(Locale.ROOT, "%s %.6g%n", name, value);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private OnnxStep soonest(OnnxStep.Form form) throws OrtException {
    return new OnnxStep(environment, network, embedding, form, OnnxStep.Output.SOONEST, NAMED);
  }

  private long resource(int step) {
    Vocabulary vocabulary = network.vocabulary();
    return vocabulary.resource(1 + (int) ((long) step * STRIDE % vocabulary.resources()));
  }

  private int word(int step) {
    return network.vocabulary().word(resource(step), -1);
  }

  private double ours(Network.Memory memory, int steps) {
    int[] top = new int[NAMED];
    long before = threads.getCurrentThreadCpuTime();
    for (int i = 0; i < steps; i++) {
      memory.read(resource(i));
      memory.soonest(top);
    }
    return (threads.getCurrentThreadCpuTime() - before) / 1e3 / steps;
  }

  private double theirs(OnnxStep step, int steps) throws OrtException {
    int[] top = new int[NAMED];
    long before = threads.getCurrentThreadCpuTime();
    for (int i = 0; i < steps; i++) {
      step.read(word(i));
      for (int place = 0; place < NAMED; place++) {
        top[place] = step.top(place);
      }
    }
    return (threads.getCurrentThreadCpuTime() - before) / 1e3 / steps;
  }

  /// The largest difference of a probability in so many steps from an empty memory.
  double difference(OnnxStep.Form form, int steps) throws OrtException {
    Network.Memory memory = network.new Memory();
    double largest = 0;
    try (OnnxStep theirs =
        new OnnxStep(environment, network, embedding, form, OnnxStep.Output.PROBABILITIES, NAMED)) {
      for (int i = 0; i < steps; i++) {
        memory.read(resource(i));
        theirs.read(word(i));
        for (int word = 0; word < network.vocabulary().words(); word++) {
          double soon = 1 / (1 + Math.exp(-memory.soon(word)));
          largest = Math.max(largest, Math.abs(memory.next(word) - theirs.next(word)));
          largest = Math.max(largest, Math.abs(soon - theirs.soon(word)));
        }
      }
    }
    return largest;
  }

  /// The words that ONNX Runtime finds likeliest to come soon behind so many steps.
  int[] soonest(OnnxStep.Form form, int steps) throws OrtException {
    try (OnnxStep theirs = soonest(form)) {
      for (int i = 0; i < steps; i++) {
        theirs.read(word(i));
      }
      int[] top = new int[NAMED];
      Arrays.setAll(top, theirs::top);
      return top;
    }
  }
}
