package dev.prestage.cli.command;

import dev.prestage.cli.config.Quantities;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Policies;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.Options;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Pattern;

/// The options of a simulation as they were written, by name, so that `--what-if` can change one.
final class SimulationSettings {
  private static final List<String> OF_BOTH =
      List.of("policies", "cache", "useless-budget", "threshold");
  private static final List<String> OF_OPEN = List.of("lead");
  private static final List<String> OF_CLOSED =
      List.of("horizon", "origin-latency", "in-flight", "cold");

  /// Java would also take NaN, 0x1p3 and 5d.
  private static final Pattern NUMBER =
      Pattern.compile("[0-9]{1,15}(\\.[0-9]{1,15})?|\\.[0-9]{1,15}");

  /// Longer ones would let the simulated clock overflow before a trace ends.
  private static final Duration LONGEST = Duration.ofHours(1);

  private final boolean closedLoop;
  private final String where;
  private final Map<String, String> texts = new LinkedHashMap<>();

  SimulationSettings(boolean closedLoop) {
    this.closedLoop = closedLoop;
    this.where = "--";
  }

  private SimulationSettings(SimulationSettings other) {
    this.closedLoop = other.closedLoop;
    this.where = "--what-if: ";
    this.texts.putAll(other.texts);
  }

  /// Sets one.
  ///
  /// @throws IllegalArgumentException if this loop has none of this name
  void set(String name, String text) {
    if (closedLoop && OF_OPEN.contains(name)) {
      throw wrong(name, "is for the open loop; leave out this or --closed-loop");
    }
    if (!closedLoop && OF_CLOSED.contains(name)) {
      throw wrong(name, "is for the closed loop; add --closed-loop");
    }
    texts.put(name, text);
  }

  /// What can be set in this loop.
  private List<String> names() {
    List<String> names = new ArrayList<>(OF_BOTH);
    names.addAll(closedLoop ? OF_CLOSED : OF_OPEN);
    return names;
  }

  /// These settings with the changes that a text names, such as `cache=2x,threshold=0.5`. Further
  /// values of a list follow its first: `lead=0,2,cache=5%`.
  ///
  /// @throws IllegalArgumentException saying what is wrong with it
  SimulationSettings whatIf(String text) {
    SimulationSettings changed = new SimulationSettings(this);
    Map<String, String> changes = new LinkedHashMap<>();
    String name = "";
    for (String part : text.split(",", -1)) {
      int equals = part.indexOf('=');
      String key = equals < 0 ? "" : part.substring(0, equals).strip();
      if (OF_BOTH.contains(key) || OF_OPEN.contains(key) || OF_CLOSED.contains(key)) {
        name = key;
        if (changes.putIfAbsent(name, part.substring(equals + 1).strip()) != null) {
          throw changed.wrong(name, "is changed twice");
        }
      } else if (name.isEmpty() || (equals > 0 && !name.equals("policies"))) {
        throw new IllegalArgumentException(
            "--what-if: '%s' is not a change such as cache=2x; %s can be changed"
                .formatted(part, String.join(", ", names())));
      } else {
        changes.merge(name, part, (before, more) -> before + "," + more);
      }
    }
    changes.forEach((key, value) ->
        changed.set(
            key, key.equals("cache") && value.endsWith("x") ? times(value, changed) : value));
    return changed;
  }

  /// A cache of `2x` is twice what it was.
  private String times(String value, SimulationSettings changed) {
    double factor =
        changed.parsed("cache", value, text -> positive(text.substring(0, text.length() - 1)));
    List<String> sizes = new ArrayList<>();
    for (CacheSize size : caches()) {
      if (size.equals(CacheSize.UNLIMITED)) {
        throw changed.wrong(
            "cache",
            "the cache is unlimited, and no multiple of that is another size; give --cache");
      }
      sizes.add(size.times(factor).toString());
    }
    return String.join(",", sizes);
  }

