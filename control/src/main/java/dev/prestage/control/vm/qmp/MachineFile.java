package dev.prestage.control.vm.qmp;

import dev.prestage.control.vm.Attachment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What a file `NAME.machine` says of a machine: lines of `program=…` and `image=…`.
///
/// @param attachment null if the file is not there or cannot be used
/// @param trouble one line about why it cannot be used, or empty
record MachineFile(
    boolean present,
    @Nullable FileTime time,
    long size,
    @Nullable Attachment attachment,
    String trouble) {
  static final MachineFile NONE = new MachineFile(false, null, 0, null, "");

  private static final int LARGEST = 4096;

  /// Reads the file, if it is another one than before.
  static MachineFile read(String name, Path file, MachineFile before) {
    try {
      BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
      FileTime time = now.lastModifiedTime();
      if (time.equals(before.time) && now.size() == before.size && before.present) {
        return before;
      }
      if (!now.isRegularFile() || now.size() > LARGEST) {
        return wrong(time, now.size(), file, "is no file of a few lines");
      }
      return parse(name, file, time, now.size(), Files.readString(file));
    } catch (NoSuchFileException _) {
      return NONE;
    } catch (IOException e) {
      // What it said is still known, and a definition is not gone because it cannot be read.
      return new MachineFile(
          true, null, 0, before.attachment, file.getFileName() + " cannot be read: " + e);
    }
  }

  private static MachineFile parse(
      String name, Path file, FileTime time, long size, String content) {
    Map<String, String> values = new LinkedHashMap<>();
    for (String line : content.lines().map(String::strip).toList()) {
      int equals = line.indexOf('=');
      if (line.isEmpty() || line.startsWith("#")) {
        continue;
      }
      if (equals < 1) {
        return wrong(time, size, file, "has a line without '=': program=… and image=… are known");
      }
      String key = line.substring(0, equals).strip();
      if (!key.equals("program") && !key.equals("image")) {
        return wrong(time, size, file, "has a line '" + key + "=…'; program and image are known");
      }
      values.put(key, line.substring(equals + 1).strip());
    }
    String program = values.getOrDefault("program", "");
    return program.isEmpty()
        ? wrong(time, size, file, "names no program: it needs a line program=…")
        : new MachineFile(
            true,
            time,
            size,
            new Attachment(name, program, values.getOrDefault("image", ""), ""),
            "");
  }

  private static MachineFile wrong(FileTime time, long size, Path file, String what) {
    return new MachineFile(true, time, size, null, file.getFileName() + " " + what);
  }
}
