package dev.prestage.control.api;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import dev.prestage.engine.resource.ResourceType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// JSON of the API: records as they are, resource types by their readable names.
final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(JsonParser.Feature.AUTO_CLOSE_SOURCE)
          .addModule(
              new SimpleModule().addSerializer(ResourceType.class, new ResourceTypeSerializer()))
          .build();

  private Json() {}

  static byte[] write(Object value) {
    try {
      return MAPPER.writeValueAsBytes(value);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// The fields of a request.
  ///
  /// @param known the names that it may have
  static Fields read(byte[] body, String... known) throws Problem.Thrown {
    List<String> names = Arrays.asList(known);
    if (body.length == 0) {
      throw invalid("the body is empty; send a JSON object with " + String.join(", ", names));
    }
    JsonNode node;
    try {
      node = MAPPER.readTree(body);
    } catch (JsonProcessingException e) {
      throw invalid("the body is not JSON: " + e.getOriginalMessage() + place(e.getLocation()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (!(node instanceof ObjectNode object)) {
      throw invalid("the body is not a JSON object; send one with " + String.join(", ", names));
    }
    return only(object, names);
  }

  private static Fields only(ObjectNode object, List<String> names) throws Problem.Thrown {
    for (var field : object.properties()) {
      if (!names.contains(field.getKey())) {
        throw invalid(
            "unknown field '" + field.getKey() + "'; the fields are " + String.join(", ", names));
      }
    }
    return new Fields(object);
  }

  private static String place(@Nullable JsonLocation location) {
    return location == null
        ? ""
        : " at line " + location.getLineNr() + ", column " + location.getColumnNr();
  }

  private static Problem.Thrown invalid(String detail) {
    return new Problem.Thrown(Problem.invalid(detail.lines().findFirst().orElse("")));
  }

  /// The fields of a request, each asked for by name and kind.
  record Fields(ObjectNode object) {
    String text(String name) throws Problem.Thrown {
      String text = optionalText(name);
      if (text == null) {
        throw invalid("field '" + name + "' is missing; send a string");
      }
      return text;
    }

    @Nullable String optionalText(String name) throws Problem.Thrown {
      JsonNode value = object.get(name);
      if (value == null || value.isNull()) {
        return null;
      }
      if (!value.isTextual()) {
        throw invalid("field '" + name + "' is not a string");
      }
      return value.textValue();
    }

    /// The objects of an array, each with known fields only; none if the field is missing.
    List<Fields> objects(String name, String... known) throws Problem.Thrown {
      JsonNode value = object.get(name);
      List<Fields> all = new ArrayList<>();
      if (value == null || value.isNull()) {
        return all;
      }
      if (!value.isArray()) {
        throw invalid("field '" + name + "' is not an array of objects");
      }
      for (JsonNode element : value) {
        if (!(element instanceof ObjectNode fields)) {
          throw invalid("field '" + name + "' holds what is no object");
        }
        all.add(only(fields, Arrays.asList(known)));
      }
      return all;
    }

    boolean flag(String name) throws Problem.Thrown {
      JsonNode value = object.get(name);
      if (value == null || !value.isBoolean()) {
        throw invalid("field '" + name + "' is missing or not true or false");
      }
      return value.booleanValue();
    }
  }

  private static final class ResourceTypeSerializer extends StdSerializer<ResourceType> {
    private static final long serialVersionUID = 1;

    ResourceTypeSerializer() {
      super(ResourceType.class);
    }

    @Override
    public void serialize(ResourceType type, JsonGenerator out, SerializerProvider provider)
        throws IOException {
      out.writeString(type.text());
    }
  }
}
