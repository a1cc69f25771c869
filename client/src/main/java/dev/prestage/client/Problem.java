package dev.prestage.client;

import java.util.HashMap;
import java.util.Map;

/// The texts of a problem document (RFC 9457). Reads the members of one JSON object whose values
/// are strings, and skips numbers and words; anything else ends the reading with what was found so
/// far.
final class Problem {
  private final String json;
  private int at;

  private Problem(String json) {
    this.json = json;
  }

  static Map<String, String> texts(String json) {
    Map<String, String> texts = new HashMap<>();
    Problem problem = new Problem(json);
    if (problem.next() != '{') {
      return texts;
    }
    do {
      if (problem.next() != '"') {
        return texts;
      }
      String name = problem.string();
      if (problem.next() != ':') {
        return texts;
      }
      char first = problem.next();
      if (first == '"') {
        texts.put(name, problem.string());
      } else if (first == '{' || first == '[') {
        return texts;
      } else {
        while (problem.at < json.length() && ",}".indexOf(json.charAt(problem.at)) < 0) {
          problem.at++;
        }
      }
    } while (problem.next() == ',');
    return texts;
  }

  private char next() {
    while (at < json.length()) {
      char c = json.charAt(at++);
      if (!Character.isWhitespace(c)) {
        return c;
      }
    }
    return 0;
  }

  private String string() {
    StringBuilder text = new StringBuilder();
    while (at < json.length()) {
      char c = json.charAt(at++);
      if (c == '"') {
        break;
      }
      if (c != '\\' || at == json.length()) {
        text.append(c);
        continue;
      }
      char escape = json.charAt(at++);
      switch (escape) {
        case 'n' -> text.append('\n');
        case 't' -> text.append('\t');
        case 'r' -> text.append('\r');
        case 'b' -> text.append('\b');
        case 'f' -> text.append('\f');
        case 'u' -> {
          int end = Math.min(at + 4, json.length());
          try {
            text.append((char) Integer.parseInt(json, at, end, 16));
          } catch (NumberFormatException _) {
            text.append('?');
          }
          at = end;
        }
        default -> text.append(escape);
      }
    }
    return text.toString();
  }
}
