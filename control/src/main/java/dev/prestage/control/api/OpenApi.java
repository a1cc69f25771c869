package dev.prestage.control.api;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.engine.resource.ResourceType;
import java.lang.reflect.AnnotatedType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// The API's description, OpenAPI 3.1: of [Operations] and of the records that are its answers.
final class OpenApi {
  static final String PATH = "/v1/openapi.json";

  private static final String VERSION = "3.1.0";
  private static final Pattern VARIABLE = Pattern.compile("\\{(\\w+)}");
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private final ObjectNode schemas = JSON.objectNode();

  private OpenApi() {}

  /// The document.
  static ObjectNode document() {
    return new OpenApi().make();
  }

  private ObjectNode make() {
    ObjectNode document = JSON.objectNode().put("openapi", VERSION);
    document
        .putObject("info")
        .put("title", "Prestage")
        .put("version", "1")
        .put("description", "The API of one host's Prestage. docs/api.md is its manual.");
    ObjectNode paths = document.putObject("paths");
    for (Operation operation : Operations.ALL) {
      ObjectNode path = paths.withObjectProperty(operation.path());
      path.set(operation.method().text().toLowerCase(Locale.ROOT), of(operation));
    }
    ObjectNode components = document.putObject("components");
    components.set("schemas", schemas);
    components
        .putObject("securitySchemes")
        .putObject("token")
        .put("type", "http")
        .put("scheme", "bearer")
        .put("description", "over TCP; on the unix socket the peer's user is asked for");
    document.putArray("security").addObject().putArray("token");
    return document;
  }

  private ObjectNode of(Operation operation) {
    ObjectNode node = JSON.objectNode().put("summary", operation.summary());
    var parameters = node.putArray("parameters");
    for (String variable : variables(operation.path())) {
      ObjectNode parameter = parameters.addObject();
      parameter.put("name", variable).put("in", "path").put("required", true);
      parameter.putObject("schema").put("type", variable.equals("id") ? "integer" : "string");
    }
    for (Operation.Parameter each : operation.parameters()) {
      ObjectNode parameter = parameters.addObject();
      parameter.put("name", each.name()).put("in", "query").put("description", each.meaning());
      parameter.putObject("schema").put("type", each.schema());
    }
    if (!operation.body().isEmpty()) {
      ObjectNode body = node.putObject("requestBody").put("required", true);
      body.withObject("/content/application~1json").set("schema", object(operation.body()));
    } else if (!operation.bodyType().isEmpty()) {
      ObjectNode body = node.putObject("requestBody").put("required", true);
      body.putObject("content").putObject(operation.bodyType());
    }
    ObjectNode responses = node.putObject("responses");
    responses.set(Integer.toString(operation.status()), answer(operation));
    ObjectNode problem = responses.putObject("default").put("description", "what is wrong");
    problem
        .putObject("content")
        .putObject(Problem.MEDIA_TYPE)
        .set("schema", schema(Problem.class, null));
    return node;
  }

  static List<String> variables(String path) {
    return VARIABLE.matcher(path).results().map((MatchResult found) -> found.group(1)).toList();
  }

  private ObjectNode answer(Operation operation) {
    ObjectNode answer = JSON.objectNode().put("description", operation.summary());
    if (operation.reply() != null) {
      answer
          .putObject("content")
          .putObject("application/json")
          .set("schema", schema(operation.reply(), null));
    } else if (!operation.replyType().isEmpty()) {
      answer.putObject("content").putObject(operation.replyType());
    }
    return answer;
  }

  private static ObjectNode object(List<Operation.Field> fields) {
    ObjectNode object = JSON.objectNode().put("type", "object");
    object.put("additionalProperties", false);
    ObjectNode properties = object.putObject("properties");
    var required = object.putArray("required");
    for (Operation.Field field : fields) {
      ObjectNode property = properties.putObject(field.name());
      property.put("type", field.schema()).put("description", field.meaning());
      if (!field.element().isEmpty()) {
        property.set("items", object(field.element()));
      }
      if (field.required()) {
        required.add(field.name());
      }
    }
    return object;
  }

  /// The schema of a value; that of a record is a reference to its own.
  private ObjectNode schema(Type type, @Nullable AnnotatedType annotated) {
    boolean nullable = annotated != null && annotated.isAnnotationPresent(Nullable.class);
    if (type instanceof Class<?> record && record.isRecord()) {
      ObjectNode reference = JSON.objectNode().put("$ref", "#/components/schemas/" + named(record));
      if (!nullable) {
        return reference;
      }
      ObjectNode either = JSON.objectNode();
      either.putArray("anyOf").add(reference).addObject().put("type", "null");
      return either;
    }
    ObjectNode schema = plain(type);
    if (nullable) {
      String plain = schema.path("type").asText();
      schema.putArray("type").add(plain).add("null");
    }
    return schema;
  }

  private ObjectNode plain(Type type) {
    if (type instanceof ParameterizedType generic) {
      Type[] of = generic.getActualTypeArguments();
      if (generic.getRawType() == Map.class) {
        ObjectNode map = JSON.objectNode().put("type", "object");
        map.set("additionalProperties", schema(of[1], null));
        return map;
      }
      ObjectNode list = JSON.objectNode().put("type", "array");
      list.set("items", schema(of[0], null));
      return list;
    }
    ObjectNode schema = JSON.objectNode();
    if (type == ResourceType.class) {
      var values = schema.put("type", "string").putArray("enum");
      for (ResourceType each : ResourceType.values()) {
        values.add(each.text());
      }
      return schema;
    }
    if (type instanceof Class<?> each && each.isEnum()) {
      var values = schema.put("type", "string").putArray("enum");
      for (Object value : each.getEnumConstants()) {
        values.add(((Enum<?>) value).name());
      }
      return schema;
    }
    return schema.put("type", json(type));
  }

  private static String json(Type type) {
    if (type == String.class) {
      return "string";
    }
    if (type == long.class || type == Long.class || type == int.class) {
      return "integer";
    }
    if (type == double.class || type == Double.class) {
      return "number";
    }
    if (type == boolean.class) {
      return "boolean";
    }
    throw new IllegalArgumentException("no JSON of " + type);
  }

  private String named(Class<?> record) {
    String name = record.getSimpleName();
    if (!schemas.has(name)) {
      ObjectNode schema = schemas.putObject(name).put("type", "object");
      schema.put("additionalProperties", false);
      ObjectNode properties = schema.putObject("properties");
      var required = schema.putArray("required");
      for (RecordComponent component : record.getRecordComponents()) {
        properties.set(
            component.getName(), schema(component.getGenericType(), component.getAnnotatedType()));
        required.add(component.getName());
      }
    }
    return name;
  }
}
