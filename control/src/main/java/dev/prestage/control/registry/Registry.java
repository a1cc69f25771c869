package dev.prestage.control.registry;

import static java.lang.System.Logger.Level.WARNING;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.AtomicFile;
import dev.prestage.link.host.PutAside;
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
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// This host's VMs, programs and spaces, and the numbers that stand for them. Numbers of programs
/// and spaces are never given twice, because history, models and leases outlive a VM.
///
/// All is kept twice, in `registrations.json` and in `registrations.json.copy`, each with a
/// checksum. The copy is written first, so it never is the older one: where the file is damaged or
/// missing, the copy says everything that was confirmed. Where both are, this registry begins anew
/// and knows that it does not know all ([#isComplete]): nobody may conclude from it that a VM is
/// gone, and its numbers begin where none was given before.
public final class Registry implements Spaces {
  private static final System.Logger LOG = System.getLogger(Registry.class.getName());
  private static final int VERSION = 2;
  private static final String CHECKSUM = "checksum";
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  /// A registry that begins anew takes another 65,536 numbers for its spaces, of 2^23: blocks by
  /// the minute, so that two losses in a row take two blocks.
  private static final int BLOCK_BITS = 16;

  private static final int BLOCKS = (1 << (23 - BLOCK_BITS)) - 1;

  private final Path file;
  private final Path copy;
  private final List<Name> spaces = new ArrayList<>();
  private final List<ProgramKey> programs = new ArrayList<>();
  private final Map<String, Vm> vms = new LinkedHashMap<>();
  private final Map<Integer, Vm> vmsById = new LinkedHashMap<>();
  private long questions;
  private int nextVm = 1;
  private int firstSpace;
  private boolean complete = true;
  private @Nullable Boolean predicting;
  private String trouble = "";

  private record ProgramKey(String tenant, String name) {}

  /// The file: a version, the checksum of the rest, the names in the order of their numbers, and
  /// the VMs. Version 1 had neither checksum, `firstSpace` nor `incomplete`.
  private record Stored(
      int version,
      @Nullable String checksum,
      int nextVm,
      int firstSpace,
      boolean incomplete,
      @Nullable Boolean predicting,
      List<StoredSpace> spaces,
      List<ProgramKey> programs,
      List<StoredVm> vms) {}

  private record StoredSpace(String tenant, String type, String name) {}

  private record StoredVm(int id, String name, int program, int space, long imageBytes) {}

  /// What became of reading one of the two files.
  private enum Read {
    WHOLE,
    MISSING,
    DAMAGED
  }

  /// Reads what was kept. A damaged file is put aside and [#trouble] says so.
  ///
  /// @param file `registrations.json`
  /// @param othersKnow whether somebody else remembers VMs of this host, so that no file means that
  ///   it was lost
  /// @throws IOException with one clear line if it is of a newer version
  public Registry(Path file, boolean othersKnow, Clock clock) throws IOException {
    this.file = file;
    this.copy = file.resolveSibling(file.getFileName() + ".copy");
    Read first = read(file);
    Read second = first == Read.WHOLE ? Read.WHOLE : read(copy);
    boolean nothing = first == Read.MISSING && second == Read.MISSING;
    if (second != Read.WHOLE && !(nothing && !othersKnow)) {
      long seconds = TimeUnit.NANOSECONDS.toSeconds(clock.nanos());
      complete = false;
      // More than one VM a second, for years, is more than a host registers.
      nextVm = (int) (seconds & 0x3fff_ffff);
      firstSpace = (int) (1 + seconds / 60 % BLOCKS) << BLOCK_BITS;
      trouble(
          "registrations in "
              + file
              + " are lost; VMs that are served are served on; register them again under their names"
              + " to have them predicted");
    } else if (first != Read.WHOLE && !nothing) {
      trouble("registrations come from " + copy + ", because " + file + " is damaged or missing");
    }
    keepBoth();
  }

  private Read read(Path from) throws IOException {
    if (!Files.exists(from)) {
      return Read.MISSING;
    }
    try {
      load(Files.readAllBytes(from), from);
      return Read.WHOLE;
    } catch (NewerException e) {
      throw e;
    } catch (JsonProcessingException e) {
      putAside(from, e.getOriginalMessage());
    } catch (IOException
        | IllegalArgumentException
        | IndexOutOfBoundsException
        | NullPointerException e) {
      putAside(from, e.getMessage() + "");
    }
    spaces.clear();
    programs.clear();
    vms.clear();
    vmsById.clear();
    nextVm = 1;
    firstSpace = 0;
    complete = true;
    predicting = null;
    return Read.DAMAGED;
  }

