package dev.prestage.control;

import dev.prestage.control.ControlPlane.HistorySink;
import dev.prestage.control.aggregate.Sequences;
import dev.prestage.control.aggregate.Timeline;
import dev.prestage.control.aggregate.TopAccesses;
import dev.prestage.control.aggregate.Transitions;
import dev.prestage.control.aggregate.Usage;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import java.util.ArrayList;
import java.util.List;

/// Answers questions to the history on the caller's thread and the history's own; the engine thread
/// has no part in it.
public final class HistoryAnswers {
  private HistoryAnswers() {}

  /// The answer.
  ///
  /// @throws Refusal when there is no history to ask, or no answer in time; it says why
  public static Reply to(Command.HistoryQuestion question, HistorySink history) throws Refusal {
    return switch (question) {
      case Command.ShowHistory query ->
          new Reply.History(
              history.find(
                  new AccessHistory.Query(
                      query.program(),
                      query.vm(),
                      query.fromNanos(),
                      query.toNanos(),
                      query.limit())));
      case Command.ReadHistory page -> new Reply.History(rows(page, history));
      case Command.ShowTop top -> top(top, history);
      case Command.ShowTimeline timeline -> {
        AccessHistory.Selection selection = timeline.selection();
        var found =
            new Timeline(selection.fromNanos(), selection.toNanos(), timeline.bucketNanos());
        history.scan(selection, found);
        yield found.reply();
      }
      case Command.ShowTransitions transitions -> {
        var found = new Transitions();
        history.scan(transitions.selection(), found);
        yield found.reply(transitions.limit());
      }
      case Command.ShowSequences sequences -> {
        var found = new Sequences();
        history.scan(sequences.selection(), found);
        yield found.reply(sequences.limit());
      }
    };
  }

  /// Hours that were counted as their accesses came are added up; rows are read of the others.
  private static Reply.Top top(Command.ShowTop question, HistorySink history) throws Refusal {
    AccessHistory.Selection selection = question.selection();
    var found = new TopAccesses(question.by(), question.burstGapNanos());
    long from = selection.fromNanos();
    if (question.burstGapNanos() == Usage.BURST_GAP_NANOS) {
      for (var hours = history.usage(from, selection.toNanos()); hours.hasNext(); ) {
        Usage hour = hours.next();
        scan(selection, from, hour.startNanos(), history, found);
        found.add(hour, selection);
        from = hour.startNanos() + Usage.HOUR_NANOS;
      }
    }
    scan(selection, from, selection.toNanos(), history, found);
    return found.reply(question.limit());
  }

  private static void scan(
      AccessHistory.Selection of, long from, long to, HistorySink history, TopAccesses found)
      throws Refusal {
    if (from < to) {
      history.scan(new AccessHistory.Selection(of.program(), of.vm(), of.type(), from, to), found);
    }
  }

  private static List<AccessHistory.Row> rows(Command.ReadHistory page, HistorySink history)
      throws Refusal {
    List<AccessHistory.Row> rows = new ArrayList<>();
    int[] skipped = {0};
    history.scan(
        page.selection(),
        row -> {
          if (skipped[0] < page.skip()) {
            skipped[0]++;
            return true;
          }
          rows.add(row);
          return rows.size() < page.limit();
        });
    return rows;
  }
}
