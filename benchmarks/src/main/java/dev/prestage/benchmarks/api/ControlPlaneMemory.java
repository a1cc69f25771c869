package dev.prestage.benchmarks.api;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What the control plane's process holds in memory, asked from outside.
final class ControlPlaneMemory {
  private static final Pattern USED = Pattern.compile("\\bused (\\d+)K");
  private static final Pattern RESIDENT = Pattern.compile("VmRSS:\\s+(\\d+) kB");

  private final long process;

  ControlPlaneMemory(ProcessHandle process) {
    this.process = process.pid();
  }

  /// KiB of the heap that are reachable: what is used right after a full collection.
  long heapKib() throws IOException, InterruptedException {
    // Twice: what a first collection finds only weakly reachable is gone after the second.
    String _ = jcmd("GC.run");
    String _ = jcmd("GC.run");
    return number(USED, jcmd("GC.heap_info"));
  }

  /// KiB of memory that the process has, the heap's free parts and native memory included.
  long residentKib() throws IOException {
    return number(RESIDENT, Files.readString(Path.of("/proc", process + "", "status")));
  }

  private static long number(Pattern pattern, String text) throws IOException {
    Matcher found = pattern.matcher(text);
    if (!found.find()) {
      throw new IOException("no size in: " + text);
    }
    return Long.parseLong(found.group(1));
  }

  private String jcmd(String command) throws IOException, InterruptedException {
    String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    Process asked =
        new ProcessBuilder(jcmd, process + "", command).redirectErrorStream(true).start();
    String answer = new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (asked.waitFor() != 0) {
      throw new IOException("jcmd " + command + " failed: " + answer.strip());
    }
    return answer;
  }
}
