package dev.prestage.client;

import java.io.IOException;

/// The API answered, and the answer is an error. The message is the API's `detail`: one line with
/// what is wrong and what to do.
public final class ApiException extends IOException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String type;
  private final String title;

  ApiException(int status, String type, String title, String detail) {
    super(detail);
    this.status = status;
    this.type = type;
    this.title = title;
  }

  /// The HTTP status, such as 404.
  public int status() {
    return status;
  }

  /// What stays the same for the same kind of error, such as `urn:prestage:unknown`; `about:blank`
  /// when the answer did not come from Prestage.
  public String type() {
    return type;
  }

  /// That kind in words.
  public String title() {
    return title;
  }
}
