package dev.prestage.benchmarks.demo;

import java.io.BufferedReader;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;

/// The disk reads of one boot, as an NBD server saw them. `recordings/README.md` says how they were
/// made.
///
/// @param name such as `web-1`
/// @param reads in the order of their starts
record Recording(String name, List<Read> reads) {
  /// One read request.
  ///
  /// @param startMicros when the guest asked, since the VM's start
  /// @param endMicros when it had its answer
  record Read(long startMicros, long endMicros, long offset, int length) {}

  /// How many bytes the guest asked for.
  long bytes() {
    return reads.stream().mapToLong(Read::length).sum();
  }

  /// Loads a recording that ships with the project.
  static Recording load(String name) throws IOException {
    String file = "/recordings/" + name + ".csv.gz";
    try (InputStream in = Recording.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new FileNotFoundException("no recording " + file + " is in this installation");
      }
      return parse(name, new GZIPInputStream(in));
    }
  }

  private static Recording parse(String name, InputStream in) throws IOException {
    List<Read> reads = new ArrayList<>();
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (!line.startsWith("#") && !line.startsWith("start_us")) {
          String[] fields = line.split(",", -1);
          reads.add(
              new Read(
                  Long.parseLong(fields[0]),
                  Long.parseLong(fields[1]),
                  Long.parseLong(fields[2]),
                  Integer.parseInt(fields[3])));
        }
      }
    }
    return new Recording(name, List.copyOf(reads));
  }
}
