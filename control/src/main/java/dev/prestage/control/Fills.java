package dev.prestage.control;

import dev.prestage.control.command.Reply;
import dev.prestage.control.registry.Registered;
import dev.prestage.control.registry.Registry;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// How far the disks of VMs are filled, by the data plane's last report. Listeners hear of each one
/// that becomes complete. Of the engine thread.
final class Fills {
  private static final String PREFIX = "fill_";

  private final Registry registry;
  private final Notices notices;
  private final Health health;
  private final Clock clock;

  /// The numbers of each disk by its address, by their names.
  private Map<String, Map<String, Long>> numbers = new HashMap<>();

  /// The disks of which it was said that they are complete, and how often they had become so.
  private final Map<String, Long> said = new HashMap<>();

  Fills(Registry registry, Notices notices, Health health, Clock clock) {
    this.registry = registry;
    this.notices = notices;
    this.health = health;
    this.clock = clock;
  }

  /// The data plane has reported. A disk that was complete, was not, and is again since the last
  /// report is news. A disk that it does not name, because it begins to serve it only, stays as it
  /// was said.
  void heard(List<Frame.Counter> counters) {
    Map<String, Map<String, Long>> heard = new HashMap<>();
    for (Frame.Counter counter : counters) {
      if (counter.name().startsWith(PREFIX)) {
        heard
            .computeIfAbsent(counter.label(), _ -> new HashMap<>())
            .put(counter.name().substring(PREFIX.length()), counter.value());
      }
    }
    numbers = heard;
    heard.keySet().stream().filter(address -> !isComplete(address)).forEach(said::remove);
    if (heard.keySet().stream().anyMatch(this::isNews)) {
      registry.vms().stream().flatMap(vm -> vm.bindings().stream()).forEach(this::say);
    }
  }

  private boolean isComplete(String address) {
    return number(address, "complete") != 0;
  }

  private boolean isNews(String address) {
    return isComplete(address)
        && !Long.valueOf(number(address, "completions")).equals(said.get(address));
  }

  private void say(Binding binding) {
    String address = Registered.address(binding);
    if (isNews(address)) {
      said.put(address, number(address, "completions"));
      health.over("incomplete:" + binding.space().tenant() + "/" + binding.space().name());
      notices.publish(
          new Notice.Complete(
              clock.nanos(),
              binding.vm().name(),
              binding.vm().program().name(),
              binding.as(),
              binding.space().name(),
              number(address, "total_bytes")));
    }
  }

  private long number(String address, String name) {
    return numbers.getOrDefault(address, Map.of()).getOrDefault(name, 0L);
  }

  /// A disk is gone.
  void forget(String address) {
    said.remove(address);
    numbers.remove(address);
  }

  /// How far the fill of a disk is, or null where nothing is filled.
  Reply.@Nullable FillView of(Binding binding) {
    String address = Registered.address(binding);
    if (!numbers.containsKey(address)) {
      return null;
    }
    long held = number(address, "held_bytes");
    long total = number(address, "total_bytes");
    long rate = number(address, "rate_bytes");
    boolean complete = isComplete(address);
    Double eta = rate > 0 ? (double) (total - held) / rate : null;
    return new Reply.FillView(held, total, rate, complete ? Double.valueOf(0) : eta, complete);
  }
}
