package dev.prestage.benchmarks.api;

import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.Host;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;

/// A real host with many VMs, of which a tenth run a program that has been learnt.
final class ApiSetting implements AutoCloseable {
  static final int VMS = 1000;

  private static final int EXTENT_BYTES = 64 << 10;
  private static final int IMAGE_EXTENTS = 1024;
  private static final int LEARNT_EXTENTS = 256;
  private static final int PROGRAMS = 10;

  /// As a VM manager that registers what it finds when it starts.
  private static final int REGISTERING_CONNECTIONS = 8;

  final Host host;
  private final Path folder;

  private ApiSetting(Path folder, Host host) {
    this.folder = folder;
    this.host = host;
  }

  static ApiSetting open(List<String> prestage) throws IOException, InterruptedException {
    Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
    Path folder = Files.createTempDirectory("prestage-api");
    Path images = Files.createDirectories(folder.resolve("origin"));
    for (int program = 0; program < PROGRAMS; program++) {
      try (FileChannel image =
          FileChannel.open(
              images.resolve(image(program)),
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.WRITE)) {
        int _ = image.write(ByteBuffer.allocate(1), (long) IMAGE_EXTENTS * EXTENT_BYTES - 1);
      }
    }
    return new ApiSetting(
        folder,
        Host.start(
            prestage,
            folder.resolve("host"),
            "origins: [{name: nas, directory: " + images + "}]\ntier: {capacity: 1GiB}\n"));
  }

  static String vm(int number) {
    return "vm-" + number;
  }

  private static String image(int program) {
    return "image-" + program + ".raw";
  }

  /// A JSON object of texts.
  static String json(String... namesAndValues) {
    StringBuilder json = new StringBuilder("{");
    for (int i = 0; i < namesAndValues.length; i += 2) {
      json.append(i == 0 ? "" : ",")
          .append('"')
          .append(namesAndValues[i])
          .append("\":\"")
          .append(namesAndValues[i + 1])
          .append('"');
    }
    return json.append('}').toString();
  }

  Path socket() {
    return folder.resolve("host").resolve("sockets").resolve("api.sock");
  }

  /// Registers all VMs.
  ///
  /// @return how many seconds that took
  double register() throws IOException, InterruptedException {
    long began = System.nanoTime();
    AtomicInteger next = new AtomicInteger();
    try (ExecutorService threads = Executors.newFixedThreadPool(REGISTERING_CONNECTIONS)) {
      List<Future<?>> workers = new ArrayList<>();
      for (int i = 0; i < REGISTERING_CONNECTIONS; i++) {
        workers.add(
            threads.submit(() -> {
              try (KeptConnection connection = new KeptConnection(socket())) {
                for (int vm; (vm = next.getAndIncrement()) < VMS; ) {
                  register(connection, vm);
                }
              }
              return null;
            }));
      }
      for (Future<?> worker : workers) {
        worker.get();
      }
    } catch (ExecutionException e) {
      throw new IOException("a VM could not be registered: " + e.getCause(), e);
    }
    return (System.nanoTime() - began) / 1e9;
  }

  private static void register(KeptConnection connection, int vm) throws IOException {
    int program = vm % PROGRAMS;
    String body = json("vm", vm(vm), "program", "program-" + program, "image", image(program));
    KeptConnection.Answer answer = connection.ask("POST", "/v1/vms", body);
    if (answer.status() != 200) {
      throw new IOException(vm(vm) + " is refused: " + answer.text());
    }
  }

  /// The first program runs once: it reads a quarter of its image, and is learnt.
  void learn() throws IOException {
    host.startProgram(vm(0));
    Semaphore answers = new Semaphore(0);
    try (NbdClient disk = disk(0)) {
      for (int extent = 0; extent < LEARNT_EXTENTS; extent++) {
        disk.read((long) extent * EXTENT_BYTES, EXTENT_BYTES, (_, _) -> answers.release());
        answers.acquireUninterruptibly();
      }
      Host.Numbers _ = host.numbers(vm(0), LEARNT_EXTENTS);
    }
    host.stopProgram(vm(0));
  }

  private NbdClient disk(int vm) throws IOException {
    return NbdClient.connect(
        UnixDomainSocketAddress.of(host.nbdSocket(folder.resolve("host"))), vm(vm));
  }

  /// A guest that reads something all the time, so that there is history to ask for.
  Guest readOn(int readsPerSecond) throws IOException {
    return new Guest(disk(VMS - 1), readsPerSecond);
  }

  /// Reads one extent after the other at a steady rate until it is closed.
  static final class Guest implements AutoCloseable {
    private final NbdClient disk;
    private volatile boolean closed;

    private Guest(NbdClient disk, int readsPerSecond) {
      this.disk = disk;
      Thread.ofPlatform().daemon().name("guest").start(() -> read(readsPerSecond));
    }

    private void read(int readsPerSecond) {
      long began = System.nanoTime();
      try {
        for (long read = 0; !closed; read++) {
          OpenLoop.awaitTime(began + read * 1_000_000_000L / readsPerSecond);
          disk.read(read % IMAGE_EXTENTS * EXTENT_BYTES, EXTENT_BYTES, (_, _) -> {});
        }
      } catch (IOException _) {
        // its load is missing in the history that is asked for; the gate's checks do not need it
      }
    }

    @Override
    public void close() throws IOException {
      closed = true;
      disk.close();
    }
  }

  @Override
  public void close() throws IOException {
    host.close();
    Folders.delete(folder);
  }
}
