package dev.prestage.control.api;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Role;
import io.helidon.http.Status;
import java.util.Locale;
import java.util.regex.Pattern;

/// An error as RFC 9457 describes it.
///
/// @param type `urn:prestage:` and a word that stays the same for the same kind of error
/// @param title that kind in words
/// @param status the HTTP status
/// @param detail one line: what, where, what to do
@JsonPropertyOrder({"type", "title", "status", "detail"})
record Problem(String type, String title, int status, String detail) {
  static final String MEDIA_TYPE = "application/problem+json";

  /// A detail may hold what somebody sent: it stays one line, and says nothing to a terminal.
  Problem {
    detail =
        CONTROL
            .matcher(detail)
            .replaceAll(c -> "\\\\u{" + Integer.toHexString(c.group().codePointAt(0)) + "}");
  }

  private static final Pattern CONTROL = Pattern.compile("\\p{Cntrl}");

  static Problem of(Refusal refusal) {
    String detail = String.valueOf(refusal.getMessage());
    return switch (refusal.reason()) {
      case INVALID -> invalid(detail);
      case UNKNOWN -> of("unknown", "There is no such thing", Status.NOT_FOUND_404, detail);
      case CONFLICT -> of("conflict", "It contradicts what is there", Status.CONFLICT_409, detail);
      case UNAVAILABLE ->
          of("unavailable", "A part does not work now", Status.SERVICE_UNAVAILABLE_503, detail);
    };
  }

  static Problem invalid(String detail) {
    return of("invalid", "The request is wrong", Status.BAD_REQUEST_400, detail);
  }

  static Problem noRoute(String method, String path) {
    return of(
        "no-route",
        "There is no such route",
        Status.NOT_FOUND_404,
        "no route " + method + " " + path + "; the routes are under /v1");
  }

  static Problem tooLarge(long limitBytes) {
    return of(
        "too-large",
        "The request is too large",
        Status.REQUEST_ENTITY_TOO_LARGE_413,
        "the body is larger than " + limitBytes + " bytes; send less");
  }

  static Problem unauthorized() {
    return of(
        "unauthorized",
        "The token is missing or wrong",
        Status.UNAUTHORIZED_401,
        "send 'Authorization: Bearer TOKEN' with the token of the host's token file");
  }

  static Problem forbidden(Role role, Role needed) {
    return of(
        "forbidden",
        "The token's role does not include this",
        Status.FORBIDDEN_403,
        "this needs the role "
            + text(needed)
            + ", and the token has the role "
            + text(role)
            + "; send another token");
  }

  private static String text(Role role) {
    return role.name().toLowerCase(Locale.ROOT);
  }

  static Problem peerRefused() {
    return of(
        "peer-refused",
        "This user may not use the socket",
        Status.FORBIDDEN_403,
        "only root and the user that Prestage runs as may use its socket; run the command as one of"
            + " them");
  }

  static Problem unexpected() {
    return of(
        "internal",
        "Prestage failed",
        Status.INTERNAL_SERVER_ERROR_500,
        "the control plane met an error that it did not expect; its log has the details, guests are"
            + " not affected");
  }

  /// What the HTTP server itself found wrong.
  static Problem http(Status status, String detail) {
    return of("http", status.reasonPhrase(), status, detail);
  }

  private static Problem of(String word, String title, Status status, String detail) {
    return new Problem("urn:prestage:" + word, title, status.code(), detail);
  }

  /// Ends a request with a problem that is not a refusal of a command.
  static final class Thrown extends Exception {
    private static final long serialVersionUID = 1;

    private final transient Problem problem;

    Thrown(Problem problem) {
      super(problem.detail(), null, false, false);
      this.problem = problem;
    }

    Problem problem() {
      return problem;
    }
  }
}
