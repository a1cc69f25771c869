package dev.prestage.cli.command;

import dev.prestage.control.vm.Change;
import java.util.List;

/// What a change adds to and takes from a text, line by line, with a line of what is around it.
/// Definitions have some hundred lines, so the longest common subsequence is found by its table.
final class LineDiff {
  private LineDiff() {}

  static String of(Change change) {
    List<String> before = change.before().lines().toList();
    List<String> after = change.after().lines().toList();
    int[][] common = new int[before.size() + 1][after.size() + 1];
    for (int i = before.size() - 1; i >= 0; i--) {
      for (int j = after.size() - 1; j >= 0; j--) {
        common[i][j] =
            before.get(i).equals(after.get(j))
                ? common[i + 1][j + 1] + 1
                : Math.max(common[i + 1][j], common[i][j + 1]);
      }
    }
    StringBuilder diff = new StringBuilder();
    int i = 0;
    int j = 0;
    boolean changed = false;
    String unsaid = "";
    while (i < before.size() || j < after.size()) {
      if (i < before.size() && j < after.size() && before.get(i).equals(after.get(j))) {
        unsaid = "  " + before.get(i) + "\n";
        if (changed) {
          diff.append(unsaid);
          unsaid = "";
        }
        changed = false;
        i++;
        j++;
        continue;
      }
      diff.append(unsaid);
      unsaid = "";
      changed = true;
      if (j >= after.size() || (i < before.size() && common[i + 1][j] >= common[i][j + 1])) {
        diff.append("- ").append(before.get(i++)).append('\n');
      } else {
        diff.append("+ ").append(after.get(j++)).append('\n');
      }
    }
    return diff.toString();
  }
}
