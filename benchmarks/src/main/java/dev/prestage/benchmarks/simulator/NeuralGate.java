package dev.prestage.benchmarks.simulator;

import com.sun.management.ThreadMXBean;
import dev.prestage.benchmarks.Check;
import dev.prestage.control.train.TrainerProcess;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.Vocabulary;
import dev.prestage.engine.resource.Resource;
import dev.prestage.simulator.trace.Trace;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/// What the neural half is worth: a network is trained on the first half of each trace, and the
/// second half is forecast with and without it. And what it costs.
public final class NeuralGate {
  /// The trace in which a header decides what comes 14 to 23 requests later, and how many bits a
  /// request the network must be worth on it.
  private static final String LONG_CONTEXT = "longcontext";

  private static final double LEAST_GAIN = 0.8;
  private static final int LONG_CONTEXT_EPOCHS = 12;
  private static final List<String> OTHERS = List.of("sqlite64k", "cloudPhysicsIO", "P3");
  private static final int EPOCHS = 3;

  /// The newest requests that a network is trained on.
  private static final int MOST_TRAINED = 100_000;

  private static final double MOST_HARM = 0.02;
  private static final double MOST_MICROS = 12;
  private static final double MOST_MEGABYTES = 2;
  private static final double LEAST_WORDS_A_SECOND = 20_000;
  private static final int RESOURCES = 767;
  private static final int DISTANCES = 256;
  private static final int HIDDEN = 64;
  private static final int EMBEDDING = 32;
  private static final int STEPS = 100_000;
  private static final int PASSES = 5;
  private static final int NAMED = 5;

  /// A pass of each takes a fifth of a second, so that the three that take turns see the same host.
  private static final int STEPS_BESIDE = 20_000;

  private static final int PASSES_BESIDE = 15;
  private static final double MOST_DIFFERENCE_MILLIONTHS = 100;
  private static final double LEAST_PROBABILITY = 1e-4;
  private static final double LN2 = Math.log(2);
  private static final Pattern FIGURE = Pattern.compile("([a-z-]+) ([0-9.e+-]+)");
  private static final Pattern SPEED = Pattern.compile("(\\d+) words/s");

  private final List<String> prestage;
  private final Path folder;
  private final TrainerProcess trainer;
  private final Consumer<Check> checks;
  private double fastest;

  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param folder with the traces
  /// @param checks hears each comparison as soon as it is made
  public NeuralGate(
      List<String> prestage, Path folder, TrainerProcess trainer, Consumer<Check> checks) {
    this.prestage = prestage;
    this.folder = folder;
    this.trainer = trainer;
    this.checks = checks;
  }

  /// Runs all comparisons.
  ///
  /// @throws IOException if a trace cannot be read, or the trainer failed
  public void run() throws IOException, InterruptedException {
    checkCost();
    Gain gain = gain(LONG_CONTEXT, LONG_CONTEXT_EPOCHS);
    checks.accept(
        new Check(
            LONG_CONTEXT + ": bits a request that the network saves",
            gain.without - gain.with,
            "at least " + LEAST_GAIN,
            gain.without - gain.with >= LEAST_GAIN));
    for (String name : OTHERS) {
      Gain other = gain(name, EPOCHS);
      checks.accept(
          Check.atMost(
              name + ": bits a request with the network less those without",
              other.with - other.without,
              MOST_HARM));
    }
    checks.accept(
        new Check(
            "words a second that the trainer learns on one core, in its best epoch",
            fastest,
            "at least " + LEAST_WORDS_A_SECOND,
            fastest >= LEAST_WORDS_A_SECOND));
    BesideTraining.run(prestage, trainer, checks);
  }

  private record Gain(double with, double without) {}

  private Gain gain(String name, int epochs) throws IOException, InterruptedException {
    Trace trace = SimulatorGate.trace(folder, name);
    int half = trace.requests() / 2;
    long[] learnt =
        LongStream.range(Math.max(0, half - MOST_TRAINED), half)
            .map(i -> Resource.of(0, trace.first((int) i)))
            .toArray();
    Network network =
        trainer.train(new Corpus(List.of(distinct(learnt))), epochs, this::heard, () -> 0);
    Gain gain = new Gain(bits(trace, network), bits(trace, null));
    checks.accept(
        new Check(name + ": bits a request without the network", gain.without, "to be seen", true));
    checks.accept(new Check(name + ": bits a request with it", gain.with, "to be seen", true));
    return gain;
  }

  /// Repeats of a request are one.
  private static long[] distinct(long[] requests) {
    long[] kept = new long[requests.length];
    int size = 0;
    for (long request : requests) {
      if (size == 0 || kept[size - 1] != request) {
        kept[size++] = request;
      }
    }
    return Arrays.copyOf(kept, size);
  }

  private void heard(String line) {
    Matcher matcher = SPEED.matcher(line);
    if (matcher.find()) {
      fastest = Math.max(fastest, Double.parseDouble(matcher.group(1)));
    }
  }

