package dev.prestage.benchmarks.network;

import static java.util.Objects.requireNonNull;

import java.io.BufferedReader;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;

/// What a web application needed in one recorded run: its requests at their times, and the
/// connections that each opened. `recordings/README.md` says how they were recorded.
///
/// The application keeps no connections between requests: a request opens what its route needs, and
/// closes all at its end. A request does not wait for the one before, so several are served at
/// once.
///
/// @param name of the recording
/// @param arrivals in the order of their times
record Requests(String name, List<Arrival> arrivals) {
  private static final int FIELDS = 8;

  Requests {
    arrivals = List.copyOf(arrivals);
  }

  /// Where connections go.
  enum Upstream {
    DATABASE,
    CACHE
  }

  /// A request.
  ///
  /// @param atMicros since the application began to start, which is its request 0
  /// @param uses its connections in the order in which it opened them
  record Arrival(long atMicros, String route, List<Use> uses) {
    Arrival {
      uses = List.copyOf(uses);
    }
  }

  /// What a request did with one connection.
  ///
  /// @param afterMicros from the opening of the request's connection before, or from the request's
  ///   begin: what the application computed, and what servers beside it took to answer
  /// @param login answers of the server until it took the first question; none of a cache without a
  ///   password
  /// @param exchanges all answers of the server
  /// @param closesEarly whether it was closed before the request's next one was opened
  record Use(Upstream upstream, long afterMicros, int login, int exchanges, boolean closesEarly) {
    /// How often to ask on it.
    ///
    /// @param isLoggedIn whether somebody did that before
    int questions(boolean isLoggedIn) {
      return Math.max(1, isLoggedIn ? exchanges - login : exchanges);
    }
  }

  private record Row(
      long openMicros,
      long closeMicros,
      int request,
      String route,
      long requestMicros,
      Upstream upstream,
      int login,
      int exchanges) {
    static Row of(String line) throws IOException {
      String[] fields = line.split(",", -1);
      if (fields.length != FIELDS) {
        throw new IOException("'" + line + "' has not " + FIELDS + " fields");
      }
      return new Row(
          Long.parseLong(fields[0]),
          Long.parseLong(fields[1]),
          Integer.parseInt(fields[2]),
          fields[3],
          Long.parseLong(fields[4]),
          Upstream.valueOf(fields[5].toUpperCase(Locale.ROOT)),
          Integer.parseInt(fields[6]),
          Integer.parseInt(fields[7]));
    }
  }

  /// Loads a run that ships with the project.
  static Requests load(int run) throws IOException {
    String name = "shop-" + run;
    String file = "/recordings/" + name + ".csv.gz";
    try (InputStream in = Requests.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new FileNotFoundException("no recording " + file + " is in this installation");
      }
      return parse(name, new InputStreamReader(new GZIPInputStream(in), StandardCharsets.US_ASCII));
    }
  }

  static Requests parse(String name, Reader text) throws IOException {
    Map<Integer, List<Row>> requests = new TreeMap<>();
    try (BufferedReader lines = new BufferedReader(text)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (!line.startsWith("#") && !line.startsWith("open_us")) {
          Row row = Row.of(line);
          requests.computeIfAbsent(row.request(), _ -> new ArrayList<>()).add(row);
        }
      }
    }
    List<Arrival> arrivals = new ArrayList<>();
    requests.values().forEach(rows -> arrivals.add(arrival(rows)));
    arrivals.sort(Comparator.comparingLong(Arrival::atMicros));
    return new Requests(name, arrivals);
  }

  private static Arrival arrival(List<Row> rows) {
    rows.sort(Comparator.comparingLong(Row::openMicros));
    Row first = rows.getFirst();
    List<Use> uses = new ArrayList<>();
    long before = first.requestMicros();
    for (int i = 0; i < rows.size(); i++) {
      Row row = rows.get(i);
      boolean closesEarly =
          i + 1 < rows.size() && row.closeMicros() <= rows.get(i + 1).openMicros();
      uses.add(
          new Use(
              row.upstream(),
              Math.max(0, row.openMicros() - before),
              row.login(),
              row.exchanges(),
              closesEarly));
      before = row.openMicros();
    }
    return new Arrival(first.requestMicros(), first.route(), uses);
  }

  /// How many connections were opened.
  int connections() {
    return arrivals.stream().mapToInt(arrival -> arrival.uses().size()).sum();
  }

  /// What there is for an upstream, of a map that has something for all.
  static <K, T> T at(Map<K, T> each, K upstream) {
    return requireNonNull(each.get(upstream));
  }
}
