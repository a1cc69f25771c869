package dev.prestage.control.vm.vsphere;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.prestage.control.vm.vsphere.VimService.Ref;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.w3c.dom.Element;

/// A process of govmomi's simulator of a vCenter, and a manager's session at it. Its main program,
/// `src/test/vcsim/vcsim.go`, is compiled when it was changed or the build's folder is new.
final class Vcsim implements AutoCloseable {
  static final String USER = "prestage@vsphere.local";
  static final String PASSWORD = "cor<rect & horse";

  private static final Path MODULE = Path.of(System.getProperty("prestage.home"), "control");
  private static final Path LIBRARY = Path.of("/usr/share/gocode");
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final String[] arguments;
  private Process process;
  private String address;
  private VimService manager;

  private Vcsim(String address, String... arguments) throws Exception {
    this.arguments = arguments;
    this.address = address;
    begin();
  }

  static Vcsim start(String... arguments) throws Exception {
    return new Vcsim("127.0.0.1:0", arguments);
  }

  private static synchronized Path binary() throws Exception {
    Path source = MODULE.resolve("src/test/vcsim/vcsim.go");
    Path folder = MODULE.resolve("target/vcsim");
    Path copy = folder.resolve("src/vcsim/vcsim.go");
    Path binary = folder.resolve("vcsim");
    if (Files.exists(binary) && Files.mismatch(source, copy) == -1) {
      return binary;
    }
    assumeThat(Files.isDirectory(LIBRARY.resolve("src/github.com/vmware/govmomi/simulator")))
        .as("the simulator is not installed: golang-github-vmware-govmomi-dev")
        .isTrue();
    assumeThat(
            Stream.of(System.getenv("PATH").split(File.pathSeparator, -1))
                .anyMatch(place -> Files.isExecutable(Path.of(place, "go"))))
        .as("go is not installed: golang-go")
        .isTrue();
    Files.createDirectories(copy.getParent());
    Files.deleteIfExists(binary);
    Files.copy(source, copy, StandardCopyOption.REPLACE_EXISTING);
    ProcessBuilder go = new ProcessBuilder("go", "build", "-o", binary.toString(), "vcsim");
    go.environment().put("GO111MODULE", "off");
    go.environment().put("GOPATH", folder.toAbsolutePath() + ":" + LIBRARY);
    go.environment().put("GOCACHE", folder.resolve("cache").toAbsolutePath().toString());
    go.redirectErrorStream(true).redirectOutput(folder.resolve("log").toFile());
    assertThat(go.start().waitFor()).as("see %s", folder.resolve("log")).isZero();
    return binary;
  }

  private void begin() throws Exception {
    List<String> command = new ArrayList<>(List.of(binary().toString(), "-listen", address));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("VCSIM_PASSWORD", PASSWORD);
    builder.redirectError(ProcessBuilder.Redirect.DISCARD);
    process = builder.start();
    BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
    String line = out.readLine();
    assertThat(line).as("the simulator did not start").isNotNull();
    address = line;
    manager = new VimService(url(), CertificatePin.context(fingerprint()));
    manager.call(
        "Login",
        new Ref("SessionManager", "SessionManager"),
        "<userName>%s</userName><password>%s</password>".formatted(USER, Xml.escaped(PASSWORD)),
        PATIENCE);
  }

  URI url() {
    return URI.create("https://" + address + "/sdk");
  }

  /// The certificate's, by what a user does: it is in the message of a connection without it.
  String fingerprint() throws Exception {
    try (VimService unpinned = new VimService(url(), CertificatePin.context(""))) {
      unpinned.call(
          "RetrieveServiceContent", new Ref("ServiceInstance", "ServiceInstance"), "", PATIENCE);
      return "trusted";
    } catch (IOException e) {
      return (e.getMessage() + "").replaceAll(".*set vsphere.fingerprint to ", "");
    }
  }

  void kill() {
    manager.close();
    process.destroyForcibly().onExit().orTimeout(30, TimeUnit.SECONDS).join();
  }

  /// At the address that it had.
  void startAgain() throws Exception {
    begin();
  }

  // ---- what a manager does

  List<Ref> machines() throws IOException {
    Ref folder = new Ref("Folder", "group-d1");
    Element view =
        manager.call(
            "CreateContainerView",
            new Ref("ViewManager", "ViewManager"),
            folder.as("container") + "<type>VirtualMachine</type><recursive>true</recursive>",
            PATIENCE);
    Element found = property(Ref.of(Xml.child(view, "returnval")), "view");
    List<Ref> machines = new ArrayList<>();
    for (Element machine : Xml.children(found)) {
      machines.add(Ref.of(machine));
    }
    return machines;
  }

  Ref machine(String name) throws IOException {
    for (Ref machine : machines()) {
      if (property(machine, "name").getTextContent().equals(name)) {
        return machine;
      }
    }
    throw new AssertionError("no machine " + name);
  }

  Element property(Ref of, String path) throws IOException {
    Element answer =
        manager.call(
            "RetrievePropertiesEx",
            new Ref("PropertyCollector", "propertyCollector"),
            "<specSet><propSet><type>%s</type><pathSet>%s</pathSet></propSet><objectSet>%s</objectSet></specSet><options/>"
                .formatted(of.type(), path, of.as("obj")),
            PATIENCE);
    Element value = Xml.child(answer, "returnval", "objects", "propSet", "val");
    assertThat(value).as("%s of %s", path, of).isNotNull();
    return value;
  }

  void tell(Ref machine, String method, String arguments) throws IOException {
    manager.call(method, machine, arguments, PATIENCE);
  }

  void power(Ref machine, boolean on) throws IOException {
    tell(machine, on ? "PowerOnVM_Task" : "PowerOffVM_Task", "");
  }

  void endSession(String key) throws IOException {
    manager.call(
        "TerminateSession",
        new Ref("SessionManager", "SessionManager"),
        "<sessionId>" + key + "</sessionId>",
        PATIENCE);
  }

  @Override
  public void close() {
    kill();
  }
}
