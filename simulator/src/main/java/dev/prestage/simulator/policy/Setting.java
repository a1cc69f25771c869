package dev.prestage.simulator.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/// The values of a policy's knobs, by name.
///
/// @param values whole numbers
public record Setting(Map<String, Integer> values) {
  /// Of a policy without knobs.
  public static final Setting NONE = new Setting(Map.of());

  public Setting {
    values = Map.copyOf(values);
  }

  /// The settings of one knob.
  ///
  /// @param usual the default, which comes first
  /// @param others what a search tries beside it
  public static List<Setting> knob(String name, int usual, int... others) {
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting(Map.of(name, usual)));
    for (int other : others) {
      settings.add(new Setting(Map.of(name, other)));
    }
    return settings;
  }

  /// Every setting of some knobs with every setting of others.
  public static List<Setting> product(List<Setting> some, List<Setting> others) {
    List<Setting> settings = new ArrayList<>();
    for (Setting one : some) {
      others.forEach(other -> settings.add(one.with(other.values())));
    }
    return settings;
  }

  /// This setting with other values for some knobs.
  public Setting with(Map<String, Integer> changes) {
    Map<String, Integer> all = new TreeMap<>(values);
    all.putAll(changes);
    return new Setting(all);
  }

  /// The value of a knob.
  public int get(String name) {
    Integer value = values.get(name);
    if (value == null) {
      throw new IllegalArgumentException("no knob " + name + " in " + values);
    }
    return value;
  }

  /// As it is written behind a policy's name: `lags=4:count=2`; empty without knobs.
  @Override
  public String toString() {
    return new TreeMap<>(values)
        .entrySet().stream()
            .map(knob -> knob.getKey() + "=" + knob.getValue())
            .collect(Collectors.joining(":"));
  }
}
