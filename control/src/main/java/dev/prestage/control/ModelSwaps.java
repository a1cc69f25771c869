package dev.prestage.control;

import static java.lang.System.Logger.Level.INFO;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Refusal.Reason;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.control.model.ModelDiff;
import dev.prestage.control.model.ModelStore;
import dev.prestage.control.model.ModelVersions;
import dev.prestage.control.model.Provenance;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// Has one model take another one's place: the one that serves is kept first, then the engine
/// thread swaps, between two of its steps. A model that cannot be used, or a disk on which the old
/// one cannot be kept, changes nothing.
///
/// Threading: any thread but the engine's, one swap at a time.
final class ModelSwaps {
  private static final System.Logger LOG = System.getLogger(ModelSwaps.class.getName());

  /// An origin across the world answers within a second.
  private static final Duration LONGEST_FETCH = Duration.ofSeconds(2);

  /// As much as the API takes.
  private static final int MOST_BYTES = 16 << 20;

  private final Semaphore fetching = new Semaphore(1);
  private final ControlPlane plane;
  private final CommandExecutor executor;
  private final ModelStore models;
  private final ModelVersions versions;
  private final Clock clock;
  private volatile List<Path> beside = List.of();

  ModelSwaps(
      ControlPlane plane,
      CommandExecutor executor,
      ModelStore models,
      ModelVersions versions,
      Clock clock) {
    this.plane = plane;
    this.executor = executor;
    this.models = models;
    this.versions = versions;
    this.clock = clock;
  }

  /// @param folders where models lie beside the images of origins, as `<program>.model`
  void fetchFrom(List<Path> folders) {
    beside = List.copyOf(folders);
  }

  /// Has another model serve a program.
  ///
  /// @param swap makes it serve, on the engine thread
  synchronized <T> T swap(Program.Key program, Provenance provenance, ControlPlane.Question<T> swap)
      throws InterruptedException, Refusal {
    Optional<ModelStore.Exported> outgoing = plane.onEngine(() -> executor.outgoing(program));
    int kept = outgoing.isPresent() ? keep(program, outgoing.get()) : 0;
    boolean swapped = false;
    T answer;
    try {
      answer = plane.onEngine(swap);
      swapped = true;
    } finally {
      if (!swapped && kept > 0) {
        takeBack(program, kept);
      }
    }
    try {
      versions.replaced(program, provenance);
    } catch (IOException e) {
      trouble(program, "serves, but where it comes from cannot be kept: " + e);
    }
    LOG.log(
        INFO, "another model of {0} serves: {1} {2}", program, provenance.how(), provenance.line());
    return answer;
  }

  private int keep(Program.Key program, ModelStore.Exported outgoing) throws Refusal {
    try {
      return versions.keep(program, outgoing.model().array(), outgoing.runs());
    } catch (IOException e) {
      throw new Refusal(Reason.UNAVAILABLE, e.getMessage() + "");
    }
  }

  private void takeBack(Program.Key program, int kept) {
    try {
      versions.takeBack(program, kept);
    } catch (IOException e) {
      trouble(program, "goes on to serve, but is also kept as version " + kept + ": " + e);
    }
  }

  private void trouble(Program.Key program, String what) {
    plane
        .health()
        .trouble("model:" + program.name(), "the model of " + program.name() + " " + what);
  }

  /// Takes what another host learnt.
  Reply importModel(ByteBuffer bytes) throws InterruptedException, Refusal {
    Program.Key program = program(bytes);
    Provenance imported =
        Provenance.of(Provenance.IMPORTED, clock.nanos(), bytes.remaining() + " bytes");
    return swap(program, imported, () -> executor.importModel(bytes));
  }

