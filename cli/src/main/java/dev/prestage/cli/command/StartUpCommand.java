package dev.prestage.cli.command;

import dev.prestage.cli.config.Configuration;
import dev.prestage.cli.process.ControlPlaneProcess;
import dev.prestage.cli.process.DataPlaneProcess;
import dev.prestage.client.PrestageClient;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Does once, in one JVM, what every start of `prestage` and of its planes does, so that the build
/// can keep the classes that they load in the JDK's ahead-of-time cache (JEP 514). The build runs
/// it; users never need it.
@Command(
    name = "start-up",
    mixinStandardHelpOptions = true,
    hidden = true,
    description = "Load what starts load; for the build.")
public final class StartUpCommand implements Callable<Integer> {
  private static final int EXTENT = 64 * 1024;
  private static final int EXTENTS = 16;
  private static final long PATIENCE_SECONDS = 60;
  private static final String IMAGE = "disk.raw";

  @Parameters(paramLabel = "FOLDER", description = "An empty folder to work in.")
  private Path folder = Path.of("");

  @Override
  public Integer call() throws Exception {
    Path images = Files.createDirectories(folder.resolve("images"));
    Files.write(images.resolve(IMAGE), new byte[EXTENTS * EXTENT]);
    Path file = folder.resolve("prestage.yaml");
    Files.writeString(
        file,
        "state: state\norigins:\n  - {name: nas, directory: images, faults: {latency: 1ms}}\n");
    Configuration configuration = Configuration.read(file);
    try (AutoCloseable _ = DataPlaneProcess.open(configuration);
        AutoCloseable _ = ControlPlaneProcess.open(configuration)) {
      awaitHealth(configuration.apiSocket());
      serveOneRun(configuration);
    }
    return 0;
  }

  private static void awaitHealth(Path api) throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    String last = "";
    while (System.nanoTime() < end) {
      try (PrestageClient client = PrestageClient.onSocket(api)) {
        last = client.get("/health").text();
        if (Json.MAPPER.readTree(last).path("status").asText().equals("ok")) {
          return;
        }
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
    }
    throw new IOException("the planes did not become healthy: " + last);
  }

  private void serveOneRun(Configuration configuration) throws IOException {
    Path api = configuration.apiSocket();
    command(api, "vm", "add", "vm-1", "--program", "start-up", "--image", IMAGE);
    for (int run = 0; run < 2; run++) {
      command(api, "vm", "start", "vm-1");
      try (NbdClient disk =
          NbdClient.connect(UnixDomainSocketAddress.of(configuration.nbdSocket()), "vm-1")) {
        for (int extent = 0; extent < EXTENTS; extent++) {
          disk.read((long) extent * EXTENT, EXTENT);
        }
      }
      command(api, "vm", "stop", "vm-1");
    }
    for (String words :
        List.of(
            "health", "vm list", "forecast vm-1", "allocate vm-1", "leases", "tiers", "metrics")) {
      command(api, words.split(" ", -1));
    }
  }

  /// Runs a command of ours as its users do, without its output.
  private void command(Path api, String... words) throws IOException {
    PrintStream out = System.out;
    try (PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8)) {
      System.setOut(nowhere);
      List<String> all = new ArrayList<>(List.of(words));
      all.addAll(List.of("--api", api.toString()));
      String[] line = all.toArray(String[]::new);
      int code = PrestageCommand.forWords(line).execute(line);
      if (code != 0) {
        throw new IOException("prestage " + String.join(" ", words) + " ended with code " + code);
      }
    } finally {
      System.setOut(out);
    }
  }
}
