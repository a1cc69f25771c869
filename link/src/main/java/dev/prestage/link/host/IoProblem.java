package dev.prestage.link.host;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NotDirectoryException;

/// Words for I/O errors: the JDK's own messages are sometimes nothing but a path.
public final class IoProblem {
  private IoProblem() {}

  /// One line that says what went wrong.
  public static String explain(Throwable e) {
    String message = e.getMessage();
    return switch (e) {
      case AccessDeniedException denied -> "permission denied: " + denied.getFile();
      case NotDirectoryException not -> not.getFile() + " is not a directory";
      case FileAlreadyExistsException exists -> exists.getFile() + " exists already";
      case FileSystemException f when f.getReason() == null && f.getFile() != null ->
          message == null || message.indexOf(' ') < 0 ? "no such file: " + f.getFile() : message;
      default -> message == null ? e.getClass().getSimpleName() : message;
    };
  }

  /// The same error with what was tried in front.
  public static IOException in(String what, IOException e) {
    return new IOException(what + ": " + explain(e), e);
  }
}
