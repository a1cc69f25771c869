package dev.prestage.trainer;

import dev.prestage.engine.predict.neural.Vocabulary;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Chooses a network's words from what it is trained on.
final class Words {
  /// What was asked for less often is not worth a word of its own.
  private static final int LEAST_COUNT = 4;

  private Words() {}

  /// The resources that are asked for most often have words, then the distances to those that have
  /// none.
  ///
  /// @param mostResources at the most
  /// @param mostDistances at the most
  static Vocabulary of(List<long[]> streams, int mostResources, int mostDistances) {
    Map<Long, Integer> resources = new HashMap<>();
    for (long[] stream : streams) {
      for (long resource : stream) {
        resources.merge(resource, 1, Integer::sum);
      }
    }
    long[] own = mostFrequent(resources, mostResources);
    Vocabulary known = new Vocabulary(own, new long[0]);
    Map<Long, Integer> distances = new HashMap<>();
    for (long[] stream : streams) {
      for (int i = 1; i < stream.length; i++) {
        if (known.word(stream[i], -1) == Vocabulary.OTHER) {
          distances.merge(stream[i] - stream[i - 1], 1, Integer::sum);
        }
      }
    }
    return new Vocabulary(own, mostFrequent(distances, mostDistances));
  }

  private static long[] mostFrequent(Map<Long, Integer> counts, int most) {
    List<Long> chosen =
        counts.entrySet().stream()
            .filter(entry -> entry.getValue() >= LEAST_COUNT)
            .sorted(
                Map.Entry.<Long, Integer>comparingByValue(Comparator.reverseOrder())
                    .thenComparing(Map.Entry.comparingByKey()))
            .limit(most)
            .map(Map.Entry::getKey)
            .toList();
    return chosen.stream().mapToLong(Long::longValue).sorted().toArray();
  }

  /// Each stream as words.
  static List<int[]> read(List<long[]> streams, Vocabulary vocabulary) {
    return streams.stream().map(stream -> read(stream, vocabulary)).toList();
  }

  private static int[] read(long[] stream, Vocabulary vocabulary) {
    int[] words = new int[stream.length];
    for (int i = 0; i < stream.length; i++) {
      words[i] = vocabulary.word(stream[i], i == 0 ? -1 : stream[i - 1]);
    }
    return words;
  }
}
