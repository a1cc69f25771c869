package dev.prestage.benchmarks.bandwidth;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/// Amounts of windows that follow each other.
public final class AmountSeries {
  private final String name;
  private final Duration window;
  private final double[] amounts;

  private AmountSeries(String name, Duration window, double[] amounts) {
    this.name = name;
    this.window = window;
    this.amounts = amounts;
  }

  String name() {
    return name;
  }

  /// How long each window is.
  Duration window() {
    return window;
  }

  /// A copy of the amounts.
  double[] amounts() {
    return amounts.clone();
  }

  /// Reads a CSV with a header and lines of time in seconds and amount; the first two lines say how
  /// long a window is.
  ///
  /// @throws IOException if it cannot be read, or says no such thing
  public static AmountSeries read(Path file) throws IOException {
    return parse(String.valueOf(file.getFileName()), Files.readAllLines(file));
  }

  /// One of those that come with the benchmark.
  static AmountSeries recorded(String name) {
    try (InputStream stream =
        Objects.requireNonNull(AmountSeries.class.getResourceAsStream(name + ".csv"))) {
      String text = new String(stream.readAllBytes(), StandardCharsets.US_ASCII);
      return parse(name, text.lines().toList());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static AmountSeries parse(String name, List<String> lines) throws IOException {
    List<Double> times = new ArrayList<>();
    List<Double> amounts = new ArrayList<>();
    for (int i = 1; i < lines.size(); i++) {
      String[] fields = lines.get(i).split(",", -1);
      try {
        times.add(Double.parseDouble(fields[0]));
        amounts.add(Double.parseDouble(fields[1]));
      } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
        throw new IOException(
            name + ", line " + (i + 1) + " is not 'seconds,amount': " + lines.get(i), e);
      }
      if (!(amounts.getLast() >= 0 && amounts.getLast() < Double.POSITIVE_INFINITY)) {
        throw new IOException(name + ", line " + (i + 1) + ": an amount is at least 0");
      }
    }
    if (times.size() < AmountGate.WARM * 2) {
      throw new IOException(
          name + " has " + times.size() + " windows, and needs " + AmountGate.WARM * 2);
    }
    double seconds = times.get(1) - times.get(0);
    for (int i = 1; i < times.size(); i++) {
      double step = times.get(i) - times.get(i - 1);
      if (!(step > 0 && Math.abs(step - seconds) <= seconds / 100)) {
        throw new IOException(
            name + ", line " + (i + 2) + ": windows must follow each other and be of equal length");
      }
    }
    if (amounts.stream().skip(AmountGate.WARM).allMatch(amount -> amount == 0)) {
      throw new IOException(
          name + " asks for nothing after its first " + AmountGate.WARM + " windows");
    }
    return new AmountSeries(
        name,
        Duration.ofNanos((long) (seconds * 1e9)),
        amounts.stream().mapToDouble(Double::doubleValue).toArray());
  }
}
