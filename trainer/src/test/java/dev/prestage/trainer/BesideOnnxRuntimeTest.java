package dev.prestage.trainer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.NetworkFile;
import dev.prestage.engine.predict.neural.Vocabulary;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BesideOnnxRuntimeTest {
  private static final int HIDDEN = 20;
  private static final int WIDTH = 6;
  private static final Vocabulary VOCABULARY =
      new Vocabulary(LongStream.range(0, 60).toArray(), new long[] {-1, 1, 2});

  @TempDir Path folder;

  private final Random random = new Random(5);
  private final Embedding embedding =
      new Embedding(WIDTH, weights(VOCABULARY.words() * WIDTH), weights(WIDTH * 3 * HIDDEN));
  private final Network network =
      new Network(
          VOCABULARY,
          HIDDEN,
          product(),
          weights(HIDDEN * 3 * HIDDEN),
          weights(3 * HIDDEN),
          weights(HIDDEN * VOCABULARY.words()),
          weights(VOCABULARY.words()),
          weights(HIDDEN * VOCABULARY.words()),
          weights(VOCABULARY.words()));

  private float[] weights(int count) {
    float[] weights = new float[count];
    for (int i = 0; i < count; i++) {
      // Larger ones make a network chaotic: rounding would grow with each step.
      weights[i] = (float) random.nextGaussian() / 3;
    }
    return weights;
  }

  private float[] product() {
    int gates = 3 * HIDDEN;
    float[] product = new float[VOCABULARY.words() * gates];
    for (int at = 0; at < product.length; at++) {
      for (int i = 0; i < WIDTH; i++) {
        product[at] +=
            embedding.words()[at / gates * WIDTH + i] * embedding.gates()[i * gates + at % gates];
      }
    }
    return product;
  }

  @ParameterizedTest
  @EnumSource
  void onnxRuntimeSaysWhatWeSay(OnnxStep.Form form) throws Exception {
    BesideOnnxRuntime beside = new BesideOnnxRuntime(network, embedding);
    assertThat(beside.difference(form, 200)).isLessThan(1e-4);
    Network.Memory memory = network.new Memory();
    for (int i = 0; i < 33; i++) {
      memory.read(i * 7919L % 60);
    }
    int[] top = new int[5];
    memory.soonest(top);
    assertThat(beside.soonest(form, 33)).isEqualTo(top);
  }

  @Test
  void eachFigureIsALine() throws Exception {
    try (var bytes = new DataOutputStream(Files.newOutputStream(folder.resolve("network")))) {
      NetworkFile.write(network, bytes, (resource, to) -> to.writeLong(resource));
    }
    try (var bytes = new DataOutputStream(Files.newOutputStream(folder.resolve("embedding")))) {
      bytes.writeInt(WIDTH);
      for (float weight : embedding.words()) {
        bytes.writeFloat(weight);
      }
      for (float weight : embedding.gates()) {
        bytes.writeFloat(weight);
      }
    }
    var out = new ByteArrayOutputStream();
    int status =
        BesideOnnxRuntime.run(
            new String[] {
              folder.resolve("network").toString(), folder.resolve("embedding").toString(), "5", "3"
            },
            new PrintStream(out, true, StandardCharsets.UTF_8),
            System.err);
    assertThat(status).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .matches("ours \\S+\nonnx-operator \\S+\nonnx-arithmetic \\S+\ndifference \\S+\n");
  }
}
