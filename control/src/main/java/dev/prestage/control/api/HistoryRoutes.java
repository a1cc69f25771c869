package dev.prestage.control.api;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.time.Clock;
import io.helidon.http.HeaderNames;
import io.helidon.http.Method;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The routes that ask the history: its rows, what they add up to, and all of them as CSV.
final class HistoryRoutes {
  /// The parameters of every route that looks at a window.
  private static final int HISTORY_LIMIT = 1_000;

  private static final int LIMIT = 100;
  private static final long HISTORY_NANOS = Duration.ofHours(1).toNanos();

  /// Touches of one extent that belong to one request of a program come within milliseconds.
  private static final long BURST_GAP_NANOS = Duration.ofSeconds(1).toNanos();

  /// A timeline of so many lines or fewer fits a screen.
  private static final int FEW_BUCKETS = 60;

  /// Lengths of buckets that people reckon with.
  private static final List<Duration> BUCKETS =
      List.of(
          Duration.ofMillis(100),
          Duration.ofSeconds(1),
          Duration.ofSeconds(5),
          Duration.ofSeconds(15),
          Duration.ofMinutes(1),
          Duration.ofMinutes(5),
          Duration.ofMinutes(15),
          Duration.ofHours(1),
          Duration.ofHours(6),
          Duration.ofDays(1),
          Duration.ofDays(7));

  /// Rows that are read from the history and sent before the next are: 1.3 MB, which a client has
  /// the time of one answer to take. The history is not held open while they are sent.
  static final int PAGE_ROWS = 10_000;

  private final Commands commands;
  private final Clock clock;

  HistoryRoutes(Commands commands, Clock clock) {
    this.commands = commands;
    this.clock = clock;
  }

  void on(HttpRouting.Builder routing, Routes routes) {
    routes.route(routing, Method.GET, "/v1/history", this::rows);
    routes.route(
        routing,
        Method.GET,
        "/v1/history/top",
        query ->
            new Command.ShowTop(
                selection(query),
                by(query.optional("by")),
                length("burstGap", query.optional("burstGap"), BURST_GAP_NANOS),
                query.limit(LIMIT)));
    routes.route(routing, Method.GET, "/v1/history/timeline", this::timeline);
    routes.route(
        routing,
        Method.GET,
        "/v1/history/transitions",
        query -> new Command.ShowTransitions(selection(query), query.limit(LIMIT)));
    routes.route(
        routing,
        Method.GET,
        "/v1/history/sequences",
        query -> new Command.ShowSequences(selection(query), query.limit(LIMIT)));
    Operation exporting = Operations.of(Method.GET, "/v1/history/export");
    routing.get(
        exporting.path(),
        (request, response) -> {
          Routes.Query query = new Routes.Query(request, exporting).only();
          export(query, response);
        });
  }

  private Command rows(Routes.Query query) throws Problem.Thrown {
    AccessHistory.Selection selection = selection(query);
    return new Command.ShowHistory(
        selection.program(),
        selection.vm(),
        selection.fromNanos(),
        selection.toNanos(),
        query.limit(HISTORY_LIMIT));
  }

  private Command timeline(Routes.Query query) throws Problem.Thrown {
    AccessHistory.Selection selection = selection(query);
    long windowNanos = selection.toNanos() - selection.fromNanos();
    long bucketNanos = length("bucket", query.optional("bucket"), bucketNanos(windowNanos));
    if (windowNanos / bucketNanos >= Routes.MAX_LIMIT) {
      throw new Problem.Thrown(
          Problem.invalid(
              "the time asked for has more than "
                  + Routes.MAX_LIMIT
                  + " buckets; send a longer 'bucket' or a shorter time"));
    }
    return new Command.ShowTimeline(selection, bucketNanos);
  }

  private static long bucketNanos(long windowNanos) {
    for (Duration bucket : BUCKETS) {
      if (windowNanos / bucket.toNanos() <= FEW_BUCKETS) {
        return bucket.toNanos();
      }
    }
    return BUCKETS.getLast().toNanos();
  }

  private AccessHistory.Selection selection(Routes.Query query) throws Problem.Thrown {
    long now = clock.nanos();
    String since = query.optional("since");
    String until = query.optional("until");
    long to = until == null ? now : Times.nanos("until", until, now);
    long from = since == null ? to - HISTORY_NANOS : Times.nanos("since", since, now);
    if (from > to) {
      throw new Problem.Thrown(
          Problem.invalid("'since' lies after 'until'; exchange them or leave one out"));
    }
    return new AccessHistory.Selection(
        query.optional("program"),
        query.optional("vm"),
        type(query.optional("type")),
        Math.max(0, from), // history has nothing before 1970
        Math.max(0, to));
  }

  private static @Nullable ResourceType type(@Nullable String text) throws Problem.Thrown {
    try {
      return text == null ? null : ResourceType.of(text);
    } catch (IllegalArgumentException e) {
      throw new Problem.Thrown(Problem.invalid("'type': " + e.getMessage()));
    }
  }

  private static Command.By by(@Nullable String text) throws Problem.Thrown {
    if (text == null) {
      return Command.By.RESOURCE;
    }
    for (Command.By by : Command.By.values()) {
      if (by.text().equals(text)) {
        return by;
      }
    }
    throw new Problem.Thrown(
        Problem.invalid("'by' is '" + text + "'; send one of resource, program, vm, type"));
  }

  private static long length(String name, @Nullable String text, long otherwise)
      throws Problem.Thrown {
    return text == null ? otherwise : Times.lengthNanos(name, text);
  }

  /// Sends the rows of a window as CSV, page after page. What goes wrong before the first page is a
  /// problem; after it, the connection ends before the answer does, which a client notices.
  private void export(Routes.Query query, ServerResponse response)
      throws Problem.Thrown, Refusal, IOException {
    AccessHistory.Selection selection = selection(query);
    List<AccessHistory.Row> first = page(selection, 0);
    response.header(HeaderNames.CONTENT_TYPE, Csv.MEDIA_TYPE);
    OutputStream out = response.outputStream();
    out.write(Csv.head());
    try {
      send(selection, first, out, query.request());
    } catch (Refusal e) {
      throw new CloseConnectionException("history failed in the middle of an export", e);
    }
    out.close(); // says that this is all, so not after a failure
  }

  private void send(
      AccessHistory.Selection selection,
      List<AccessHistory.Row> first,
      OutputStream out,
      ServerRequest request)
      throws Refusal, IOException {
    AccessHistory.Selection rest = selection;
    List<AccessHistory.Row> rows = first;
    int skip = 0;
    out.write(Csv.lines(rows));
    while (rows.size() == PAGE_ROWS) {
      out.flush();
      SilentClients.taken(request);
      long last = rows.getLast().timeNanos();
      int ofLast = 0;
      for (int i = rows.size() - 1; i >= 0 && rows.get(i).timeNanos() == last; i--) {
        ofLast++;
      }
      skip = last == rest.fromNanos() ? skip + ofLast : ofLast;
      rest =
          new AccessHistory.Selection(rest.program(), rest.vm(), rest.type(), last, rest.toNanos());
      rows = page(rest, skip);
      out.write(Csv.lines(rows));
    }
  }

  private List<AccessHistory.Row> page(AccessHistory.Selection selection, int skip) throws Refusal {
    Reply reply = commands.execute(new Command.ReadHistory(selection, skip, PAGE_ROWS));
    if (reply instanceof Reply.History history) {
      return history.rows();
    }
    throw new IllegalStateException("not a page of history: " + reply);
  }
}
