package dev.prestage.control.api;

import io.helidon.http.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One thing that can be asked of the API, as the server takes it and as its description says it.
///
/// @param path with the names of its variable parts in braces
/// @param summary a few words
/// @param parameters that may stand in the query
/// @param body the fields of the JSON object that is sent; none for no body
/// @param bodyType what is sent that is no JSON object, or empty
/// @param status of the answer
/// @param reply the record that is the answer, or null
/// @param replyType what is answered that is no JSON, or empty
record Operation(
    Method method,
    String path,
    String summary,
    List<Parameter> parameters,
    List<Field> body,
    String bodyType,
    int status,
    @Nullable Class<?> reply,
    String replyType) {

  /// What stands in the query.
  ///
  /// @param schema a type of JSON Schema
  record Parameter(String name, String schema, String meaning) {}

  /// What stands in the body.
  ///
  /// @param schema a type of JSON Schema, or `array` of `element`
  /// @param element the fields of the objects of an array
  record Field(String name, String schema, boolean required, String meaning, List<Field> element) {}

  static Operation get(String path, String summary, Class<?> reply) {
    return of(Method.GET, path, summary).replying(200, reply);
  }

  static Operation of(Method method, String path, String summary) {
    return new Operation(method, path, summary, List.of(), List.of(), "", 204, null, "");
  }

  Operation replying(int with, Class<?> record) {
    return new Operation(
        method, path, summary, parameters, body, bodyType, with, record, replyType);
  }

  Operation replyingBytes(String mediaType) {
    return new Operation(method, path, summary, parameters, body, bodyType, 200, null, mediaType);
  }

  Operation with(Parameter... more) {
    List<Parameter> all = new ArrayList<>(parameters);
    all.addAll(Arrays.asList(more));
    return new Operation(method, path, summary, all, body, bodyType, status, reply, replyType);
  }

  Operation taking(Field... fields) {
    return new Operation(
        method, path, summary, parameters, List.of(fields), bodyType, status, reply, replyType);
  }

  Operation takingBytes(String mediaType) {
    return new Operation(
        method, path, summary, parameters, body, mediaType, status, reply, replyType);
  }

  /// The names that may stand in the query.
  String[] parameterNames() {
    return parameters.stream().map(Parameter::name).toArray(String[]::new);
  }

  /// The names that may stand in the body.
  String[] fieldNames() {
    return names(body);
  }

  /// The names that may stand in the objects of an array of the body.
  String[] fieldNames(String array) {
    return body.stream()
        .filter(field -> field.name().equals(array))
        .findFirst()
        .map(field -> names(field.element()))
        .orElseThrow();
  }

  private static String[] names(List<Field> fields) {
    return fields.stream().map(Field::name).toArray(String[]::new);
  }
}
