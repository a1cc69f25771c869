package dev.prestage.client;

import java.nio.charset.StandardCharsets;

/// An answer with a status from 200 to 299.
///
/// @param contentType the media type, or an empty text
/// @param body the octets; not copied
@SuppressWarnings("ArrayRecordComponent")
public record ApiResponse(int status, String contentType, byte[] body) {
  /// The body as text.
  public String text() {
    return new String(body, StandardCharsets.UTF_8);
  }
}
