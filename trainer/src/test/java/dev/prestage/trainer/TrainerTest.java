package dev.prestage.trainer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.NetworkFile;
import dev.prestage.engine.predict.neural.Vocabulary;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainerTest {
  private static final int HEADS = 4;

  @TempDir Path folder;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  /// A header, six of the same filler in any order, and a trailer that the header decides: a table
  /// of the last two or three requests cannot know it.
  private static long[] headersAndTrailers(int rounds) {
    Random random = new Random(3);
    long[] stream = new long[8 * rounds];
    int at = 0;
    for (int round = 0; round < rounds; round++) {
      int head = random.nextInt(HEADS);
      stream[at++] = 100 + head;
      for (int i = 0; i < 6; i++) {
        stream[at++] = 200 + random.nextInt(3);
      }
      stream[at++] = 300 + head;
    }
    return stream;
  }

  private Path corpus(long[]... streams) throws Exception {
    Path file = folder.resolve("corpus");
    try (var bytes = new DataOutputStream(Files.newOutputStream(file))) {
      new Corpus(List.of(streams)).write(bytes);
    }
    return file;
  }

  private int train(Path corpus, String... more) {
    String[] arguments = new String[2 + more.length];
    arguments[0] = corpus.toString();
    arguments[1] = folder.resolve("network").toString();
    System.arraycopy(more, 0, arguments, 2, more.length);
    return Trainer.run(
        arguments,
        new Yielding(),
        new PrintStream(out, true, StandardCharsets.UTF_8),
        new PrintStream(err, true, StandardCharsets.UTF_8));
  }

  private String errors() {
    return err.toString(StandardCharsets.UTF_8);
  }

  @Test
  void trainedNetworkKnowsWhatTheHeaderDecides() throws Exception {
    assertThat(train(corpus(headersAndTrailers(600)), "12", "32")).as(errors()).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).contains("epoch 12 of 12: loss ");
    Network network;
    try (var in = new DataInputStream(Files.newInputStream(folder.resolve("network")))) {
      network = NetworkFile.read(in, from -> from.readLong());
    }
    Network.Memory memory = network.new Memory();
    double right = 0;
    int trailers = 0;
    for (long resource : headersAndTrailers(100)) {
      if (resource >= 300) {
        right += memory.next(resource);
        trailers++;
      }
      memory.read(resource);
    }
    assertThat(right / trailers).as("one of four by chance").isGreaterThan(.6);
  }

  @Test
  void networkSaysWhatPyTorchSays() {
    Vocabulary vocabulary = new Vocabulary(new long[] {5, 6, 7, 9, 30}, new long[] {-1, 1, 2});
    try (Training training = new Training(vocabulary, 20, 7)) {
      Random random = new Random(9);
      long[] requests = random.longs(64, 4, 34).toArray();
      int[] words = new int[requests.length];
      for (int i = 0; i < words.length; i++) {
        words[i] = vocabulary.word(requests[i], i == 0 ? -1 : requests[i - 1]);
      }
      Batches batches = new Batches(List.of(words), 1, 16);
      training.rewind(1);
      training.batch(batches, 0, true);
      float[] theirs = training.logits(words);
      Network.Memory memory = training.network().new Memory();
      for (int i = 0; i < requests.length; i++) {
        memory.read(requests[i]);
        float[] ours = memory.nextLogits();
        for (int word = 0; word < ours.length; word++) {
          assertThat(ours[word]).isCloseTo(theirs[i * ours.length + word], within(1e-4f));
        }
      }
    }
  }

  @Test
  void sameSeedMakesTheSameNetwork() throws Exception {
    Path corpus = corpus(headersAndTrailers(300));
    assertThat(train(corpus, "1", "16", "5")).isZero();
    byte[] first = Files.readAllBytes(folder.resolve("network"));
    assertThat(train(corpus, "1", "16", "5")).isZero();
    assertThat(Files.readAllBytes(folder.resolve("network"))).isEqualTo(first);
    assertThat(train(corpus, "1", "16", "6")).isZero();
    assertThat(Files.readAllBytes(folder.resolve("network"))).isNotEqualTo(first);
  }

  @Test
  void whatCannotBeTrainedOnIsOneLineAndLeavesTheNetwork() throws Exception {
    Path network = Files.writeString(folder.resolve("network"), "the serving one");
    assertThat(train(corpus(new long[100]))).isEqualTo(1);
    assertThat(errors()).isEqualTo("trainer: 100 requests are too few, it takes 2000\n");
    err.reset();
    assertThat(train(corpus(new Random(1).longs(3_000, 0, Long.MAX_VALUE).toArray()))).isEqualTo(1);
    assertThat(errors()).isEqualTo("trainer: nothing repeats in these requests\n");
    err.reset();
    assertThat(train(Files.write(folder.resolve("cut"), new byte[11]))).isEqualTo(1);
    assertThat(errors()).isEqualTo("trainer: it is not a corpus\n");
    err.reset();
    assertThat(train(folder.resolve("none"))).isEqualTo(1);
    assertThat(errors()).startsWith("trainer: there is no file ").hasLineCount(1);
    err.reset();
    assertThat(train(corpus(headersAndTrailers(300)), "many")).isEqualTo(1);
    assertThat(errors()).isEqualTo("trainer: 'many' is not a number\n");
    assertThat(network).hasContent("the serving one");
    assertThat(network.resolveSibling("network.new")).doesNotExist();
  }
}
