package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintStream;
import java.util.Locale;

/// What two models differ in, for people: two columns, and the units that changed most.
final class ModelDiffText {
  private ModelDiffText() {}

  static void print(JsonNode diff, PrintStream out) {
    JsonNode from = diff.path("from");
    JsonNode to = diff.path("to");
    Table table = new Table("", "version " + number(from), "version " + number(to));
    table.row("serves", serves(from), serves(to));
    for (String field : new String[] {"how", "since", "dataFrom", "dataTo", "seed", "line"}) {
      table.row(
          name(field), ModelCommand.orDash(from.path(field)), ModelCommand.orDash(to.path(field)));
    }
    for (JsonNode type : diff.path("types")) {
      String prefix = type.path("type").asText() + ": ";
      table.row(prefix + "runs", text(type, "fromRuns"), text(type, "toRuns"));
      table.row(prefix + "network", network(type, "from"), network(type, "to"));
      table.row(prefix + "units expected", text(type, "fromExpected"), text(type, "toExpected"));
    }
    table.print(out);
    for (JsonNode type : diff.path("types")) {
      printUnits(type, out);
    }
  }

  private static void printUnits(JsonNode type, PrintStream out) {
    out.printf(
        Locale.ROOT,
        "%n%s: %d expected by both, %.2f of all that either expects%n",
        text(type, "type"),
        type.path("both").asInt(),
        type.path("jaccard").asDouble());
    if (type.path("changes").isEmpty()) {
      out.println("no unit is expected with another probability");
      return;
    }
    Table table = new Table("changes most", "from", "to", "by");
    for (JsonNode change : type.path("changes")) {
      double from = change.path("from").asDouble();
      double to = change.path("to").asDouble();
      table.row(
          text(change, "resource"),
          String.format(Locale.ROOT, "%.2f", from),
          String.format(Locale.ROOT, "%.2f", to),
          String.format(Locale.ROOT, "%+.2f", to - from));
    }
    table.print(out);
  }

  private static String number(JsonNode version) {
    return text(version, "number");
  }

  private static String serves(JsonNode version) {
    return version.path("serving").asBoolean() ? "yes" : "-";
  }

  private static String name(String field) {
    return switch (field) {
      case "dataFrom" -> "data from";
      case "dataTo" -> "data to";
      case "line" -> "about";
      default -> field;
    };
  }

  private static String network(JsonNode type, String side) {
    JsonNode gain = type.path(side + "NetworkGainBits");
    String worth =
        gain.isNumber() ? String.format(Locale.ROOT, "%+.2f bits", gain.asDouble()) : "untried";
    return type.path(side + "Network").asBoolean() ? worth : gain.isNumber() ? "retired" : "-";
  }

  private static String text(JsonNode of, String field) {
    return of.path(field).asText();
  }
}
