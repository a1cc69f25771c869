package dev.prestage.trainer;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.trainer.OnnxGraph.Attribute;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// A network's step in ONNX Runtime, on one thread and on the calling one, as cheap as its Java
/// interface allows: every tensor is bound once to memory outside the heap, and two take turns as
/// the network's memory.
final class OnnxStep implements AutoCloseable {
  private static final int GATES = 3;

  /// How the gates are written in ONNX.
  enum Form {
    /// With its operator GRU, fed with the embedding of a word.
    OPERATOR,
    /// With operators of arithmetic, fed with what a word adds to the gates, as ours is.
    ARITHMETIC
  }

  /// What a step works out.
  enum Output {
    /// The words that are likeliest to come soon.
    SOONEST,
    /// The probabilities of being next and of coming soon of all words.
    PROBABILITIES
  }

  private final OrtSession.SessionOptions options = new OrtSession.SessionOptions();
  private final OrtSession session;
  private final LongBuffer word = direct(Long.BYTES).asLongBuffer();
  private final FloatBuffer[] memories = new FloatBuffer[2];
  private final FloatBuffer next;
  private final FloatBuffer soon;
  private final LongBuffer top;
  private final List<OnnxTensor> tensors = new ArrayList<>();
  private final List<Map<String, OnnxTensor>> inputs = new ArrayList<>();
  private final List<Map<String, OnnxTensor>> outputs = new ArrayList<>();
  private int turn;