  private void load(byte[] bytes, Path from) throws IOException {
    JsonNode tree = JSON.readTree(bytes);
    int version = tree.path("version").asInt();
    String checksum = tree.path(CHECKSUM).asText();
    boolean whole = tree instanceof ObjectNode fields && checksum.equals(checksum(fields));
    if (whole && version > VERSION) {
      throw new NewerException(
          from + " has version " + version + "; this Prestage reads up to version " + VERSION);
    }
    boolean first = version == 1 && !tree.has(CHECKSUM);
    if (!first && !(version == VERSION && whole)) {
      throw new IOException("it does not match its checksum");
    }
    take(JSON.treeToValue(tree, Stored.class));
  }

  /// Of the fields as compact JSON in their order, without the checksum itself: spaces and lines do
  /// not count, all else does.
  private static String checksum(ObjectNode fields) throws JsonProcessingException {
    return PutAside.checksum(JSON.writeValueAsBytes(fields.deepCopy().without(List.of(CHECKSUM))));
  }

  private static final class NewerException extends IOException {
    private static final long serialVersionUID = 1;

    NewerException(String message) {
      super(message);
    }
  }

  private void putAside(Path damaged, String how) {
    String fate;
    try {
      fate = "it is put aside as " + PutAside.move(damaged).getFileName();
    } catch (IOException e) {
      fate = "it cannot be put aside (" + e + ")";
    }
    String line = how.lines().findFirst().orElse("");
    LOG.log(WARNING, "{0} is damaged ({1}); {2}", damaged, line, fate);
  }

  private void trouble(String line) {
    trouble = line;
    LOG.log(WARNING, line);
  }

  /// What was read stands in both files from now on, if there is room; else from the next change
  /// on.
  private void keepBoth() {
    try {
      if (Files.exists(file)
          ? !Files.exists(copy) || Files.mismatch(file, copy) >= 0
          : Files.exists(copy) || !complete) {
        save();
      }
    } catch (IOException | UncheckedIOException e) {
      LOG.log(WARNING, "{0} is not kept twice yet: {1}", file, e.getMessage());
    }
  }

  /// Empty, or one line that says what was wrong with what was read, and what became of it.
  public String trouble() {
    return trouble;
  }

  /// Whether all VMs of this host are known here. If not, others may be served that nobody may take
  /// away.
  public boolean isComplete() {
    return complete;
  }

  private void take(Stored stored) {
    nextVm = stored.nextVm();
    firstSpace = stored.firstSpace();
    complete = !stored.incomplete();
    predicting = stored.predicting();
    programs.addAll(stored.programs());
    for (StoredSpace space : stored.spaces()) {
      spaces.add(new Name(space.tenant(), ResourceType.of(space.type()), space.name()));
    }
    for (StoredVm vm : stored.vms()) {
      keep(new Vm(vm.id(), vm.name(), program(vm.program()), space(vm.space(), vm.imageBytes())));
    }
  }

  /// Makes both files what this registry is, each whole or not at all.
  ///
  /// @throws UncheckedIOException if the folder cannot be written
  public void save() {
    var stored =
        new Stored(
            VERSION,
            null,
            nextVm,
            firstSpace,
            !complete,
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
      ObjectNode fields = JSON.valueToTree(stored);
      fields.put(CHECKSUM, checksum(fields));
      byte[] bytes = JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(fields);
      AtomicFile.write(copy, bytes);
      AtomicFile.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot keep registrations in " + file + ": " + e, e);
    }
  }

  /// How many names have numbers, and how often anybody asked for one.
  public record Mark(int spaces, int programs, long questions) {}

  /// The state of the numbering before an attempt that may fail.
  public Mark mark() {
    return new Mark(spaces.size(), programs.size(), questions);
  }

  /// Whether nobody but whoever took the mark can know of the numbers that were given since: so it
  /// is while no more was asked since than what `after` says.
  public boolean isUntouchedSince(Mark after) {
    return mark().equals(after);
  }

  /// Takes back the numbers that were given since a mark; nobody may have been told of them.
  public void takeBack(Mark before) {
    spaces.subList(before.spaces(), spaces.size()).clear();
    programs.subList(before.programs(), programs.size()).clear();
  }

  @Override
  public int number(Name name) {
    questions++;
    int number = spaces.indexOf(name);
    if (number < 0) {
      spaces.add(name);
      number = spaces.size() - 1;
    }
    return firstSpace + number;
  }

  @Override
  public Name name(int number) {
    int index = number - firstSpace;
    if (index < 0 || index >= spaces.size()) {
      throw new IllegalArgumentException("no space has number " + number);
    }
    return spaces.get(index);
  }

  /// The program with this name, numbered at the first question.
  public Program program(String tenant, String name) {
    questions++;
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
        number, name.type(), name.tenant(), name.name(), Shape.BLOCK_BYTES, imageBytes);
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
