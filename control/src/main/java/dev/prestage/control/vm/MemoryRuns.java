package dev.prestage.control.vm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.prestage.link.host.AtomicFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.LongStream;

/// How much memory each program's past runs used, by the time since their starts, and what that
/// foretells of the next run. Kept in a file of a few kilobytes for each program.
final class MemoryRuns {
  /// What a run does after so many slots is not kept.
  static final int SLOTS = 24 * 60;

  /// The file's first line, before the length of a slot. No program's name has its first sign.
  private static final String SLOT = "#slot-ns ";

  /// So many runs are kept of a program: with three of five, one odd run decides nothing.
  static final int RUNS = 5;

  private final Path file;
  private final long slotNanos;
  private final Map<String, Deque<long[]>> runs = new TreeMap<>();

  /// @param slot a burst shorter than this cannot be told from the next. Runs that were kept by
  ///   another length are forgotten
  MemoryRuns(Path file, Duration slot) throws IOException {
    this.file = file;
    this.slotNanos = slot.toNanos();
    if (!Files.exists(file)) {
      return;
    }
    List<String> lines = Files.readAllLines(file);
    if (lines.isEmpty() || !lines.getFirst().equals(SLOT + slotNanos)) {
      return;
    }
    for (String line : lines.subList(1, lines.size())) {
      String[] parts = line.split(" ", 2);
      // A line that is none is of no use, and neither is failing because of it.
      if (parts.length == 2 && parts[1].matches("\\d{1,12}(,\\d{1,12})*")) {
        keep(parts[0], LongStream.of(numbers(parts[1])).limit(SLOTS).toArray());
      }
    }
  }

  private static long[] numbers(String text) {
    return Arrays.stream(text.split(",", -1)).mapToLong(Long::parseLong).toArray();
  }

  private void keep(String program, long[] run) {
    Deque<long[]> known = runs.computeIfAbsent(program, _ -> new ArrayDeque<>());
    known.addLast(run);
    if (known.size() > RUNS) {
      known.removeFirst();
    }
  }

  /// The slot of a time since a run's start; [#SLOTS] for what is after them all.
  int slot(long ageNanos) {
    return (int) Math.min(SLOTS, ageNanos / slotNanos);
  }

  /// How many past runs of a program are known.
  int count(String program) {
    return runs.getOrDefault(program, new ArrayDeque<>()).size();
  }

  /// A run ended.
  ///
  /// @param program without spaces
  /// @param levels the most that it used in each slot since its start, in MiB
  void learn(String program, List<Long> levels) throws IOException {
    if (levels.isEmpty()) {
      return;
    }
    keep(program, levels.stream().mapToLong(Long::longValue).limit(SLOTS).toArray());
    List<String> lines = new ArrayList<>(List.of(SLOT + slotNanos));
    runs.forEach((name, known) ->
        known.forEach(run ->
            lines.add(
                name
                    + " "
                    + Arrays.stream(run)
                        .mapToObj(Long::toString)
                        .collect(Collectors.joining(",")))));
    AtomicFile.write(file, (String.join("\n", lines) + "\n").getBytes(UTF_8));
  }

  /// The most that a run is expected to use between two times since its start: the median of what
  /// past runs used then, where one that had ended used nothing. Zero without past runs.
  long expected(String program, long fromNanos, long toNanos) {
    Deque<long[]> known = runs.getOrDefault(program, new ArrayDeque<>());
    if (known.isEmpty()) {
      return 0;
    }
    int from = slot(fromNanos);
    int to = Math.min(SLOTS, slot(toNanos) + 1);
    long[] peaks =
        known.stream()
            .mapToLong(run -> Arrays.stream(run).skip(from).limit(to - from).max().orElse(0))
            .sorted()
            .toArray();
    return peaks[(peaks.length - 1) / 2];
  }
}
