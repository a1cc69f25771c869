package dev.prestage.engine.predict;

import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.NetworkFile;
import dev.prestage.engine.predict.neural.Vocabulary;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// The recurrent network of a program among the other experts, once it has one: it names units that
/// come soon, and has an opinion on those of others. What its figures are worth is counted like any
/// other evidence.
///
/// It is on trial at first, and watched later: if what comes next is not foretold better with it
/// than without, it is retired, and costs nothing until the next network comes.
final class NeuralExpert {
  /// No opinion: there is no network, or the unit has no word.
  static final int SILENT = 0;

  private static final int BINS = 48;
  private static final float BIN = 0.25f;
  private static final int LEADS = 4;

  /// As many units are named as coming soon.
  private static final int SOON = 16;

  /// As many are named as coming next, where somebody asks.
  private static final int NEXT = 64;

  /// So many requests long a network is on trial.
  private static final int TRIAL_REQUESTS = 4096;

  /// After its trial it is judged by one request in so many: working out how likely the next one
  /// was takes as long as all else.
  private static final int SAMPLED = 16;

  /// Bits a request by which forecasts of the next one must be better.
  private static final double LEAST_GAIN = 0.05;

  /// The trust in the network before any case, and what it cannot fall below: one surprise in so
  /// many requests may bring it back.
  private static final double FIRST_TRUST = 0.1;

  private static final double SHARED = 1.0 / 256;

  /// What nobody foretold still had some probability.
  private static final double LEAST_PROBABILITY = 1e-4;

  private static final int KINDS = NextRequest.LENGTHS * 2;

  private final CountTable table = new CountTable(1 + BINS * LEADS, NeuralExpert::prior);
  private final double[] trust = new double[KINDS];
  private @Nullable Network network;
  private long requests;

  /// How many requests the network was judged by, and the mean gain in bits of the latest of them.
  private long judged;

  private double gain = Double.NaN;

  /// How many requests the program had made when it was trained last.
  private long trainedAt;

  private static float prior(int cell) {
    return cell == SILENT
        ? MarkovExpert.PRIOR
        : Logistic.squash(((cell - 1) % BINS - BINS / 2) * BIN);
  }

  CountTable table() {
    return table;
  }

  /// Takes a network on trial, in the place of any other, whose evidence says nothing of it.
  void serve(Network fresh) {
    network = fresh;
    judged = 0;
    gain = Double.NaN;
    table.clear(NeuralExpert::prior);
    Arrays.fill(trust, FIRST_TRUST);
  }

  /// A training has ended, whatever came of it.
  void trained(long atRequests) {
    trainedAt = atRequests;
  }

  long trainedAt() {
    return trainedAt;
  }

  void readUnits(LongConsumer reader) {
    if (network != null) {
      for (int word = 1; word <= network.vocabulary().resources(); word++) {
        reader.accept(network.vocabulary().resource(word));
      }
    }
  }

  /// Writes the serving network, if there is one, and what came of its opinions.
  void write(DataOutput out, ResourceCodec codec) throws IOException {
    out.writeLong(trainedAt);
    out.writeLong(judged);
    out.writeFloat((float) gain);
    out.writeBoolean(network != null);
    if (network != null) {
      NetworkFile.write(network, out, codec::write);
      for (double share : trust) {
        out.writeFloat((float) share);
      }
      table.write(out);
    }
  }

  void read(DataInput in, ResourceCodec codec) throws IOException {
    trainedAt = ResourceCodec.checkedCount(in.readLong());
    long judgedBefore = ResourceCodec.checkedCount(in.readLong());
    float gained = in.readFloat();
    if (in.readBoolean()) {
      serve(NetworkFile.read(in, codec::read));
      for (int kind = 0; kind < KINDS; kind++) {
        trust[kind] = ResourceCodec.checkedShare(in.readFloat());
      }
      table.read(in);
    }
    judged = judgedBefore;
    gain = Float.isNaN(gained) ? gained : ResourceCodec.checkedWeight(gained);
  }

