package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.ObjectMapper;

/// The reader and writer of the API's JSON, made when a command first needs it: it takes a fifth of
/// a second to make.
final class Json {
  static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}
}