  /// A program was registered: if nothing is known about it here, and a model of it lies beside the
  /// images of an origin, that one serves until own runs change it. The caller waits for it a
  /// little; an origin that takes longer is not waited for.
  void registered(Program.Key program) {
    if (beside.isEmpty()) {
      return;
    }
    // One at a time: an origin that hangs holds up one thread, and nobody waits long for it.
    try {
      if (!fetching.tryAcquire(LONGEST_FETCH.toMillis(), TimeUnit.MILLISECONDS)) {
        trouble(program, "is not fetched: an origin hangs, or others are being fetched");
        return;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    }
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .name("fetch-model")
            .start(() -> {
              try {
                fetch(program);
              } finally {
                fetching.release();
              }
            });
    try {
      boolean _ = thread.join(LONGEST_FETCH);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void fetch(Program.Key program) {
    try {
      if (plane.onEngine(() -> executor.knows(program))) {
        return;
      }
      for (Path folder : beside) {
        Path file = folder.resolve(program.name() + ".model");
        if (Files.exists(file) && fetched(program, file)) {
          return;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (Refusal e) {
      trouble(program, "at its origin is not fetched: " + e.getMessage());
    }
  }

  private boolean fetched(Program.Key program, Path file) throws InterruptedException {
    try {
      ByteBuffer model = read(file);
      if (!program(model).equals(program)) {
        throw new Refusal(Reason.INVALID, "it is of another tenant's program, or another program");
      }
      Provenance provenance = Provenance.of(Provenance.FETCHED, clock.nanos(), "from " + file);
      swap(
          program,
          provenance,
          () -> {
            if (executor.knows(program)) {
              throw new Refusal(Reason.CONFLICT, "a run of its own was learnt meanwhile");
            }
            return executor.take(model, models::replace);
          });
      return true;
    } catch (IOException | Refusal e) {
      trouble(program, "in " + file + " is ignored: " + e.getMessage());
      return false;
    }
  }

  private static ByteBuffer read(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MOST_BYTES + 1);
      if (bytes.length > MOST_BYTES) {
        throw new IOException("it is larger than " + (MOST_BYTES >> 20) + " MiB");
      }
      return ByteBuffer.wrap(bytes);
    }
  }

  /// Whose model it is.
  ///
  /// @throws Refusal if it cannot be used
  private static Program.Key program(ByteBuffer bytes) throws Refusal {
    try {
      ModelBundle model = ModelBundle.check(bytes);
      return new Program.Key(
          CommandExecutor.named("tenant", model.tenant()),
          CommandExecutor.named("program", model.program()));
    } catch (ModelException e) {
      throw new Refusal(Reason.INVALID, "the model is refused: " + e.getMessage());
    }
  }

  /// Has an earlier model serve a program again.
  ///
  /// @param version its number, or null for the one that served last
  Reply.ModelVersions rollBack(Program program, @Nullable Integer version)
      throws InterruptedException, Refusal {
    ModelVersions.Earlier earlier;
    try {
      earlier = versions.earlier(program.key(), version);
      ModelBundle model = ModelBundle.check(earlier.model());
      if (!new Program.Key(model.tenant(), model.program()).equals(program.key())) {
        throw new ModelException(
            "version " + earlier.number() + " is of " + model.program() + ", another program");
      }
    } catch (IOException e) {
      throw new Refusal(Reason.INVALID, e.getMessage() + "");
    }
    Provenance provenance =
        Provenance.of(Provenance.ROLLED_BACK, clock.nanos(), "to version " + earlier.number());
    swap(program.key(), provenance, () -> executor.take(earlier.model(), models::replace));
    return show(program);
  }

  /// The model that serves, and the earlier ones that are kept.
  Reply.ModelVersions show(Program program) throws Refusal {
    try {
      List<Reply.ModelVersion> views = new ArrayList<>();
      views.add(view(versions.serving(program.key()), true));
      versions.kept(program.key()).forEach(version -> views.add(view(version, false)));
      return new Reply.ModelVersions(program.tenant(), program.name(), views);
    } catch (IOException e) {
      throw new Refusal(Reason.UNAVAILABLE, "versions cannot be read: " + e);
    }
  }

  /// What two models of a program differ in; none is changed.
  ///
  /// @param from the number of one, kept or serving, or null for the one that served last
  /// @param to that of the other, or null for the one that serves
  synchronized Reply.ModelDiff diff(Program program, @Nullable Integer from, @Nullable Integer to)
      throws InterruptedException, Refusal {
    try {
      ModelVersions.Version serving = versions.serving(program.key());
      Numbered one = numbered(program, serving, from);
      Numbered other =
          numbered(program, serving, to == null ? Integer.valueOf(serving.number()) : to);
      return new Reply.ModelDiff(
          program.tenant(),
          program.name(),
          one.view(),
          other.view(),
          ModelDiff.of(one.model(), other.model()));
    } catch (ModelException e) {
      throw new Refusal(Reason.INVALID, "models cannot be compared: " + e.getMessage());
    } catch (IOException e) {
      throw new Refusal(Reason.UNAVAILABLE, "versions cannot be read: " + e);
    }
  }

  private record Numbered(Reply.ModelVersion view, ByteBuffer model) {}

  private Numbered numbered(
      Program program, ModelVersions.Version serving, @Nullable Integer number)
      throws InterruptedException, Refusal, IOException {
    if (number != null && number == serving.number()) {
      ModelStore.Exported model =
          plane
              .onEngine(() -> executor.outgoing(program.key()))
              .orElseThrow(() ->
                  new Refusal(Reason.UNKNOWN, "no run of " + program.name() + " was learnt yet"));
      return new Numbered(view(serving, true), model.model());
    }
    ModelVersions.Earlier earlier = versions.earlier(program.key(), number);
    Reply.ModelVersion view =
        versions.kept(program.key()).stream()
            .filter(kept -> kept.number() == earlier.number())
            .map(kept -> view(kept, false))
            .findFirst()
            .orElseThrow();
    return new Numbered(view, earlier.model());
  }

  private static Reply.ModelVersion view(ModelVersions.Version version, boolean serving) {
    Provenance from = version.provenance();
    return new Reply.ModelVersion(
        version.number(),
        serving,
        from == null ? Provenance.UNKNOWN : from.how(),
        from == null ? null : time(from.sinceNanos()),
        from == null ? null : time(from.fromNanos()),
        from == null ? null : time(from.toNanos()),
        from == null ? null : from.seed(),
        serving ? null : Long.valueOf(version.runs()),
        version.bytes(),
        from == null ? "" : from.line(),
        version.trouble());
  }

  private static @Nullable String time(long nanos) {
    return nanos == 0 ? null : Views.time(nanos);
  }
}
