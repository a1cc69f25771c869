package dev.prestage.dataplane;

import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import java.io.IOException;
import java.nio.file.Path;

/// A control plane that asks and never listens.
final class DeafControlPlane implements AutoCloseable {
  private final Link link;
  private long requests;

  DeafControlPlane(Path socket) throws IOException {
    link = Link.connect(socket, new Frame.Hello(FrameCodec.VERSION, 2, 2));
  }

  /// Asks for something whose answer fills the socket sooner or later.
  void ask() {
    try {
      for (int i = 0; i < 100; i++) {
        link.send(
            new Frame.Bind(
                ++requests,
                1,
                "vm1",
                5,
                ResourceType.FILE_BLOCK,
                "default",
                "no such image".repeat(10)));
      }
    } catch (IOException _) {
      // It was cut off.
    }
  }

  @Override
  public void close() throws IOException {
    link.close();
  }
}
