package dev.prestage.link.host;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/// Files and folders that are damaged: they are told by a checksum, put aside under a new name so
/// that somebody can look at them, and named for as long as they lie there.
public final class PutAside {
  private static final String WORD = ".damaged-";
  private static final Pattern ASIDE = Pattern.compile(".+\\.damaged-[0-9]+");

  private PutAside() {}

  /// Renames a damaged file or folder to `<name>.damaged-<n>`, with the first number that is free.
  ///
  /// @return its new path
  public static Path move(Path damaged) throws IOException {
    int number = 1;
    Path aside;
    do {
      aside = damaged.resolveSibling(damaged.getFileName() + WORD + number++);
    } while (Files.exists(aside));
    return Files.move(damaged, aside);
  }

  /// One line for each file or folder that was put aside in a folder and still lies there, by its
  /// name.
  public static Map<String, String> in(Path folder) {
    Map<String, String> lines = new TreeMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        String name = String.valueOf(file.getFileName());
        if (ASIDE.matcher(name).matches()) {
          lines.put(
              name,
              file
                  + " was damaged and is put aside; the log says what was done without it; look at"
                  + " it, then remove it");
        }
      }
    } catch (IOException e) {
      // A folder that cannot be listed has other parts that say so.
      return lines;
    }
    return lines;
  }

  /// The checksum of a text, CRC32C of its UTF-8 as eight hexadecimal digits.
  public static String checksum(String text) {
    return checksum(text.getBytes(StandardCharsets.UTF_8));
  }

  /// The checksum of bytes, CRC32C as eight hexadecimal digits.
  public static String checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return String.format(Locale.ROOT, "%08x", crc.getValue());
  }
}
