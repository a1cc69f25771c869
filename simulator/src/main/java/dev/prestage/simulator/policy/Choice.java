package dev.prestage.simulator.policy;

import dev.prestage.simulator.cache.PageCache;
import dev.prestage.simulator.policy.Policies.Cache;
import dev.prestage.simulator.policy.Policies.Entry;
import dev.prestage.simulator.policy.Policies.Peer;
import dev.prestage.simulator.policy.Policies.Whole;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// A policy as it was chosen: `next-n`, `next-n:n=16`, or several peers that fetch ahead together,
/// `markov-lag:lags=4+next-n`.
///
/// @param name as it was written
/// @param parts one policy, or several peers
/// @param isFree whether its setting was left open, so that a search may choose it
public record Choice(String name, List<Part> parts, boolean isFree) {
  public Choice {
    parts = List.copyOf(parts);
  }

  /// One policy with its setting.
  public record Part(Entry entry, Setting setting) {}

  /// The choice that a text names.
  ///
  /// @throws IllegalArgumentException saying what is wrong with it and what there is
  public static Choice of(String text) {
    List<Part> parts = new ArrayList<>();
    for (String part : text.split("\\+", -1)) {
      parts.add(part(part));
    }
    if (parts.size() > 1 && !parts.stream().allMatch(part -> part.entry() instanceof Peer)) {
      throw new IllegalArgumentException(
          "'" + text + "': only peers that fetch ahead can be joined by +");
    }
    return new Choice(text, parts, parts.size() == 1 && !text.contains(":"));
  }

  private static Part part(String text) {
    String[] words = text.split(":", -1);
    Entry entry = entry(words[0]);
    Setting defaults = entry instanceof Peer peer ? peer.settings().getFirst() : Setting.NONE;
    Map<String, Integer> changes = new HashMap<>();
    for (int i = 1; i < words.length; i++) {
      int equals = words[i].indexOf('=');
      String knob = equals < 0 ? words[i] : words[i].substring(0, equals);
      if (!defaults.values().containsKey(knob)) {
        throw new IllegalArgumentException(
            "policy '%s' has no knob '%s'; it has %s"
                .formatted(
                    words[0], knob, defaults.values().isEmpty() ? "none" : defaults.toString()));
      }
      if (changes.put(knob, number(words[i], equals)) != null) {
        throw new IllegalArgumentException("'" + text + "' sets " + knob + " twice");
      }
    }
    return new Part(entry, defaults.with(changes));
  }

  private static int number(String text, int equals) {
    try {
      int number = Integer.parseInt(text.substring(equals + 1));
      if (equals >= 0 && number >= 0) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw new IllegalArgumentException(
        "'" + text + "' is not a knob with a whole number, like n=8");
  }

  private static Entry entry(String name) {
    for (Entry entry : Policies.ALL) {
      if (entry.name().equals(name)) {
        return entry;
      }
    }
    throw new IllegalArgumentException(
        "there is no policy '%s'; there are %s"
            .formatted(
                name, Policies.ALL.stream().map(Entry::name).collect(Collectors.joining(", "))));
  }

  /// Whether it is a cache without prefetch.
  public boolean isCache() {
    return parts.getFirst().entry() instanceof Cache;
  }

  /// The setting, if it is one policy; else none.
  public Setting setting() {
    return parts.size() == 1 ? parts.getFirst().setting() : Setting.NONE;
  }

  /// The settings that a search tries, each as a choice of its own; this alone if it is not free.
  public List<Choice> alternatives() {
    if (isFree && parts.getFirst().entry() instanceof Peer peer) {
      return peer.settings().stream()
          .map(setting -> new Choice(name, List.of(new Part(peer, setting)), true))
          .toList();
    }
    return List.of(this);
  }

  /// The cache, empty.
  ///
  /// @throws IllegalStateException if it is none
  public PageCache cache(Place place) {
    if (parts.getFirst().entry() instanceof Cache cache) {
      return cache.make().apply(place);
    }
    throw new IllegalStateException(name + " is no cache");
  }

  /// The policy, which knows nothing yet.
  ///
  /// @throws IllegalStateException if it is a cache
  public Policy policy(Place place) {
    return switch (parts.getFirst().entry()) {
      case Whole whole -> whole.make().apply(place);
      case Peer _ -> new PerProgram(() -> prefetcher(place));
      case Cache _ -> throw new IllegalStateException(name + " fetches nothing ahead");
    };
  }

  private Prefetcher prefetcher(Place place) {
    List<Prefetcher> prefetchers = new ArrayList<>();
    for (Part part : parts) {
      if (part.entry() instanceof Peer peer) {
        prefetchers.add(peer.make().apply(place, part.setting()));
      }
    }
    return prefetchers.size() == 1 ? prefetchers.getFirst() : new Union(prefetchers);
  }
}