  private boolean isOnTrial() {
    return judged < TRIAL_REQUESTS;
  }

  @Nullable Network network() {
    return network;
  }

  /// By how many bits a request the last network made forecasts of the next one better, or NaN
  /// before any was tried.
  double gain() {
    return gain;
  }

  /// One stream of requests as the network reads it.
  final class Reader {
    private final int[] soonest = new int[SOON];
    private final int[] likeliest = new int[NEXT];
    private Network.@Nullable Memory memory;

    /// The memory of the serving network, or null if there is none.
    private Network.@Nullable Memory memory() {
      Network serving = network;
      if (serving == null) {
        memory = null;
      } else if (memory == null || memory.network() != serving) {
        memory = serving.new Memory();
      }
      return memory;
    }

    /// Whether there is a network.
    boolean isReading() {
      return memory() != null;
    }

    /// A request came: was it foretold better with the network than without?
    ///
    /// @param without how likely it was without the network
    /// @param kind of situation
    void read(long unit, double without, int kind) {
      Network.Memory reading = memory();
      if (reading == null) {
        return;
      }
      if (reading.before() == unit) {
        return;
      }
      requests++;
      if (reading.before() >= 0 && (isOnTrial() || requests % SAMPLED == 0)) {
        judge(without, reading.next(unit), kind);
      }
      reading.read(unit);
    }

    /// How much the network's forecast of the next request counts, 0 to 1.
    double trust(int kind) {
      Network.Memory reading = memory();
      return reading == null || reading.before() < 0 ? 0 : trust[kind];
    }

    /// How likely the network says that a unit is next.
    double next(long unit) {
      Network.Memory reading = memory();
      return reading == null ? 0 : reading.next(unit);
    }

    /// Hands out the units that the network says are likeliest next.
    void likeliest(LongConsumer to) {
      Network.Memory reading = memory();
      if (reading != null) {
        reading.likeliest(likeliest);
        for (int word : likeliest) {
          long unit = reading.network().vocabulary().meaning(word, reading.before());
          if (unit >= 0) {
            to.accept(unit);
          }
        }
      }
    }

    /// Adds units that the network says come soon.
    void collect(Situation now, Forecaster.Open open, Candidates into) {
      Network.Memory reading = memory();
      if (reading == null || reading.before() < 0) {
        return;
      }
      reading.soonest(soonest);
      for (int word : soonest) {
        long unit = reading.network().vocabulary().meaning(word, reading.before());
        if (unit >= 0) {
          into.row(unit, now.log, open);
        }
      }
    }

    /// The kind of evidence that the network gives for a unit.
    int cell(Situation now, long unit) {
      Network.Memory reading = memory;
      if (reading == null || reading.before() < 0) {
        return SILENT;
      }
      int word = reading.network().vocabulary().word(unit, reading.before());
      if (word == Vocabulary.OTHER) {
        return SILENT;
      }
      int bin = (int) Math.clamp(reading.soon(word) / BIN, -BINS, BINS) + BINS / 2;
      int lead = now.lead == 0 ? 0 : now.lead < 4 ? 1 : now.lead < 16 ? 2 : 3;
      return 1 + lead * BINS + Math.max(0, Math.min(bin, BINS - 1));
    }
  }

  private void judge(double without, double with, int kind) {
    double a = Math.max(LEAST_PROBABILITY, without);
    double b = with > LEAST_PROBABILITY ? with : LEAST_PROBABILITY;
    double share = trust[kind];
    double mixed = (1 - share) * a + share * b;
    trust[kind] = SHARED + (1 - 2 * SHARED) * (share * b / mixed);
    double gained = Math.log(mixed / a) / Math.log(2);
    judged++;
    gain = judged == 1 ? gained : gain + (gained - gain) / Math.min(judged, TRIAL_REQUESTS);
    if (!isOnTrial() && gain < LEAST_GAIN) {
      network = null;
    }
  }
}
