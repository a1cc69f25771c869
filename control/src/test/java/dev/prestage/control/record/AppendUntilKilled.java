package dev.prestage.control.record;

import dev.prestage.engine.resource.Binding;
import java.nio.file.Path;

/// Appends to a history for ever, 1000 rows a commit, and prints how many are committed. A test
/// kills it.
final class AppendUntilKilled {
  static final int BATCH = 1000;

  private AppendUntilKilled() {}

  public static void main(String[] folder) {
    Binding vm = Accesses.disk("vm1", "web");
    try (QuestDbHistory history = new QuestDbHistory(Path.of(folder[0]))) {
      for (long count = 0; ; ) {
        for (int i = 0; i < BATCH; i++, count++) {
          history.append(Accesses.at(Accesses.START + count * 1_000_000, count), vm);
        }
        history.commit();
        System.out.println(count);
      }
    }
  }
}
