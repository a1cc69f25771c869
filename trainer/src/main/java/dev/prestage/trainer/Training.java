package dev.prestage.trainer;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.nn.recurrent.GRU;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Adam;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.Vocabulary;
import java.util.ArrayList;
import java.util.List;

/// A network while it is trained, in PyTorch: an embedding of the words, one layer of gated units,
/// and two linear layers that say what comes next and what comes soon.
final class Training implements AutoCloseable {
  private static final int EMBEDDING = 32;
  private static final float RATE = 0.003f;

  /// The loss of what comes soon is a mean over all words, of which few come: it counts more.
  private static final float SOON_WEIGHT = 20;

  private static final float MOST_GRADIENT = 1;
  private static final float SPREAD = 0.1f;

  static {
    // Without this DJL would ask the network where it runs, and tell.
    System.setProperty("ai.djl.offline", "true");
  }

  private final Vocabulary vocabulary;
  private final int hidden;
  private final NDManager manager;
  private final ParameterStore store;
  private final NDArray embedding;
  private final GRU gru;
  private final Linear next;
  private final Linear soon;
  private final List<Trained> trained = new ArrayList<>();
  private final Optimizer adam =
      Adam.builder().optLearningRateTracker(Tracker.fixed(RATE)).optClipGrad(MOST_GRADIENT).build();
  private NDArray memory;

  /// What training moves.
  private record Trained(String name, NDArray weights) {}

  Training(Vocabulary vocabulary, int hidden, int seed) {
    this.vocabulary = vocabulary;
    this.hidden = hidden;
    Engine engine = Engine.getEngine("PyTorch");
    engine.setRandomSeed(seed);
    this.manager = engine.newBaseManager(Device.cpu());
    this.store = new ParameterStore(manager, false);
    int words = vocabulary.words();
    this.embedding = manager.randomNormal(0, SPREAD, new Shape(words, EMBEDDING), DataType.FLOAT32);
    embedding.setRequiresGradient(true);
    trained.add(new Trained("embedding", embedding));
    this.gru =
        GRU.builder()
            .setStateSize(hidden)
            .setNumLayers(1)
            .optBatchFirst(true)
            .optReturnState(true)
            .build();
    gru.initialize(manager, DataType.FLOAT32, new Shape(1, 1, EMBEDDING));
    this.next = layer(words);
    this.soon = layer(words);
    take("gru", gru.getParameters().values());
    take("next", next.getParameters().values());
    take("soon", soon.getParameters().values());
    this.memory = manager.zeros(new Shape(1, 1, hidden));
  }

  private Linear layer(int words) {
    Linear layer = Linear.builder().setUnits(words).build();
    layer.initialize(manager, DataType.FLOAT32, new Shape(1, hidden));
    return layer;
  }

  private void take(String name, List<Parameter> parameters) {
    for (Parameter parameter : parameters) {
      parameter.getArray().setRequiresGradient(true);
      trained.add(new Trained(name + trained.size(), parameter.getArray()));
    }
  }

  /// Forgets what was read.
  void rewind(int tapes) {
    memory.close();
    memory = manager.zeros(new Shape(1, tapes, hidden));
  }

  /// Learns from a batch, or only looks at it.
  ///
  /// @return the mean loss of what comes next, in nats
  float batch(Batches batches, int number, boolean isLearning) {
    int words = vocabulary.words();
    try (NDManager step = manager.newSubManager()) {
      NDArray input = step.create(batches.input(number)).reshape(batches.tapes(), -1);
      NDArray target = step.create(batches.target(number));
      if (!isLearning) {
        return loss(run(input, words).get(0), target).getFloat();
      }
      NDArray come = step.create(batches.soon(number, words), new Shape(target.size(), words));
      float loss;
      try (GradientCollector gradients = Engine.getEngine("PyTorch").newGradientCollector()) {
        NDList said = run(input, words);
        NDArray nextLoss = loss(said.get(0), target);
        NDArray soonLoss = binaryLoss(said.get(1), come);
        gradients.backward(nextLoss.add(soonLoss.mul(SOON_WEIGHT)));
        loss = nextLoss.getFloat();
      }
      for (Trained each : trained) {
        NDArray gradient = each.weights().getGradient();
        adam.update(each.name(), each.weights(), gradient);
        gradient.close();
      }
      return loss;
    }
  }

  private static NDArray loss(NDArray logits, NDArray target) {
    return Loss.softmaxCrossEntropyLoss().evaluate(new NDList(target), new NDList(logits));
  }

  private static NDArray binaryLoss(NDArray logits, NDArray come) {
    return Loss.sigmoidBinaryCrossEntropyLoss().evaluate(new NDList(come), new NDList(logits));
  }

  /// The logits of both layers behind each word of the input; the memory goes on. What a step makes
  /// must belong to the input's manager, or it would never be given back.
  private NDList run(NDArray input, int words) {
    NDArray embedded = embedding.get(input.getManager(), new NDIndex("{}", input));
    memory.attach(input.getManager());
    NDList out = gru.forward(store, new NDList(embedded, memory), true);
    memory = out.get(1).stopGradient().duplicate();
    memory.attach(manager);
    NDArray flat = out.get(0).reshape(-1, hidden);
    return new NDList(
        next.forward(store, new NDList(flat), true).singletonOrThrow().reshape(-1, words),
        soon.forward(store, new NDList(flat), true).singletonOrThrow().reshape(-1, words));
  }

  /// The logits of what comes next behind each of the words, from an empty memory.
  float[] logits(int[] words) {
    rewind(1);
    try (NDManager step = manager.newSubManager()) {
      NDArray input = step.create(words).reshape(1, -1);
      return run(input, vocabulary.words()).get(0).toFloatArray();
    }
  }

  /// The network as it is now.
  Network network() {
    try (NDManager step = manager.newSubManager()) {
      NDArray inputWeights = parameter("i2h_WEIGHT");
      NDArray inputBias = parameter("i2h_BIAS");
      NDArray input = embedding.matMul(inputWeights.transpose()).add(inputBias);
      input.attach(step);
      NDArray recurrent = parameter("h2h_WEIGHT").transpose();
      recurrent.attach(step);
      return new Network(
          vocabulary,
          hidden,
          input.toFloatArray(),
          recurrent.toFloatArray(),
          parameter("h2h_BIAS").toFloatArray(),
          transposed(next),
          next.getParameters().get("bias").getArray().toFloatArray(),
          transposed(soon),
          soon.getParameters().get("bias").getArray().toFloatArray());
    }
  }

  private NDArray parameter(String kind) {
    return gru.getParameters().stream()
        .filter(entry -> entry.getKey().contains(kind))
        .findFirst()
        .orElseThrow()
        .getValue()
        .getArray();
  }

  private static float[] transposed(Linear layer) {
    try (NDArray turned = layer.getParameters().get("weight").getArray().transpose()) {
      return turned.toFloatArray();
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