  /// @param embedding of the network's words, which [Form#OPERATOR] needs
  /// @param named how many words [Output#SOONEST] names
  OnnxStep(
      OrtEnvironment environment,
      Network network,
      Embedding embedding,
      Form form,
      Output output,
      int named)
      throws OrtException {
    int words = network.vocabulary().words();
    options.setIntraOpNumThreads(1);
    options.setInterOpNumThreads(1);
    options.setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL);
    options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
    OnnxGraph graph = new OnnxGraph();
    long[] memoryShape =
        form == Form.OPERATOR
            ? new long[] {1, 1, network.hidden()}
            : new long[] {1, network.hidden()};
    graph.input("memory", memoryShape).output("remembered", memoryShape);
    switch (form) {
      case OPERATOR -> addOperator(graph, network, embedding);
      case ARITHMETIC -> addArithmetic(graph, network);
    }
    addOutput(graph, network, output, named);
    this.session = environment.createSession(graph.model(), options);
    this.next = floats(words);
    this.soon = floats(words);
    this.top = direct(Long.BYTES * named).asLongBuffer();
    bind(environment, form, output, memoryShape, named, words);
  }

  private void bind(
      OrtEnvironment environment,
      Form form,
      Output output,
      long[] memoryShape,
      int named,
      int words)
      throws OrtException {
    long[] wordShape = form == Form.OPERATOR ? new long[] {1, 1} : new long[] {1};
    OnnxTensor wordTensor = kept(OnnxTensor.createTensor(environment, word, wordShape));
    OnnxTensor[] memory = new OnnxTensor[memories.length];
    for (int i = 0; i < memory.length; i++) {
      memories[i] = floats((int) memoryShape[memoryShape.length - 1]);
      memory[i] = kept(OnnxTensor.createTensor(environment, memories[i], memoryShape));
    }
    OnnxTensor first =
        kept(
            output == Output.SOONEST
                ? OnnxTensor.createTensor(environment, top, new long[] {1, named})
                : OnnxTensor.createTensor(environment, next, new long[] {1, words}));
    OnnxTensor second = kept(OnnxTensor.createTensor(environment, soon, new long[] {1, words}));
    for (int from = 0; from < memory.length; from++) {
      OnnxTensor to = memory[1 - from];
      inputs.add(Map.of("word", wordTensor, "memory", memory[from]));
      outputs.add(
          output == Output.SOONEST
              ? Map.of("remembered", to, "top", first)
              : Map.of("remembered", to, "nextProbability", first, "soonProbability", second));
    }
  }

  private OnnxTensor kept(OnnxTensor tensor) {
    tensors.add(tensor);
    return tensor;
  }

  /// ONNX has the gates in the order z, r, n, and its bias twice: of the input, which is in the
  /// embedding's weights here, and of the memory.
  private static void addOperator(OnnxGraph graph, Network network, Embedding embedding) {
    int hidden = network.hidden();
    int words = network.vocabulary().words();
    int width = embedding.width();
    float[] recurrent = network.weights().get(1);
    float[] bias = network.weights().get(2);
    int gates = GATES * hidden;
    float[] inputTurned = new float[gates * width];
    float[] recurrentTurned = new float[gates * hidden];
    float[] biases = new float[2 * gates];
    for (int gate = 0; gate < gates; gate++) {
      int ours = gate < 2 * hidden ? (gate + hidden) % (2 * hidden) : gate;
      for (int i = 0; i < width; i++) {
        inputTurned[gate * width + i] = embedding.gates()[i * gates + ours];
      }
      for (int i = 0; i < hidden; i++) {
        recurrentTurned[gate * hidden + i] = recurrent[i * gates + ours];
      }
      biases[gates + gate] = bias[ours];
    }
    graph
        .numberInput("word", 1, 1)
        .constant("embedding", embedding.words(), words, width)
        .constant("W", inputTurned, 1, gates, width)
        .constant("R", recurrentTurned, 1, gates, hidden)
        .constant("B", biases, 1, 2L * gates)
        .constant("flat", 1, hidden)
        .operator("Gather", List.of("embedding", "word"), List.of("embedded"))
        .operator(
            "GRU",
            List.of("embedded", "W", "R", "B", "", "memory"),
            List.of("", "remembered"),
            new Attribute("hidden_size", hidden),
            new Attribute("linear_before_reset", 1))
        .operator("Reshape", List.of("remembered", "flat"), List.of("state"));
  }

  private static void addArithmetic(OnnxGraph graph, Network network) {
    int hidden = network.hidden();
    int words = network.vocabulary().words();
    int gates = GATES * hidden;
    graph
        .numberInput("word", 1)
        .constant("input", network.weights().get(0), words, gates)
        .constant("R", network.weights().get(1), hidden, gates)
        .constant("B", network.weights().get(2), gates)
        .constant("cuts", 2L * hidden, hidden)
        .operator("Gather", List.of("input", "word"), List.of("in"))
        .operator("Gemm", List.of("memory", "R", "B"), List.of("back"))
        .operator("Split", List.of("in", "cuts"), List.of("inRZ", "inN"), axis())
        .operator("Split", List.of("back", "cuts"), List.of("backRZ", "backN"), axis())
        .operator("Add", List.of("inRZ", "backRZ"), List.of("sumRZ"))
        .operator("Sigmoid", List.of("sumRZ"), List.of("rz"))
        .operator("Split", List.of("rz"), List.of("r", "z"), axis())
        .operator("Mul", List.of("r", "backN"), List.of("gated"))
        .operator("Add", List.of("inN", "gated"), List.of("sumN"))
        .operator("Tanh", List.of("sumN"), List.of("n"))
        .operator("Sub", List.of("memory", "n"), List.of("older"))
        .operator("Mul", List.of("z", "older"), List.of("held"))
        .operator("Add", List.of("n", "held"), List.of("remembered"))
        .operator("Identity", List.of("remembered"), List.of("state"));
  }

  private static Attribute axis() {
    return new Attribute("axis", 1);
  }

  private static void addOutput(OnnxGraph graph, Network network, Output output, int named) {
    int words = network.vocabulary().words();
    graph
        .constant("soonWeights", network.weights().get(5), network.hidden(), words)
        .constant("soonBias", network.weights().get(6), words)
        .operator("Gemm", List.of("state", "soonWeights", "soonBias"), List.of("soon"));
    switch (output) {
      case SOONEST ->
          graph
              .constant("named", named)
              .operator("TopK", List.of("soon", "named"), List.of("values", "top"))
              .numberOutput("top", 1, named);
      case PROBABILITIES ->
          graph
              .constant("nextWeights", network.weights().get(3), network.hidden(), words)
              .constant("nextBias", network.weights().get(4), words)
              .operator("Gemm", List.of("state", "nextWeights", "nextBias"), List.of("next"))
              .operator("Softmax", List.of("next"), List.of("nextProbability"), axis())
              .operator("Sigmoid", List.of("soon"), List.of("soonProbability"))
              .output("nextProbability", 1, words)
              .output("soonProbability", 1, words);
    }
  }

  private static ByteBuffer direct(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  private static FloatBuffer floats(int count) {
    return direct(Float.BYTES * count).asFloatBuffer();
  }

  /// Reads a word; the network's memory goes on.
  void read(int wordRead) throws OrtException {
    word.put(0, wordRead);
    try (var _ = session.run(inputs.get(turn), outputs.get(turn))) {
      turn = 1 - turn;
    }
  }

  /// How likely a word is the next one, of a step with [Output#PROBABILITIES].
  float next(int ofWord) {
    return next.get(ofWord);
  }

  /// How likely a word comes soon, of a step with [Output#PROBABILITIES].
  float soon(int ofWord) {
    return soon.get(ofWord);
  }

  /// The word at a place from 0 among the likeliest to come soon, of a step with [Output#SOONEST].
  int top(int place) {
    return (int) top.get(place);
  }

  @Override
  public void close() throws OrtException {
    for (OnnxTensor tensor : tensors) {
      tensor.close();
    }
    session.close();
    options.close();
  }
}
