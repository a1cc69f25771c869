package dev.prestage.control.api;

import dev.prestage.control.command.Role;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Who may use the API over TCP: whoever sends one of the tokens, with the role that it stands for.
final class TcpTokens {
  /// Where fewer bytes would be guessed too soon.
  private static final int MIN_TOKEN_CHARS = 16;

  private static final String SCHEME = "Bearer ";

  private final List<Known> known = new ArrayList<>();

  private record Known(TokenBytes token, Role role) {}

  /// Not a record's component by itself, because arrays are not compared by what they hold.
  private static final class TokenBytes {
    private final byte[] bytes;

    TokenBytes(byte[] bytes) {
      this.bytes = bytes;
    }

    boolean matches(byte[] given) {
      return MessageDigest.isEqual(bytes, given);
    }
  }

  /// Reads them.
  ///
  /// @throws IOException one line, if there is none, or one cannot be read or is too short, or two
  ///   are the same
  TcpTokens(InetSocketAddress tcp, List<ApiToken> tokens) throws IOException {
    if (tokens.isEmpty()) {
      throw new IOException(
          "the API does not listen on "
              + tcp
              + " without a token; configure a token file, or the unix socket only");
    }
    for (ApiToken token : tokens) {
      byte[] bytes = read(token.file());
      if (known.stream().anyMatch(other -> other.token.matches(bytes))) {
        throw new IOException(
            "the API's token file "
                + token.file()
                + " holds the token of another one; each role needs its own");
      }
      known.add(new Known(new TokenBytes(bytes), token.role()));
    }
  }

  private static byte[] read(Path file) throws IOException {
    String token;
    try {
      token = Files.readString(file).strip();
    } catch (IOException e) {
      throw new IOException(
          "the API's token file " + file + " cannot be read (" + e + "); make it, one line", e);
    }
    if (token.length() < MIN_TOKEN_CHARS || !token.chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new IOException(
          "the API's token file "
              + file
              + " must hold one line of at least "
              + MIN_TOKEN_CHARS
              + " letters and digits; write a random one");
    }
    return token.getBytes(StandardCharsets.US_ASCII);
  }

  /// The role of a request, or null if its token is none of these.
  ///
  /// @param authorization the header's value
  @Nullable Role role(String authorization) {
    if (!authorization.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      return null;
    }
    byte[] given =
        authorization.substring(SCHEME.length()).strip().getBytes(StandardCharsets.UTF_8);
    Role role = null;
    // All are compared, so that the time says nothing.
    for (Known each : known) {
      if (each.token.matches(given)) {
        role = each.role;
      }
    }
    return role;
  }
}
