package dev.prestage.dataplane.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.prestage.dataplane.Tools;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// A process that plays Firecracker with its guest: `vmm.c`, which says what it can do. It faults
/// in a process of its own, because one that waits for its own fault hangs.
public final class Vmm implements AutoCloseable {
  private static final int PAGE = 4096;

  private final Process process;
  private final Writer in;
  private final BufferedReader out;
  private final List<String> regions = new ArrayList<>();

  private Vmm(Process process) {
    this.process = process;
    this.in = process.outputWriter(StandardCharsets.US_ASCII);
    this.out = process.inputReader(StandardCharsets.US_ASCII);
  }

  /// Compiles the program into a folder.
  public static Path compile(Path folder) throws IOException, InterruptedException {
    Tools.need("gcc", "gcc");
    Path source = folder.resolve("vmm.c");
    Path program = folder.resolve("vmm");
    try (InputStream c = Objects.requireNonNull(Vmm.class.getResourceAsStream("vmm.c"))) {
      Files.copy(c, source, StandardCopyOption.REPLACE_EXISTING);
    }
    Tools.succeed(
        "gcc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", program.toString(), source.toString());
    return program;
  }

  /// Starts a VM manager for a snapshot.
  public static Vmm start(Path program, Path snapshot) throws IOException {
    return new Vmm(
        new ProcessBuilder(program.toString(), snapshot.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start());
  }

  /// One that has all of the snapshot as its memory, in one region, or skips the test where that is
  /// not permitted.
  public static Vmm whole(Path program, Path snapshot) throws IOException {
    Vmm vmm = start(program, snapshot);
    vmm.map(0, Files.size(snapshot));
    vmm.makeFaults();
    return vmm;
  }

  /// Says one thing and returns the answer: `ok` or `no`, and a number.
  public String say(String command) throws IOException {
    tell(command);
    return hear();
  }

  /// The answer to what was told before.
  public String hear() throws IOException {
    String answer = out.readLine();
    return answer == null ? "gone" : answer;
  }

  /// Says one thing, to which no answer may come.
  public void tell(String command) throws IOException {
    in.write(command + "\n");
    in.flush();
  }

  /// Says one thing that must succeed, and returns the number of the answer.
  public long order(String command) throws IOException {
    String answer = say(command);
    assertThat(answer).as(command).startsWith("ok ");
    return Long.parseLong(answer.substring(3));
  }

  /// Maps memory for a part of the snapshot.
  public void map(long offset, long sizeBytes) throws IOException {
    regions.add(region(order("map " + offset + " " + sizeBytes), sizeBytes, offset));
  }

  /// A region as Firecracker describes it.
  public static String region(long base, long sizeBytes, long offset) {
    return ("{\"base_host_virt_addr\":%d,\"size\":%d,\"offset\":%d,\"page_size\":%d,"
            + "\"page_size_kib\":%d}")
        .formatted(base, sizeBytes, offset, PAGE, PAGE);
  }

  /// What Firecracker would say of the memory that was mapped.
  public String regions() {
    return "[" + String.join(",", regions) + "]";
  }

  /// Makes the userfaultfd, or skips the test where that is not permitted.
  public void makeFaults() throws IOException {
    String answer = say("uffd");
    if (!answer.startsWith("ok")) {
      close();
    }
    assumeTrue(
        answer.startsWith("ok"),
        "this user may not make a userfaultfd that the kernel's own touches reach: " + answer);
  }

  /// Hands the memory over.
  public Vmm restore(String socket) throws IOException {
    order("connect " + socket);
    order("send " + regions());
    return this;
  }

  /// The process.
  public long pid() {
    return process.pid();
  }

  /// Waits until it has ended.
  public void awaitEnd() throws InterruptedException {
    assertThat(process.waitFor(20, TimeUnit.SECONDS)).as("the VM manager ends").isTrue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
