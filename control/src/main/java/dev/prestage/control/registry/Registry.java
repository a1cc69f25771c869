package dev.prestage.control.registry;

import static java.lang.System.Logger.Level.WARNING;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.engine.resource.Binding;
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
import java.util.HashMap;
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
  private static final int VERSION = 3;
  private static final String CHECKSUM = "checksum";
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          // What a record says of itself beyond its components is no part of the file.
          .disable(MapperFeature.AUTO_DETECT_IS_GETTERS)
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
  private final List<Program.Key> programs = new ArrayList<>();
  private final Map<String, Registered> vms = new LinkedHashMap<>();
  private final Map<Integer, Binding> bindings = new HashMap<>();
  private long questions;
  private int nextNumber = 1;
  private int firstSpace;
  private boolean complete = true;
  private @Nullable Boolean predicting;
  private String trouble = "";

  /// The file: a version, the checksum of the rest, the names in the order of their numbers, and
  /// the VMs with their bindings. Version 1 had neither checksum, `firstSpace` nor `incomplete`;
  /// until version 2 a VM was one disk, which had the VM's number.
  ///
  /// @param nextVm the next number of a VM or a binding
  private record Stored(
      int version,
      @Nullable String checksum,
      int nextVm,
      int firstSpace,
      boolean incomplete,
      @Nullable Boolean predicting,
      List<StoredSpace> spaces,
      List<Program.Key> programs,
      List<StoredVm> vms) {}

  private record StoredSpace(String tenant, String type, String name) {}

  /// @param space of the only disk, until version 2
  /// @param imageBytes the size of the only disk, until version 2
  @JsonInclude(JsonInclude.Include.NON_NULL)
  private record StoredVm(
      int id,
      String name,
      int program,
      @Nullable Integer space,
      @Nullable Long imageBytes,
      @Nullable List<StoredBinding> bindings) {}

  private record StoredBinding(int id, String as, int space, Shape shape) {}

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
      nextNumber = (int) (seconds & 0x3fff_ffff);
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
    bindings.clear();
    nextNumber = 1;
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
    if (!first && !(version >= 2 && whole)) {
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
    nextNumber = stored.nextVm();
    firstSpace = stored.firstSpace();
    complete = !stored.incomplete();
    predicting = stored.predicting();
    programs.addAll(stored.programs());
    for (StoredSpace space : stored.spaces()) {
      spaces.add(new Name(space.tenant(), ResourceType.of(space.type()), space.name()));
    }
    stored.vms().forEach(vm -> keep(registered(vm)));
  }

  private Registered registered(StoredVm stored) {
    Vm vm = new Vm(stored.id(), stored.name(), program(stored.program()));
    if (stored.bindings() != null) {
      return new Registered(
          vm,
          stored.bindings().stream()
              .map(b -> new Binding(b.id(), vm, b.as(), space(b.space(), b.shape())))
              .toList());
    }
    if (stored.space() == null || stored.imageBytes() == null) {
      throw new IllegalArgumentException("VM " + vm.name() + " has no disk");
    }
    Space space = space(stored.space(), Shape.blocks(stored.imageBytes()));
    return new Registered(vm, List.of(new Binding(vm.id(), vm, Registered.FIRST_DISK, space)));
  }

  private static StoredVm stored(Registered registered) {
    Vm vm = registered.vm();
    return new StoredVm(
        vm.id(),
        vm.name(),
        vm.program().id(),
        null,
        null,
        registered.bindings().stream()
            .map(b -> new StoredBinding(b.id(), b.as(), b.space().id(), b.space().shape()))
            .toList());
  }

  /// Makes both files what this registry is, each whole or not at all.
  ///
  /// @throws UncheckedIOException if the folder cannot be written
  public void save() {
    var stored =
        new Stored(
            VERSION,
            null,
            nextNumber,
            firstSpace,
            !complete,
            predicting,
            spaces.stream()
                .map(s -> new StoredSpace(s.tenant(), s.type().text(), s.name()))
                .toList(),
            programs,
            vms.values().stream().map(Registry::stored).toList());
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
    Program.Key key = new Program.Key(tenant, name);
    int number = programs.indexOf(key);
    if (number < 0) {
      programs.add(key);
      number = programs.size() - 1;
    }
    return program(number);
  }

  /// The program with this name if it has a number, or null.
  public @Nullable Program known(String tenant, String name) {
    int number = programs.indexOf(new Program.Key(tenant, name));
    return number < 0 ? null : program(number);
  }

  private Program program(int number) {
    Program.Key key = programs.get(number);
    return new Program(number, key.tenant(), key.name());
  }

  /// The space with this number.
  public Space space(int number, Shape shape) {
    Name name = name(number);
    return new Space(number, name.type(), name.tenant(), name.name(), shape);
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

  /// A number for a new VM or a new binding.
  public int newNumber() {
    return nextNumber++;
  }

  /// Adds or replaces a VM.
  public void keep(Registered registered) {
    Registered before = vms.put(registered.vm().name(), registered);
    if (before != null) {
      before.bindings().forEach(binding -> bindings.remove(binding.id()));
    }
    registered.bindings().forEach(binding -> bindings.put(binding.id(), binding));
  }

  /// Forgets a VM.
  public void remove(Registered registered) {
    vms.remove(registered.vm().name());
    registered.bindings().forEach(binding -> bindings.remove(binding.id()));
  }

  /// The VM with this name, or null.
  public @Nullable Registered vm(String name) {
    return vms.get(name);
  }

  /// The binding with this number, or null.
  public @Nullable Binding binding(int id) {
    return bindings.get(id);
  }

  /// All VMs, in the order of their registration.
  public Collection<Registered> vms() {
    return List.copyOf(vms.values());
  }
}
