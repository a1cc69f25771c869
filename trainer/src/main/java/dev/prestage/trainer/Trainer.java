package dev.prestage.trainer;

import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.NetworkFile;
import dev.prestage.engine.predict.neural.Vocabulary;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/// The trainer's process: `CORPUS NETWORK [EPOCHS [HIDDEN [SEED]]]`. It reads a corpus, trains on
/// its older four fifths, keeps the network that foresees the tenth behind them best, and writes
/// it. The newest tenth it leaves to whoever compares networks. It ends when its standard input
/// does; what comes there tells its [Yielding].
///
/// Each epoch is a line on standard output: `epoch 2 of 8: loss 3.214 nats, behind it 3.301, 41234
/// words/s`. What goes wrong is one line on standard error and status 1; the network's file is then
/// as it was.
public final class Trainer {
  private static final int USAGE = 2;
  private static final int EPOCHS = 8;
  private static final int HIDDEN = 64;
  private static final int SEED = 1;

  /// With [Vocabulary#OTHER] 1,024 words.
  private static final int MOST_RESOURCES = 767;

  private static final int MOST_DISTANCES = 256;
  private static final int TAPES = 16;
  private static final int STEPS = 32;

  /// Fewer requests teach nothing that tables would not know.
  private static final int LEAST_REQUESTS = 2_000;

  /// A tenth of all requests, on which epochs are compared, and another that is not looked at.
  private static final int HELD_OUT = 10;

  private final PrintStream out;
  private final Yielding yielding;

  private Trainer(PrintStream out, Yielding yielding) {
    this.out = out;
    this.yielding = yielding;
  }

  /// Runs the trainer and ends the process.
  ///
  /// @param arguments see the class
  public static void main(String[] arguments) {
    Yielding yielding = new Yielding();
    Thread.ofPlatform().daemon().name("parent").start(() -> endWithInput(yielding));
    System.exit(run(arguments, yielding, System.out, System.err));
  }

  private static void endWithInput(Yielding yielding) {
    try {
      yielding.hear(System.in);
    } catch (IOException _) {
      // it is gone
    }
    Runtime.getRuntime().halt(1);
  }

  static int run(String[] arguments, Yielding yielding, PrintStream out, PrintStream err) {
    if (arguments.length < 2 || arguments.length > 5) {
      err.println("usage: trainer CORPUS NETWORK [EPOCHS [HIDDEN [SEED]]]");
      return USAGE;
    }
    try {
      Corpus corpus = corpus(Path.of(arguments[0]));
      Network network =
          new Trainer(out, yielding)
              .train(
                  corpus,
                  number(arguments, 2, EPOCHS),
                  number(arguments, 3, HIDDEN),
                  number(arguments, 4, SEED));
      write(network, Path.of(arguments[1]));
      return 0;
    } catch (NoSuchFileException e) {
      err.println("trainer: there is no file " + e.getFile());
    } catch (EOFException e) {
      err.println("trainer: the corpus ends within what it announces");
    } catch (IOException | IllegalArgumentException | IllegalStateException e) {
      err.println("trainer: " + e.getMessage());
    } catch (RuntimeException | LinkageError e) {
      err.println("trainer: " + e);
    }
    return 1;
  }

  private static int number(String[] arguments, int at, int otherwise) {
    if (arguments.length <= at) {
      return otherwise;
    }
    try {
      return Integer.parseInt(arguments[at]);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("'" + arguments[at] + "' is not a number", e);
    }
  }

  private static Corpus corpus(Path file) throws IOException {
    try (var in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      return Corpus.read(in);
    }
  }

  private static void write(Network network, Path file) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    try {
      try (var bytes =
          new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(fresh)))) {
        NetworkFile.write(network, bytes, (resource, to) -> to.writeLong(resource));
      }
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(fresh);
    }
  }

  private Network train(Corpus corpus, int epochs, int hidden, int seed) {
    if (corpus.requests() < LEAST_REQUESTS) {
      throw new IllegalArgumentException(
          corpus.requests() + " requests are too few, it takes " + LEAST_REQUESTS);
    }
    List<long[]> older = new ArrayList<>();
    List<long[]> behind = new ArrayList<>();
    split(corpus, older, behind);
    Vocabulary vocabulary = Words.of(older, MOST_RESOURCES, MOST_DISTANCES);
    if (vocabulary.words() < 3) {
      throw new IllegalArgumentException("nothing repeats in these requests");
    }
    Batches learnt = new Batches(Words.read(older, vocabulary), TAPES, STEPS);
    Batches held = new Batches(Words.read(behind, vocabulary), TAPES, STEPS);
    Network best = null;
    float least = Float.POSITIVE_INFINITY;
    try (Training training = new Training(vocabulary, hidden, seed)) {
      for (int epoch = 1; epoch <= epochs; epoch++) {
        long before = System.nanoTime();
        float loss = pass(training, learnt, true);
        double seconds = (System.nanoTime() - before) / 1e9;
        float heldLoss = pass(training, held, false);
        out.printf(
            Locale.ROOT,
            "epoch %d of %d: loss %.3f nats, behind it %.3f, %.0f words/s%n",
            epoch,
            epochs,
            loss,
            heldLoss,
            learnt.words() / seconds);
        if (!Float.isFinite(loss) || !Float.isFinite(heldLoss)) {
          throw new IllegalStateException("the loss became " + loss + ", nothing was written");
        }
        if (heldLoss < least) {
          least = heldLoss;
          best = training.network();
        }
      }
    }
    if (best == null) {
      throw new IllegalArgumentException("it takes at least 1 epoch");
    }
    return best;
  }

  /// The older four fifths, and the tenth behind them.
  private static void split(Corpus corpus, List<long[]> older, List<long[]> behind) {
    long tenth = corpus.requests() / HELD_OUT;
    long border = corpus.requests() - 2 * tenth;
    long end = corpus.requests() - tenth;
    for (long[] stream : corpus.streams()) {
      int cut = Math.clamp(border, 0, stream.length);
      int cutBehind = Math.clamp(end, 0, stream.length);
      border -= cut;
      end -= cutBehind;
      if (cut > 0) {
        older.add(Arrays.copyOf(stream, cut));
      }
      if (cutBehind > cut) {
        behind.add(Arrays.copyOfRange(stream, cut, cutBehind));
      }
    }
  }

  private float pass(Training training, Batches batches, boolean isLearning) {
    training.rewind(batches.tapes());
    double sum = 0;
    for (int batch = 0; batch < batches.count(); batch++) {
      sum += training.batch(batches, batch, isLearning);
      yielding.rest();
    }
    return (float) (sum / Math.max(1, batches.count()));
  }
}
