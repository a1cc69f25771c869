package dev.prestage.control.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.link.host.AtomicFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// This host's VMs, programs and spaces, and the numbers that stand for them. Numbers of programs
/// and spaces are never given twice, because history, models and leases outlive a VM.
public final class Registry implements Spaces {
  private static final int VERSION = 1;
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

  private final Path file;
  private final List<Name> spaces = new ArrayList<>();
  private final List<ProgramKey> programs = new ArrayList<>();
  private final Map<String, Vm> vms = new LinkedHashMap<>();
  private final Map<Integer, Vm> vmsById = new LinkedHashMap<>();
  private int nextVm = 1;
  private @Nullable Boolean predicting;

  private record ProgramKey(String tenant, String name) {}

  /// The file: a version, the names in the order of their numbers, and the VMs.
  private record Stored(
      int version,
      int nextVm,
      @Nullable Boolean predicting,
      List<StoredSpace> spaces,
      List<ProgramKey> programs,
      List<StoredVm> vms) {}

  private record StoredSpace(String tenant, String type, String name) {}

  private record StoredVm(int id, String name, int program, int space, long imageBytes) {}

  /// Reads the file, if there is one.
  ///
  /// @throws IOException with one clear line if it cannot be read or is of a newer version
  public Registry(Path file) throws IOException {
    this.file = file;
    if (Files.exists(file)) {
      load();
    }
  }

  private void load() throws IOException {
    try {
      int version = JSON.readTree(file.toFile()).path("version").asInt();
      if (version != VERSION) {
        throw new IOException(
            file + " has version " + version + "; this Prestage reads version " + VERSION);
      }
      take(JSON.readValue(file.toFile(), Stored.class));
    } catch (JsonProcessingException e) {
      throw damaged(e.getOriginalMessage(), e);
    } catch (IllegalArgumentException | IndexOutOfBoundsException | NullPointerException e) {
      throw damaged(e.getMessage() + "", e);
    }
  }

  private IOException damaged(String how, Exception e) {
    return new IOException(
        file + " is damaged (" + how + "); move it away to start without registrations", e);
  }

  private void take(Stored stored) {
    nextVm = stored.nextVm();
    predicting = stored.predicting();
    programs.addAll(stored.programs());
    for (StoredSpace space : stored.spaces()) {
      spaces.add(new Name(space.tenant(), ResourceType.of(space.type()), space.name()));
    }
    for (StoredVm vm : stored.vms()) {
      keep(new Vm(vm.id(), vm.name(), program(vm.program()), space(vm.space(), vm.imageBytes())));
    }
  }

  /// Makes the file what this registry is, whole or not at all.
  ///
  /// @throws UncheckedIOException if the folder cannot be written
  public void save() {
    var stored =
        new Stored(
            VERSION,
            nextVm,
            predicting,
            spaces.stream()
                .map(s -> new StoredSpace(s.tenant(), s.type().text(), s.name()))
                .toList(),
            programs,
            vms.values().stream()
                .map(vm ->
                    new StoredVm(
                        vm.id(),
                        vm.name(),
                        vm.program().id(),
                        vm.space().id(),
                        vm.space().sizeBytes()))
                .toList());
    try {
      AtomicFile.write(file, JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(stored));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot keep registrations in " + file + ": " + e, e);
    }
  }

  @Override
  public int number(Name name) {
    int number = spaces.indexOf(name);
    if (number < 0) {
      spaces.add(name);
      number = spaces.size() - 1;
    }
    return number;
  }

  @Override
  public Name name(int number) {
    if (number < 0 || number >= spaces.size()) {
      throw new IllegalArgumentException("no space has number " + number);
    }
    return spaces.get(number);
  }

  /// The program with this name, numbered at the first question.
  public Program program(String tenant, String name) {
    ProgramKey key = new ProgramKey(tenant, name);
    int number = programs.indexOf(key);
    if (number < 0) {
      programs.add(key);
      number = programs.size() - 1;
    }
    return program(number);
  }

  /// The program with this name if it has a number, or null.
  public @Nullable Program known(String tenant, String name) {
    int number = programs.indexOf(new ProgramKey(tenant, name));
    return number < 0 ? null : program(number);
  }

  private Program program(int number) {
    ProgramKey key = programs.get(number);
    return new Program(number, key.tenant(), key.name());
  }

  /// The space of a disk image.
  public Space space(int number, long imageBytes) {
    Name name = name(number);
    return new Space(
        number, name.type(), name.tenant(), name.name(), Space.EXTENT_BYTES, imageBytes);
  }

  /// How the switch was set by somebody, if it was.
  public Optional<Boolean> predicting() {
    return Optional.ofNullable(predicting);
  }

  /// Remembers how the switch was set.
  ///
  /// @throws UncheckedIOException if the folder cannot be written; it is then set as before
  public void keepPredicting(boolean on) {
    Boolean before = predicting;
    predicting = on;
    try {
      save();
    } catch (UncheckedIOException e) {
      predicting = before;
      throw e;
    }
  }

  /// A number for a new VM.
  public int newVm() {
    return nextVm++;
  }

  /// Adds or replaces a VM.
  public void keep(Vm vm) {
    vms.put(vm.name(), vm);
    vmsById.put(vm.id(), vm);
  }

  /// Forgets a VM.
  public void remove(Vm vm) {
    vms.remove(vm.name());
    vmsById.remove(vm.id());
  }

  /// The VM with this name, or null.
  public @Nullable Vm vm(String name) {
    return vms.get(name);
  }

  /// The VM with this number, or null.
  public @Nullable Vm vm(int id) {
    return vmsById.get(id);
  }

  /// All VMs, in the order of their registration.
  public Collection<Vm> vms() {
    return List.copyOf(vms.values());
  }
}
