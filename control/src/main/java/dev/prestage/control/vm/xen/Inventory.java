package dev.prestage.control.vm.xen;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.HypervisorException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// The domains of a host at one moment, without dom0.
///
/// @param domains by their names
/// @param complete whether none is being made: Xen knows the configuration of a domain only once it
///   is made
record Inventory(Map<String, Domain> domains, boolean complete) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /// A row of `xl list`: name, number, MiB, CPUs, state, seconds.
  private static final Pattern ROW =
      Pattern.compile("^.*?\\s+(\\d+)\\s+(\\d+)\\s+\\d+\\s+([rbpscd-]{6})\\s+[\\d.]+\\s*$");

  /// A line of `xenstore-ls -f`.
  private static final Pattern ENTRY = Pattern.compile("^(/\\S+) = \"(.*)\"");

  private static final Pattern LABEL = Pattern.compile("^/prestage/([^/]+)/([a-z]+)$");
  private static final Pattern ARGUMENT = Pattern.compile("prestage\\.([a-z]+)=(\\S+)");

  /// `xl migrate` calls a domain so at the host that it comes to, until it is there.
  private static final String INCOMING = "--incoming";

  /// `xl migrate` calls a domain so at the host that it went from.
  private static final String AWAY = "--migratedaway";

  /// What is known of one row.
  ///
  /// @param mib the memory that the host holds for it
  record Row(int number, long mib, boolean running, boolean dying) {}

  /// @param table what `xl list` wrote
  /// @param details what `xl list -l` wrote
  /// @param labels what `xenstore-ls -f /prestage` wrote
  static Inventory of(String table, String details, String labels) throws HypervisorException {
    Map<Integer, Row> rows = rows(table);
    Map<String, Map<String, String>> written = labels(labels);
    JsonNode list;
    try {
      list = JSON.readTree(details);
    } catch (JsonProcessingException e) {
      throw new HypervisorException(
          "'xl list -l' wrote what is no JSON: " + e.getOriginalMessage().replace('\n', ' '));
    }
    if (list == null || !list.isArray() || rows.isEmpty()) {
      throw new HypervisorException("'xl list' wrote no list of domains; dom0 at least is one");
    }
    Map<String, Domain> domains = new LinkedHashMap<>();
    boolean complete = true;
    for (JsonNode each : list) {
      int number = each.path("domid").asInt(-1);
      JsonNode created = each.path("config").path("c_info");
      String name = created.path("name").asText();
      Row row = rows.remove(number);
      if (number <= 0 || name.isEmpty() || name.endsWith(AWAY)) {
        continue;
      }
      if (name.endsWith(INCOMING)) {
        complete = false;
        continue;
      }
      Map<String, String> said =
          arguments(each.path("config").path("b_info").path("cmdline").asText());
      said.putAll(written.getOrDefault(created.path("uuid").asText(), Map.of()));
      said.putAll(written.getOrDefault(name, Map.of()));
      domains.put(name, new Domain(number, name, row == null || row.running(), Map.copyOf(said)));
    }
    rows.remove(0);
    return new Inventory(domains, complete && rows.values().stream().allMatch(Row::dying));
  }

  static Map<Integer, Row> rows(String table) {
    Map<Integer, Row> rows = new HashMap<>();
    for (String line : table.lines().toList()) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        String state = row.group(3);
        int number = Integer.parseInt(row.group(1));
        boolean dying = state.contains("d");
        boolean over = dying || state.contains("s") || state.contains("c");
        rows.put(number, new Row(number, Long.parseLong(row.group(2)), !over, dying));
      }
    }
    return rows;
  }

  /// What `xenstore-ls -f` wrote, by path.
  static Map<String, String> entries(String listing) {
    Map<String, String> entries = new HashMap<>();
    for (String line : listing.lines().toList()) {
      Matcher entry = ENTRY.matcher(line);
      if (entry.find()) {
        entries.put(entry.group(1), entry.group(2));
      }
    }
    return entries;
  }

  private static Map<String, Map<String, String>> labels(String listing) {
    Map<String, Map<String, String>> labels = new HashMap<>();
    entries(listing)
        .forEach((path, value) -> {
          Matcher label = LABEL.matcher(path);
          if (label.matches() && !value.isEmpty()) {
            labels.computeIfAbsent(label.group(1), _ -> new HashMap<>()).put(label.group(2), value);
          }
        });
    return labels;
  }

  private static Map<String, String> arguments(String commandLine) {
    Map<String, String> labels = new HashMap<>();
    Matcher argument = ARGUMENT.matcher(commandLine);
    while (argument.find()) {
      labels.put(argument.group(1), argument.group(2));
    }
    return labels;
  }

  /// What happened between this and a later inventory.
  List<GuestEvent> changesTo(Inventory later) {
    List<GuestEvent> events = new ArrayList<>();
    domains.forEach((name, before) -> {
      Domain after = later.domains.get(name);
      if (before.running()
          && (after == null || !after.running() || after.number() != before.number())) {
        events.add(event(name, Kind.STOPPED));
      }
    });
    later.domains.forEach((name, after) -> appeared(domains.get(name), after, events));
    return events;
  }

  private static void appeared(@Nullable Domain before, Domain after, List<GuestEvent> events) {
    boolean changed = before == null || !Objects.equals(before.attachment(), after.attachment());
    if (changed && after.attachment() != null) {
      events.add(event(after.name(), Kind.DEFINED));
    }
    // Also where a domain that runs gets its label: what is registered now has been running.
    boolean ran = before != null && before.running() && before.number() == after.number();
    if (after.running() && (!ran || changed)) {
      events.add(event(after.name(), Kind.STARTED));
    }
  }

  private static GuestEvent event(String name, Kind kind) {
    return new GuestEvent(name, name, kind);
  }
}
