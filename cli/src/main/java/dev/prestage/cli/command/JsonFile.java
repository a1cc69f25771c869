package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.List;

/// Where a long task writes its result as JSON: a [WholeFile].
final class JsonFile {
  private final WholeFile file;

  private JsonFile(WholeFile file) {
    this.file = file;
  }

  /// Looks whether a file can be written.
  ///
  /// @param inputs files that must not be written over
  /// @throws FileSystemException saying why not
  static JsonFile at(Path path, List<Path> inputs) throws IOException {
    return new JsonFile(WholeFile.at(path, inputs));
  }

  /// Writes all of it.
  void write(JsonNode json) throws IOException {
    byte[] text = (json.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
    file.write(out -> out.write(text));
  }
}