  /// Bits a request of the second half; a network serves from its beginning.
  private static double bits(Trace trace, @Nullable Network network) {
    HybridForecaster forecaster = new HybridForecaster();
    Forecaster.Cursor cursor = forecaster.start(1, 0);
    Forecast forecast = new Forecast();
    int half = trace.requests() / 2;
    double bits = 0;
    int judged = 0;
    long before = -1;
    for (int i = 0; i < trace.requests(); i++) {
      long first = Resource.of(0, trace.first(i));
      if (i == half && network != null) {
        forecaster.serve(network);
      }
      if (i >= half && first != before) {
        forecast.clear();
        cursor.next(i, forecast);
        int row = forecast.row(first);
        double said = row < 0 ? 0 : forecast.probability(row);
        bits -= Math.log(Math.max(LEAST_PROBABILITY, said)) / LN2;
        judged++;
      }
      before = first;
      for (int unit = 0; unit < trace.count(i); unit++) {
        cursor.observe(
            new Access(
                0, 1, first + unit, i, AccessType.READ, 1, Cause.DEMAND, false, Access.PENDING));
      }
    }
    return bits / judged;
  }

  // ---- what a step costs

  private void checkCost() throws IOException, InterruptedException {
    Random random = new Random(1);
    long[] resources = LongStream.range(0, RESOURCES).map(i -> 3 * i).toArray();
    long[] distances = LongStream.range(0, DISTANCES).map(i -> i - DISTANCES / 2).toArray();
    Vocabulary vocabulary = new Vocabulary(resources, distances);
    int words = vocabulary.words();
    TrainerProcess.Embedding embedding =
        new TrainerProcess.Embedding(
            EMBEDDING, weights(random, words * EMBEDDING), weights(random, EMBEDDING * 3 * HIDDEN));
    Network network =
        new Network(
            vocabulary,
            HIDDEN,
            product(embedding, words),
            weights(random, HIDDEN * 3 * HIDDEN),
            weights(random, 3 * HIDDEN),
            weights(random, HIDDEN * words),
            weights(random, words),
            weights(random, HIDDEN * words),
            weights(random, words));
    Network.Memory memory = network.new Memory();
    int[] top = new int[NAMED];
    IntConsumer step =
        i -> {
          memory.read(resources[(i * 7919) % RESOURCES]);
          memory.soonest(top);
        };
    double[] micros = new double[PASSES];
    double bytes = 0;
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    for (int pass = 0; pass < PASSES; pass++) {
      long bytesBefore = threads.getCurrentThreadAllocatedBytes();
      long before = threads.getCurrentThreadCpuTime();
      for (int i = 0; i < STEPS; i++) {
        step.accept(i);
      }
      micros[pass] = (threads.getCurrentThreadCpuTime() - before) / 1e3 / STEPS;
      bytes = (double) (threads.getCurrentThreadAllocatedBytes() - bytesBefore) / STEPS;
    }
    Arrays.sort(micros);
    checks.accept(
        Check.atMost(
            "microseconds a step, 1,024 words, with the top 5", micros[PASSES / 2], MOST_MICROS));
    checks.accept(Check.atMost("bytes allocated a step", bytes, .5));
    checks.accept(
        Check.atMost("MB of a network's memory", network.memoryBytes() / 1e6, MOST_MEGABYTES));
    checkBesideOnnxRuntime(network, embedding);
  }

  /// The same network in ONNX Runtime, in whichever of two forms it is faster.
  private void checkBesideOnnxRuntime(Network network, TrainerProcess.Embedding embedding)
      throws IOException, InterruptedException {
    Map<String, Double> figures = new ConcurrentHashMap<>();
    trainer.besideOnnxRuntime(
        network,
        embedding,
        STEPS_BESIDE,
        PASSES_BESIDE,
        line -> {
          Matcher matcher = FIGURE.matcher(line);
          if (matcher.matches()) {
            figures.put(matcher.group(1), Double.parseDouble(matcher.group(2)));
          }
        });
    double ours = figure(figures, "ours");
    double operator = figure(figures, "onnx-operator");
    double arithmetic = figure(figures, "onnx-arithmetic");
    double theirs = Math.min(operator, arithmetic);
    checks.accept(new Check("our step in the same process, µs", ours, "to be seen", true));
    checks.accept(
        new Check("ONNX Runtime with its operator GRU, µs", operator, "to be seen", true));
    checks.accept(
        new Check("ONNX Runtime with operators of arithmetic, µs", arithmetic, "to be seen", true));
    checks.accept(new Check("ONNX Runtime, µs", theirs, "to be seen", true));
    checks.accept(new Check("our step / ONNX Runtime's", ours / theirs, "to be seen", true));
    checks.accept(
        Check.atMost(
            "largest difference of a probability to ONNX Runtime's, in millionths",
            1e6 * figure(figures, "difference"),
            MOST_DIFFERENCE_MILLIONTHS));
  }

  private static double figure(Map<String, Double> figures, String name) throws IOException {
    Double figure = figures.get(name);
    if (figure == null) {
      throw new IOException("the trainer did not say '" + name + "'");
    }
    return figure;
  }

  /// What words add to the gates, as a network is trained: the product of two factors.
  private static float[] product(TrainerProcess.Embedding embedding, int words) {
    int gates = 3 * HIDDEN;
    float[] product = new float[words * gates];
    for (int word = 0; word < words; word++) {
      for (int i = 0; i < EMBEDDING; i++) {
        float cell = embedding.words()[word * EMBEDDING + i];
        for (int gate = 0; gate < gates; gate++) {
          product[word * gates + gate] += cell * embedding.gates()[i * gates + gate];
        }
      }
    }
    return product;
  }

  private static float[] weights(Random random, int count) {
    float[] weights = new float[count];
    for (int i = 0; i < count; i++) {
      weights[i] = (float) random.nextGaussian() / 10;
    }
    return weights;
  }
}
