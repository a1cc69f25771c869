package dev.prestage.dataplane.memory;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/// A file that names the process whose memory is being served, so that the next data plane can say
/// which guests the last one left behind: the descriptor cannot be had again.
final class ServedProcess {
  private static final Logger LOG = System.getLogger(ServedProcess.class.getName());

  private final Path file;

  ServedProcess(Path file) {
    this.file = file;
  }

  /// The process that is served from now on.
  void write(long pid) {
    try {
      Files.writeString(file, pid + "\n" + startOf(pid).map(Instant::toString).orElse("") + "\n");
    } catch (IOException e) {
      LOG.log(Level.WARNING, "{0} cannot be written: {1}", file, e.getMessage());
    }
  }

  private static Optional<Instant> startOf(long pid) {
    return ProcessHandle.of(pid).flatMap(process -> process.info().startInstant());
  }

  /// The process that was served when this was written last, if it is there still.
  Optional<Long> left() {
    try {
      if (!Files.exists(file)) {
        return Optional.empty();
      }
      List<String> lines = Files.readAllLines(file);
      long pid = Long.parseLong(lines.getFirst());
      String start = lines.size() > 1 ? lines.get(1) : "";
      return startOf(pid).filter(found -> found.toString().equals(start)).map(_ -> pid);
    } catch (IOException | RuntimeException e) {
      LOG.log(Level.WARNING, "{0} cannot be read: {1}", file, e.getMessage());
      return Optional.empty();
    }
  }

  /// Nobody is served any more.
  void clear() {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "{0} cannot be deleted: {1}", file, e.getMessage());
    }
  }
}
