package dev.prestage.cli.command;

import dev.prestage.cli.config.Quantities;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Policies;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.Options;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/// The options of a simulation as they were written, by name, so that `--what-if` can change one.
final class SimulationSettings {
  private static final List<String> NAMES =
      List.of(
          "policies",
          "cache",
          "lead",
          "useless-budget",
          "threshold",
          "horizon",
          "origin-latency",
          "in-flight",
          "cold");

  private final boolean closedLoop;
  private final Map<String, String> texts = new LinkedHashMap<>();

  SimulationSettings(boolean closedLoop) {
    this.closedLoop = closedLoop;
  }

  private SimulationSettings(SimulationSettings other) {
    this.closedLoop = other.closedLoop;
    this.texts.putAll(other.texts);
  }

  /// Sets one.
  ///
  /// @throws IllegalArgumentException if there is none of this name
  void set(String name, String text) {
    if (!NAMES.contains(name)) {
      throw new IllegalArgumentException(
          "'" + name + "' cannot be set; " + String.join(", ", NAMES) + " can");
    }
    texts.put(name, text);
  }

  /// These settings with the changes that a text names, such as `cache=2x,threshold=0.5`. Further
  /// values of a list follow its first: `lead=0,2,cache=5%`.
  ///
  /// @throws IllegalArgumentException saying what is wrong with it
  SimulationSettings whatIf(String text) {
    Map<String, String> changes = new LinkedHashMap<>();
    String name = "";
    for (String part : text.split(",", -1)) {
      int equals = part.indexOf('=');
      boolean names = equals > 0 && NAMES.contains(part.substring(0, equals));
      if (names) {
        name = part.substring(0, equals);
        changes.put(name, part.substring(equals + 1));
      } else if (name.isEmpty() || (equals > 0 && !name.equals("policies"))) {
        throw new IllegalArgumentException(
            "--what-if: '%s' is not a change such as cache=2x; %s can be changed"
                .formatted(part, String.join(", ", NAMES)));
      } else {
        changes.merge(name, part, (before, more) -> before + "," + more);
      }
    }
    SimulationSettings changed = new SimulationSettings(this);
    changes.forEach((key, value) -> changed.set(key, relative(key, value)));
    return changed;
  }

  /// A cache of `2x` is twice what it was.
  private String relative(String name, String value) {
    if (!name.equals("cache") || !value.endsWith("x")) {
      return value;
    }
    double factor = positive("cache", value.substring(0, value.length() - 1));
    List<String> sizes = new ArrayList<>();
    for (CacheSize size : caches()) {
      sizes.add(size.times(factor).toString());
    }
    return String.join(",", sizes);
  }

  /// The options that these settings mean.
  ///
  /// @throws IllegalArgumentException naming the setting that is wrong
  Options options() {
    return new Options(
        list("policies", String.join(",", defaultPolicies()), Choice::of),
        caches(),
        list("lead", "0,2,8", text -> whole("lead", text, 0, 4096)),
        texts.containsKey("useless-budget")
            ? notNegative("useless-budget", text("useless-budget", ""))
            : Double.POSITIVE_INFINITY,
        probability(text("threshold", String.valueOf(Thresholds.DEFAULT))),
        value("horizon", Limits.DEFAULT.horizon().toSeconds() + "s", Quantities::duration),
        value("origin-latency", "10ms", Quantities::duration),
        whole("in-flight", text("in-flight", "32"), 1, 65_536),
        yesOrNo("cold", text("cold", "no")));
  }

  private List<String> defaultPolicies() {
    return Policies.ALL.stream()
        .filter(entry -> !closedLoop || !(entry instanceof Policies.Cache))
        .map(Policies.Entry::name)
        .toList();
  }

  private List<CacheSize> caches() {
    List<CacheSize> caches = list("cache", closedLoop ? "unlimited" : "5%", CacheSize::of);
    if (closedLoop && caches.size() > 1) {
      throw new IllegalArgumentException("--cache: a closed loop takes one size of cache");
    }
    return caches;
  }

  private String text(String name, String otherwise) {
    return texts.getOrDefault(name, otherwise);
  }

  private <T> List<T> list(String name, String otherwise, Function<String, T> parse) {
    return Arrays.stream(text(name, otherwise).split(",", -1))
        .map(String::strip)
        .map(item -> parsed(name, item, parse))
        .distinct()
        .toList();
  }

  private <T> T value(String name, String otherwise, Function<String, T> parse) {
    return parsed(name, text(name, otherwise), parse);
  }

  private static <T> T parsed(String name, String text, Function<String, T> parse) {
    try {
      return parse.apply(text);
    } catch (IllegalArgumentException e) {
      String message = String.valueOf(e.getMessage());
      throw new IllegalArgumentException(
          message.startsWith("--") ? message : "--" + name + ": " + message, e);
    }
  }

  private static int whole(String name, String text, int least, int most) {
    try {
      int number = Integer.parseInt(text);
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw new IllegalArgumentException(
        "--%s: '%s' is not a whole number from %d to %d".formatted(name, text, least, most));
  }

  private static double positive(String name, String text) {
    double number = notNegative(name, text);
    if (number > 0) {
      return number;
    }
    throw new IllegalArgumentException("--" + name + ": '" + text + "' is not more than 0");
  }

  private static double notNegative(String name, String text) {
    try {
      double number = Double.parseDouble(text);
      if (number >= 0 && Double.isFinite(number)) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw new IllegalArgumentException("--" + name + ": '" + text + "' is not a number from 0 on");
  }

  private static double probability(String text) {
    double number = notNegative("threshold", text);
    if (number <= 1) {
      return number;
    }
    throw new IllegalArgumentException("--threshold: '" + text + "' is not a probability, 0 to 1");
  }

  private static boolean yesOrNo(String name, String text) {
    return switch (text) {
      case "yes", "true" -> true;
      case "no", "false" -> false;
      default ->
          throw new IllegalArgumentException(
              "--" + name + ": '" + text + "' is neither yes nor no");
    };
  }
}
