package dev.prestage.trainer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/// A graph of operators in the format of ONNX (`onnx.proto`, whose field numbers stand here). The
/// caller names values; an operator's output is the input of those that name it.
final class OnnxGraph {
  private static final int FORMAT_VERSION = 8;
  private static final int OPERATORS_VERSION = 17;
  private static final int FLOAT = 1;
  private static final int INT64 = 7;

  private static final class ModelField {
    private static final int FORMAT = 1;
    private static final int GRAPH = 7;
    private static final int OPERATORS = 8;
    private static final int OPERATORS_VERSION = 2;
  }

  private static final class GraphField {
    private static final int NODE = 1;
    private static final int NAME = 2;
    private static final int CONSTANT = 5;
    private static final int INPUT = 11;
    private static final int OUTPUT = 12;
  }

  private static final class NodeField {
    private static final int INPUT = 1;
    private static final int OUTPUT = 2;
    private static final int OPERATOR = 4;
    private static final int ATTRIBUTE = 5;
    private static final int ATTRIBUTE_NAME = 1;
    private static final int ATTRIBUTE_NUMBER = 3;
    private static final int ATTRIBUTE_TYPE = 20;
    private static final int ATTRIBUTE_IS_NUMBER = 2;
  }

  private static final class TensorField {
    private static final int DIMENSION = 1;
    private static final int ELEMENT = 2;
    private static final int NAME = 8;
    private static final int BYTES = 9;
  }

  private static final class ValueField {
    private static final int NAME = 1;
    private static final int TYPE = 2;
    private static final int TENSOR = 1;
    private static final int ELEMENT = 1;
    private static final int SHAPE = 2;
    private static final int DIMENSION = 1;
    private static final int SIZE = 1;
  }

  private final Protobuf graph = new Protobuf().text(GraphField.NAME, "network");

  /// What an operator does differently from its default.
  record Attribute(String name, long value) {}

  /// Adds an operator.
  ///
  /// @param inputs names; an empty one stands for an input that is left out
  OnnxGraph operator(
      String kind, List<String> inputs, List<String> outputs, Attribute... attributes) {
    Protobuf node = new Protobuf();
    inputs.forEach(input -> node.text(NodeField.INPUT, input));
    outputs.forEach(output -> node.text(NodeField.OUTPUT, output));
    node.text(NodeField.OPERATOR, kind);
    for (Attribute attribute : attributes) {
      node.message(
          NodeField.ATTRIBUTE,
          new Protobuf()
              .text(NodeField.ATTRIBUTE_NAME, attribute.name())
              .number(NodeField.ATTRIBUTE_NUMBER, attribute.value())
              .number(NodeField.ATTRIBUTE_TYPE, NodeField.ATTRIBUTE_IS_NUMBER));
    }
    graph.message(GraphField.NODE, node);
    return this;
  }

  /// Adds weights.
  OnnxGraph constant(String name, float[] values, long... shape) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Float.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return constant(name, FLOAT, bytes.array(), shape);
  }

  /// Adds numbers.
  OnnxGraph constant(String name, long... values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Long.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asLongBuffer().put(values);
    return constant(name, INT64, bytes.array(), values.length);
  }

  private OnnxGraph constant(String name, int element, byte[] bytes, long... shape) {
    Protobuf tensor = new Protobuf();
    for (long size : shape) {
      tensor.number(TensorField.DIMENSION, size);
    }
    tensor.number(TensorField.ELEMENT, element).text(TensorField.NAME, name);
    graph.message(GraphField.CONSTANT, tensor.octets(TensorField.BYTES, bytes));
    return this;
  }

  OnnxGraph numberInput(String name, long... shape) {
    graph.message(GraphField.INPUT, value(name, INT64, shape));
    return this;
  }

  OnnxGraph input(String name, long... shape) {
    graph.message(GraphField.INPUT, value(name, FLOAT, shape));
    return this;
  }

  OnnxGraph output(String name, long... shape) {
    graph.message(GraphField.OUTPUT, value(name, FLOAT, shape));
    return this;
  }

  OnnxGraph numberOutput(String name, long... shape) {
    graph.message(GraphField.OUTPUT, value(name, INT64, shape));
    return this;
  }

  private static Protobuf value(String name, int element, long... shape) {
    Protobuf dimensions = new Protobuf();
    for (long size : shape) {
      dimensions.message(ValueField.DIMENSION, new Protobuf().number(ValueField.SIZE, size));
    }
    Protobuf tensor =
        new Protobuf().number(ValueField.ELEMENT, element).message(ValueField.SHAPE, dimensions);
    return new Protobuf()
        .text(ValueField.NAME, name)
        .message(ValueField.TYPE, new Protobuf().message(ValueField.TENSOR, tensor));
  }

  /// The graph as the bytes of a model.
  byte[] model() {
    return new Protobuf()
        .number(ModelField.FORMAT, FORMAT_VERSION)
        .message(ModelField.GRAPH, graph)
        .message(
            ModelField.OPERATORS,
            new Protobuf().number(ModelField.OPERATORS_VERSION, OPERATORS_VERSION))
        .toByteArray();
  }
}
