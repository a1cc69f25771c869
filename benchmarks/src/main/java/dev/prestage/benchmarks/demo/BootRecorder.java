package dev.prestage.benchmarks.demo;

import dev.prestage.dataplane.DataPlane;
import dev.prestage.dataplane.Options;
import dev.prestage.dataplane.Options.OriginOptions;
import dev.prestage.dataplane.Options.TierOptions;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.link.Frame;
import dev.prestage.link.Frame.AccessRecord;
import dev.prestage.link.FrameCodec;
import dev.prestage.link.Link;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// Serves one image to one VM through a real data plane and writes down every read that was
/// answered: what the demo's recordings were made with.
public final class BootRecorder implements AutoCloseable {
  private static final long TIER_BYTES = 4L << 30;

  private final DataPlane plane;
  private final Link link;
  private final PrintWriter out;

  private BootRecorder(DataPlane plane, Link link, PrintWriter out) {
    this.plane = plane;
    this.link = link;
    this.out = out;
  }

  /// Begins to serve.
  ///
  /// @param image the raw image; it is only read
  /// @param socket where a guest reads it, without an export name
  /// @param log gets CSV: `start_epoch_us,end_epoch_us,offset,length`
  public static BootRecorder start(Path image, Path socket, Path log) throws IOException {
    Path absolute = image.toAbsolutePath();
    Path folder = absolute.getParent();
    if (folder == null || !Files.isRegularFile(absolute)) {
      throw new IOException(image + " is no image");
    }
    Path work = Files.createTempDirectory("prestage-record");
    Path linkSocket = work.resolve("link.sock");
    Path nbdSocket = work.resolve("nbd.sock");
    DataPlane plane =
        DataPlane.start(
            Options.of(
                work,
                linkSocket,
                nbdSocket,
                List.of(new OriginOptions("local", folder, Faults.NONE)),
                new TierOptions("record", work.resolve("tier"), TIER_BYTES, "ssd")),
            new HostClock());
    Link link =
        Link.connect(
            linkSocket, new Frame.Hello(FrameCodec.VERSION, ProcessHandle.current().pid(), 1));
    link.send(
        new Frame.Bind(
            1,
            1,
            "guest",
            1,
            ResourceType.FILE_BLOCK,
            "default",
            absolute.getFileName().toString()));
    awaitAttached(link);
    PrintWriter out = new PrintWriter(Files.newBufferedWriter(log, StandardCharsets.UTF_8));
    out.println("start_epoch_us,end_epoch_us,offset,length");
    // Only now the socket is where the guest looks for it: a guest that came earlier would find no
    // export.
    Files.createSymbolicLink(socket, nbdSocket);
    return new BootRecorder(plane, link, out);
  }

  private static void awaitAttached(Link link) throws IOException {
    while (true) {
      if (link.receive() instanceof Frame.Answer answer) {
        if (!answer.error().isEmpty()) {
          throw new IOException(answer.error());
        }
        return;
      }
    }
  }

  /// Writes until the link ends.
  public void run() throws IOException {
    while (true) {
      if (link.receive() instanceof Frame.Accesses accesses) {
        accesses.records().forEach(this::write);
        out.flush();
      }
    }
  }

  private void write(AccessRecord read) {
    if (read.latencyNanos() != Access.PENDING) {
      out.printf(
          "%d,%d,%d,%d%n",
          read.timeNanos() / 1000,
          (read.timeNanos() + read.latencyNanos()) / 1000,
          read.offset(),
          read.amount());
    }
  }

  @Override
  public void close() throws IOException {
    plane.close();
    link.close();
    out.close();
  }
}
