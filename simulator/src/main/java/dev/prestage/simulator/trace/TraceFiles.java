package dev.prestage.simulator.trace;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Reads trace files: plain or compressed with zstd, gzip or xz, in any of [#formats].
public final class TraceFiles {
  /// Instead of a format's name: by the file's name where that says it, else by its beginning.
  public static final String AUTO = "auto";

  private static final List<TraceFormat> FORMATS =
      List.of(
          new VscsiFormat(),
          new OverlaybdFormat(),
          new OracleGeneralFormat(),
          new AccessCsvFormat(),
          new HistoryCsvFormat(),
          new LisFormat(),
          new DiskSimFormat(),
          new SpcFormat(),
          new MsrFormat(),
          new BlkparseFormat(),
          new NbdkitLogFormat());

  /// Ends of file names that name no format and yet are no part of a trace's name.
  private static final List<String> NEUTRAL_SUFFIXES =
      List.of(".csv", ".txt", ".log", ".trace", ".bin");

  private TraceFiles() {}

  /// A format that can be read.
  ///
  /// @param name what to ask for
  /// @param summary what it is, in one line
  public record Description(String name, String summary) {}

  /// The formats that can be read.
  public static List<Description> formats() {
    return FORMATS.stream()
        .map(format -> new Description(format.name(), format.summary()))
        .toList();
  }

  /// Reads all of a file, with pages as large as the format has them.
  ///
  /// @throws TraceException if the file cannot be used
  public static Trace read(Path file, String format, Progress progress)
      throws TraceException, IOException {
    return read(file, format, OptionalInt.empty(), progress);
  }

  /// Reads all of a file.
  ///
  /// @param format a format's name or [#AUTO]
  /// @param unitBytes the size of a page; for formats that speak of bytes or sectors 4 KiB unless
  ///   given, for formats with extents what they are taken for
  /// @throws TraceException if the file is missing, damaged, malformed, holds no accesses or is in
  ///   no known format
  /// @throws IOException if reading fails
  /// @throws IllegalArgumentException if the size of a page is no power of two of at least 512
  ///   bytes and at most 1 GiB
  public static Trace read(Path file, String format, OptionalInt unitBytes, Progress progress)
      throws TraceException, IOException {
    unitBytes.ifPresent(TraceFiles::checkUnit);
    String fileName = Source.fileName(file);
    if (!Files.exists(file)) {
      throw new TraceException(file + ": no such file");
    }
    if (Files.isDirectory(file)) {
      throw new TraceException(file + ": a directory; expected a trace file");
    }
    // To open a pipe waits for its writer, and neither a pipe nor a device has a length.
    if (!Files.isRegularFile(file)) {
      throw new TraceException(file + ": a pipe or a device; expected a trace file");
    }
    try (Source source =
        new Source(file, traceName(fileName), unitBytes, Compression.open(file, progress))) {
      return (format.equals(AUTO) ? recognised(source) : named(format)).read(source);
    }
  }

  private static void checkUnit(int unitBytes) {
    if (unitBytes < 512 || unitBytes > 1 << 30 || Integer.bitCount(unitBytes) != 1) {
      throw new IllegalArgumentException(
          "a page of " + unitBytes + " bytes; expected a power of two from 512 to 1 GiB");
    }
  }

  private static TraceFormat named(String name) throws TraceException {
    return FORMATS.stream()
        .filter(format -> format.name().equals(name))
        .findAny()
        .orElseThrow(
            () -> new TraceException("no trace format \"" + name + "\"; expected " + names(AUTO)));
  }

  private static TraceFormat recognised(Source source) throws IOException {
    String name = lower(Compression.nameWithout(source.fileName()));
    for (TraceFormat format : FORMATS) {
      if (format.suffixes().stream().anyMatch(name::endsWith)) {
        return format;
      }
    }
    Head head = source.head();
    if (head.bytes().length == 0) {
      throw new TraceException(source.fileName() + ": empty; expected a trace");
    }
    for (TraceFormat format : FORMATS) {
      if (format.recognises(head)) {
        return format;
      }
    }
    throw new TraceException(
        source.fileName()
            + ": neither its name nor its beginning says which format it has (tried "
            + names()
            + "); give --format");
  }

  private static String names(String... more) {
    return Stream.concat(Stream.of(more), FORMATS.stream().map(TraceFormat::name))
        .collect(Collectors.joining(", "));
  }

  /// A file's name without what names its compression or its format.
  private static String traceName(String fileName) {
    String name = Compression.nameWithout(fileName);
    for (String suffix = suffix(name); suffix != null; suffix = suffix(name)) {
      name = name.substring(0, name.length() - suffix.length());
    }
    return name;
  }

  private static @Nullable String suffix(String name) {
    return Stream.concat(
            NEUTRAL_SUFFIXES.stream(),
            FORMATS.stream().flatMap(format -> format.suffixes().stream()))
        .filter(suffix -> lower(name).endsWith(suffix) && name.length() > suffix.length())
        .findFirst()
        .orElse(null);
  }

  private static String lower(String text) {
    return text.toLowerCase(Locale.ROOT);
  }
}
