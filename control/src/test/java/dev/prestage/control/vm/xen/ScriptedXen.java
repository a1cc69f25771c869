package dev.prestage.control.vm.xen;

import static java.nio.file.StandardCopyOption.ATOMIC_MOVE;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Xen's tools as a shell script that answers from files, in the forms that Xen 4.17's tools write.
/// It stands before each command as `ssh dom0` would.
final class ScriptedXen {
  private static final String SCRIPT =
      """
      #!/bin/sh
      cd "$(dirname "$0")"
      command="$*"
      if [ -e hanging ] && expr "$command" : "$(cat hanging)" >/dev/null; then sleep 600; fi
      if [ -e denied ] && expr "$command" : "$(cat denied)" >/dev/null; then
        echo "xencall: error: Could not obtain handle on privileged command interface: Permission denied" >&2
        echo "libxl: error: libxl.c:102:libxl_ctx_alloc: cannot open libxc handle: Permission denied" >&2
        echo "cannot init xl context" >&2
        exit 1
      fi
      case "$command" in
        "xl list") cat table ;;
        "xl list -l") cat details ;;
        "xl list "*) head -n 1 table; grep "^[^ ]*  *$3  " table || { echo "Error: Domain '$3' does not exist." >&2; exit 1; } ;;
        "xl info") printf 'host                   : dom0\\nfree_memory            : %s\\nnr_cpus : 1\\n' "$(cat free)" ;;
        "xl mem-set "*) echo "$3 $4" >> sets ;;
        "xenstore-ls -f "*)
          grep "^$3/" store || { echo "xenstore-ls: xs_directory ($3): No such file or directory" >&2; exit 1; } ;;
        "xenstore-watch "*) echo $$ > watch; exec tail -n +1 -f events ;;
        *) echo "no such command: $command" >&2; exit 64 ;;
      esac
      """;

  final Path folder;
  private final Map<Integer, Machine> machines = new LinkedHashMap<>();
  private final Map<String, String> labels = new LinkedHashMap<>();

  /// @param made whether its configuration is known already
  record Machine(String name, String state, String commandLine, boolean made, String entries) {}

  ScriptedXen(Path folder) throws IOException {
    this.folder = folder;
    Path script = folder.resolve("dom0");
    Files.writeString(script, SCRIPT);
    script.toFile().setExecutable(true);
    Files.writeString(folder.resolve("events"), "@introduceDomain\n@releaseDomain\n/prestage\n");
    Files.writeString(folder.resolve("free"), "1000");
    write();
  }

  XenConnector.Options options() {
    return options(Duration.ofSeconds(30));
  }

  XenConnector.Options options(Duration deadline) {
    return new XenConnector.Options(
        true, List.of(folder.resolve("dom0").toString()), 128L << 20, deadline);
  }

  /// A domain of 160 MiB that may have 256.
  void run(int number, String name, String commandLine) throws IOException {
    put(number, new Machine(name, "-b----", commandLine, true, ""));
  }

  void put(int number, Machine machine) throws IOException {
    machines.put(number, machine);
    write();
  }

  void end(int number) throws IOException {
    machines.remove(number);
    write();
  }

  /// Writes to xenstore.
  void label(String path, String value) throws IOException {
    labels.put(path, value);
    write();
  }

  /// Has xenstore's watch say something.
  void say(String event) throws IOException {
    Files.writeString(folder.resolve("events"), event + "\n", StandardOpenOption.APPEND);
  }

  void free(int mib) throws IOException {
    Files.writeString(folder.resolve("free"), Integer.toString(mib));
  }

  /// @param kind `denied` or `hanging`
  /// @param commands a pattern that begins as the commands do
  void fault(String kind, String commands) throws IOException {
    Files.writeString(folder.resolve(kind), commands);
  }

  void heal(String kind) throws IOException {
    Files.delete(folder.resolve(kind));
  }

  void garble() throws IOException {
    Files.writeString(folder.resolve("details"), "[\n  { \"domid\": 0, \"config\"\n");
  }

  void killWatch() throws IOException {
    long pid = Long.parseLong(Files.readString(folder.resolve("watch")).strip());
    ProcessHandle.of(pid).orElseThrow().destroyForcibly();
  }

  /// What `xl mem-set` was told.
  List<String> sets() throws IOException {
    Path sets = folder.resolve("sets");
    return Files.exists(sets) ? Files.readAllLines(sets) : List.of();
  }

  private void write() throws IOException {
    StringBuilder table =
        new StringBuilder("Name                   ID   Mem VCPUs\tState\tTime(s)\n");
    StringBuilder details = new StringBuilder();
    StringBuilder store = new StringBuilder();
    table.append("Domain-0                 0  1024     1     r-----      37.1\n");
    details.append(
        "[{\"domid\": 0, \"config\": {\"c_info\": {\"type\": \"pv\", \"name\": \"Domain-0\"}}}");
    machines.forEach((number, machine) -> {
      String name = machine.made() ? machine.name() : "(null)";
      table.append(
          "%-20s %5d   160     1     %s      13.7\n".formatted(name, number, machine.state()));
      if (machine.made()) {
        details.append(
            ", {\"domid\": %d, \"config\": {\"c_info\": {\"name\": \"%s\", \"uuid\": \"uuid-%d\"}, \"b_info\": {\"cmdline\": \"%s\"}}}"
                .formatted(number, machine.name(), number, machine.commandLine()));
      }
      String path = "/local/domain/" + number;
      store.append("%s/name = \"%s\"\n".formatted(path, machine.name()));
      store.append(path + "/memory/static-max = \"262144\"\n");
      store.append(path + "/memory/target = \"163840\"\n");
      machine.entries().lines().forEach(line -> store.append(path + "/" + line + "\n"));
    });
    labels.forEach((path, value) -> store.append("%s = \"%s\"\n".formatted(path, value)));
    replace("table", table.toString());
    replace("details", details + "]\n");
    replace("store", store.toString());
  }

  private void replace(String name, String text) throws IOException {
    Path fresh = Files.writeString(folder.resolve(name + ".new"), text);
    Files.move(fresh, folder.resolve(name), ATOMIC_MOVE);
  }
}
