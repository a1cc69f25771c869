package dev.prestage.engine.predict.neural;

import dev.prestage.engine.resource.Resource;
import java.util.Arrays;

/// The words of a network: the resources that a program asks for most often, and for the others the
/// most frequent distances from the request before. What has no word is [#OTHER].
///
/// Words are numbered: 0 is [#OTHER], then come the resources, then the distances. Each request has
/// one word, so that the probabilities of words add up.
public final class Vocabulary {
  /// The word for what has none of its own.
  public static final int OTHER = 0;

  private final long[] resources;
  private final long[] distances;

  /// @param resources those with words of their own, each once, rising
  /// @param distances those with words of their own, each once, rising
  public Vocabulary(long[] resources, long[] distances) {
    this.resources = rising(resources);
    this.distances = rising(distances);
  }

  private static long[] rising(long[] keys) {
    for (int i = 1; i < keys.length; i++) {
      if (keys[i] <= keys[i - 1]) {
        throw new IllegalArgumentException(
            "a vocabulary with " + keys[i] + " behind " + keys[i - 1]);
      }
    }
    return keys.clone();
  }

  /// How many words there are, [#OTHER] included.
  public int words() {
    return 1 + resources.length + distances.length;
  }

  /// How many resources have words of their own; their words are 1 to this.
  public int resources() {
    return resources.length;
  }

  /// How many distances have words of their own.
  public int distances() {
    return distances.length;
  }

  /// The resource of a word from 1 to [#resources()].
  public long resource(int word) {
    return resources[word - 1];
  }

  /// The distance with a number from 0.
  public long distance(int number) {
    return distances[number];
  }

  /// The word of a request that comes behind another.
  ///
  /// @param resource what is asked for
  /// @param before what was asked for before, or negative if nothing was
  public int word(long resource, long before) {
    int own = Arrays.binarySearch(resources, resource);
    if (own >= 0) {
      return 1 + own;
    }
    int step = before < 0 ? -1 : Arrays.binarySearch(distances, resource - before);
    return step < 0 ? OTHER : 1 + resources.length + step;
  }

  /// The resource that a word stands for, or -1 for [#OTHER] and for a distance that leads nowhere.
  ///
  /// @param before what was asked for before, or negative if nothing was
  public long meaning(int word, long before) {
    if (word == OTHER) {
      return -1;
    }
    if (word <= resources.length) {
      return resources[word - 1];
    }
    long resource = before + distances[word - 1 - resources.length];
    boolean leadsElsewhere =
        before < 0 || resource < 0 || Resource.space(resource) != Resource.space(before);
    return leadsElsewhere || Arrays.binarySearch(resources, resource) >= 0 ? -1 : resource;
  }
}
