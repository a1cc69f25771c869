package dev.prestage.control.webhook;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/// Signs requests as Standard Webhooks describes it (standardwebhooks.com, "Signature scheme"): the
/// HMAC-SHA256 of `id.timestamp.body`, in base64 after `v1,`.
final class Signature {
  private static final String PREFIX = "whsec_";
  private static final String ALGORITHM = "HmacSHA256";

  /// A key that is shorter is guessed too soon.
  private static final int LEAST_KEY_BYTES = 16;

  private final SecretKeySpec key;

  /// @param key 16 bytes or more
  Signature(byte[] key) {
    this.key = new SecretKeySpec(key, ALGORITHM);
  }

  /// Reads a key: `whsec_` and base64, or any other line as the bytes that it is.
  ///
  /// @throws IOException one line that names the file and not what is in it
  static Signature read(Path file) throws IOException {
    String text;
    try {
      text = Files.readString(file).lines().findFirst().orElse("").strip();
    } catch (IOException e) {
      throw new IOException(
          "the webhook's secret file "
              + file
              + " cannot be read ("
              + e.getClass().getSimpleName()
              + "); make it, one line",
          e);
    }
    byte[] key;
    try {
      key =
          text.startsWith(PREFIX)
              ? Base64.getDecoder().decode(text.substring(PREFIX.length()))
              : text.getBytes(StandardCharsets.UTF_8);
    } catch (IllegalArgumentException _) {
      // its message has a character of the secret
      throw new IOException("the webhook's secret file " + file + " has no base64 after " + PREFIX);
    }
    if (key.length < LEAST_KEY_BYTES) {
      throw new IOException(
          "the webhook's secret file "
              + file
              + " must hold a secret of at least "
              + LEAST_KEY_BYTES
              + " bytes; write a random one");
    }
    return new Signature(key);
  }

  /// The value of the header `webhook-signature`.
  String of(String id, long timestampSeconds, byte[] body) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(key);
      mac.update((id + "." + timestampSeconds + ".").getBytes(StandardCharsets.US_ASCII));
      return "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK has no " + ALGORITHM, e);
    }
  }
}
