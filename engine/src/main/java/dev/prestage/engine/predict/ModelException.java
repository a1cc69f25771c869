package dev.prestage.engine.predict;

import java.io.IOException;

/// A model file that cannot be used, and why.
public final class ModelException extends IOException {
  private static final long serialVersionUID = 1;

  public ModelException(String message) {
    super(message);
  }
}
