package dev.prestage.control.vm.vsphere;

import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.vsphere.VimService.Ref;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Element;

/// The guests of a vCenter, as its property collector said them. Thread-safe.
final class Inventory {
  /// What is asked of each guest.
  static final List<String> PROPERTIES =
      List.of(
          "name",
          "runtime.powerState",
          "runtime.host",
          "config.instanceUuid",
          "config.template",
          "config.extraConfig");

  /// The labels that an administrator gives: keys of the guest's advanced configuration.
  static final String LABELS = "prestage.";

  private static final String PROGRAM = "prestage.program";
  private static final String VM = "prestage.vm";
  private static final String IMAGE = "prestage.image";

  private final Map<Ref, Machine> machines = new LinkedHashMap<>();

  /// A guest as it is known now.
  ///
  /// @param labels those of ours only: others may be secret
  private record Machine(
      String id,
      String name,
      boolean running,
      String host,
      boolean template,
      Map<String, String> labels) {

    static final Machine NEW = new Machine("", "", false, "", false, Map.of());

    Machine with(String property, @Nullable Element value) {
      String text = value == null ? "" : value.getTextContent().strip();
      return switch (property) {
        // The service writes these three of a name as its web pages do.
        case "name" -> new Machine(id, decoded(text), running, host, template, labels);
        case "runtime.powerState" ->
            new Machine(id, name, text.equals("poweredOn"), host, template, labels);
        case "runtime.host" -> new Machine(id, name, running, text, template, labels);
        case "config.instanceUuid" ->
            new Machine(id.isEmpty() ? text : id, name, running, host, template, labels);
        case "config.template" -> new Machine(id, name, running, host, text.equals("true"), labels);
        case "config.extraConfig" ->
            new Machine(id, name, running, host, template, labelsIn(value));
        default -> this;
      };
    }

    Machine orCalled(String reference) {
      return id.isEmpty() ? new Machine(reference, name, running, host, template, labels) : this;
    }

    private static String decoded(String name) {
      return name.replace("%2f", "/").replace("%5c", "\\").replace("%25", "%");
    }

    @Nullable Attachment attachment() {
      String program = labels.getOrDefault(PROGRAM, "");
      return program.isEmpty()
          ? null
          : new Attachment(
              labels.getOrDefault(VM, vmName(name)), program, labels.getOrDefault(IMAGE, ""), "");
    }

    Guest guest() {
      return new Guest(id, name, running, true, attachment());
    }

    GuestEvent event(Kind kind) {
      return new GuestEvent(id, name, kind);
    }
  }

  /// A guest may be called what a VM cannot be.
  private static String vmName(String name) {
    String allowed = name.replaceAll("[^A-Za-z0-9._-]", "-").replaceFirst("^\\.", "-");
    return allowed.isEmpty() ? "-" : allowed.substring(0, Math.min(allowed.length(), 128));
  }

  /// Of a key that stands there twice, the last counts; one without a value is none.
  static Map<String, String> labelsIn(@Nullable Element configuration) {
    Map<String, String> labels = new LinkedHashMap<>();
    if (configuration != null) {
      for (Element option : Xml.children(configuration)) {
        String key = Xml.text(option, "key");
        if (key.startsWith(LABELS)) {
          labels.put(key, Xml.text(option, "value"));
        }
      }
    }
    labels.values().removeIf(String::isEmpty);
    return Map.copyOf(labels);
  }

  synchronized List<Guest> guests() {
    return machines.values().stream().filter(m -> !m.template()).map(Machine::guest).toList();
  }

  /// The guest of that name, or null. Of several in different folders, the first.
  synchronized @Nullable Guest guest(String name) {
    for (Machine machine : machines.values()) {
      if (machine.name().equals(name)) {
        return machine.guest();
      }
    }
    return null;
  }

  synchronized @Nullable Ref reference(String name) {
    for (Map.Entry<Ref, Machine> entry : machines.entrySet()) {
      if (entry.getValue().name().equals(name)) {
        return entry.getKey();
      }
    }
    return null;
  }

  /// Takes over what changed.
  ///
  /// @param updates the answer of `WaitForUpdatesEx`
  /// @return what happened
  synchronized List<GuestEvent> apply(Element updates) throws IOException {
    List<GuestEvent> events = new ArrayList<>();
    for (Element filter : Xml.children(updates, "filterSet")) {
      for (Element update : Xml.children(filter, "objectSet")) {
        Ref ref = Ref.of(Xml.child(update, "obj"));
        Machine before = machines.get(ref);
        if (Xml.text(update, "kind").equals("leave")) {
          if (before != null) {
            machines.remove(ref);
            left(before, events);
          }
          continue;
        }
        Machine after = before == null ? Machine.NEW : before;
        for (Element change : Xml.children(update, "changeSet")) {
          after = after.with(Xml.text(change, "name"), Xml.child(change, "val"));
        }
        after = after.orCalled(ref.value());
        machines.put(ref, after);
        changed(before, after, events);
      }
    }
    return events;
  }

  private static void left(Machine machine, List<GuestEvent> events) {
    if (machine.running()) {
      events.add(machine.event(Kind.STOPPED));
    }
    events.add(machine.event(Kind.UNDEFINED));
  }

  /// A guest under another name is another VM, unless a label says its VM's name: the run of the
  /// one ends, and one of the other begins.
  private static void changed(@Nullable Machine before, Machine after, List<GuestEvent> events) {
    if (after.template()) {
      return;
    }
    boolean ran = before != null && before.running();
    if (before != null && !before.guest().vm().equals(after.guest().vm())) {
      if (ran) {
        events.add(before.event(Kind.STOPPED));
        ran = false;
      }
      if (before.attachment() != null) {
        events.add(before.event(Kind.UNDEFINED));
      }
    }
    if (before == null
        || !before.name().equals(after.name())
        || !Objects.equals(before.attachment(), after.attachment())) {
      events.add(after.event(Kind.DEFINED));
    }
    if (after.running() != ran) {
      events.add(after.event(after.running() ? Kind.STARTED : Kind.STOPPED));
    } else if (ran && before != null && !before.host().equals(after.host())) {
      events.add(after.event(Kind.MOVED));
    }
  }
}