  /// The options that these settings mean.
  ///
  /// @throws IllegalArgumentException naming the setting that is wrong
  Options options() {
    return new Options(
        list("policies", String.join(",", defaultPolicies()), this::policy),
        caches(),
        list("lead", "0,2,8", text -> whole(text, 0, 4096)),
        texts.containsKey("useless-budget")
            ? value("useless-budget", "", SimulationSettings::number)
            : Double.POSITIVE_INFINITY,
        value("threshold", String.valueOf(Thresholds.DEFAULT), SimulationSettings::threshold),
        value("horizon", Limits.DEFAULT.horizon().toSeconds() + "s", SimulationSettings::duration),
        value("origin-latency", "10ms", SimulationSettings::duration),
        value("in-flight", "32", text -> whole(text, 1, 65_536)),
        value("cold", "no", SimulationSettings::yesOrNo));
  }

  private Choice policy(String text) {
    Choice choice = Choice.of(text);
    if (closedLoop && choice.isCache()) {
      throw new IllegalArgumentException(
          "'%s' is a cache without prefetch, for the open loop; in closed loop 'none' is LRU"
              .formatted(text));
    }
    return choice;
  }

  private List<String> defaultPolicies() {
    return Policies.ALL.stream()
        .filter(entry -> !closedLoop || !(entry instanceof Policies.Cache))
        .map(Policies.Entry::name)
        .toList();
  }

  private List<CacheSize> caches() {
    List<CacheSize> caches =
        list("cache", closedLoop ? "unlimited" : "5%", SimulationSettings::cacheSize);
    if (closedLoop && caches.size() > 1) {
      throw wrong("cache", "the closed loop takes one size");
    }
    return caches;
  }

  private static CacheSize cacheSize(String text) {
    String number = text.endsWith("%") ? text.substring(0, text.length() - 1) : text;
    if (!text.equals("unlimited")
        && !(NUMBER.matcher(number).matches() && Double.parseDouble(number) > 0)) {
      throw new IllegalArgumentException(
          "'%s' is not a size; give percent of the distinct pages, such as 5%%, or unlimited"
              .formatted(text));
    }
    return CacheSize.of(text);
  }

  private <T> List<T> list(String name, String otherwise, Function<String, T> parse) {
    List<T> items = new ArrayList<>();
    for (String text : texts.getOrDefault(name, otherwise).split(",", -1)) {
      String item = text.strip();
      if (item.isEmpty()) {
        throw wrong(name, "an item is empty; write items with single commas between them");
      }
      T parsed = parsed(name, item, parse);
      if (items.contains(parsed)) {
        throw wrong(name, "'" + item + "' is given twice");
      }
      items.add(parsed);
    }
    return items;
  }

  private <T> T value(String name, String otherwise, Function<String, T> parse) {
    return parsed(name, texts.getOrDefault(name, otherwise).strip(), parse);
  }

  private <T> T parsed(String name, String text, Function<String, T> parse) {
    try {
      return parse.apply(text);
    } catch (IllegalArgumentException e) {
      throw wrong(name, String.valueOf(e.getMessage()));
    }
  }

  private IllegalArgumentException wrong(String name, String what) {
    return new IllegalArgumentException(where + name + ": " + what);
  }

  private static int whole(String text, int least, int most) {
    if (text.matches("[0-9]{1,9}")) {
      int number = Integer.parseInt(text);
      if (number >= least && number <= most) {
        return number;
      }
    }
    throw new IllegalArgumentException(
        "'%s' is not a whole number from %d to %d".formatted(text, least, most));
  }

  private static double number(String text) {
    if (NUMBER.matcher(text).matches()) {
      return Double.parseDouble(text);
    }
    throw new IllegalArgumentException("'" + text + "' is not a number from 0 on, such as 0.25");
  }

  private static double positive(String text) {
    double number = number(text);
    if (number > 0) {
      return number;
    }
    throw new IllegalArgumentException("'" + text + "' is not more than 0");
  }

  private static double threshold(String text) {
    if (text.equals("auto")) {
      return Thresholds.AUTO;
    }
    if (NUMBER.matcher(text).matches() && Double.parseDouble(text) <= 1) {
      return Double.parseDouble(text);
    }
    throw new IllegalArgumentException("'" + text + "' is not a probability from 0 to 1, nor auto");
  }

  private static Duration duration(String text) {
    Duration duration = Quantities.duration(text);
    if (duration.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("'" + text + "' is longer than 1h");
    }
    return duration;
  }

  private static boolean yesOrNo(String text) {
    return switch (text) {
      case "yes", "true" -> true;
      case "no", "false" -> false;
      default -> throw new IllegalArgumentException("'" + text + "' is neither yes nor no");
    };
  }
}
