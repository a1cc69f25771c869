package dev.prestage.control;

import static java.lang.System.Logger.Level.INFO;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Refusal.Reason;
import dev.prestage.control.command.Reply;
import dev.prestage.control.model.ModelBundle;
import dev.prestage.control.model.ModelStore;
import dev.prestage.control.model.ModelVersions;
import dev.prestage.control.model.Provenance;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Has one model take another one's place: the one that serves is kept first, then the engine
/// thread swaps, between two of its steps. A model that cannot be used, or a disk on which the old
/// one cannot be kept, changes nothing.
///
/// Threading: any thread but the engine's, one swap at a time.
final class ModelSwaps {
  private static final System.Logger LOG = System.getLogger(ModelSwaps.class.getName());

  private final ControlPlane plane;
  private final CommandExecutor executor;
  private final ModelStore models;
  private final ModelVersions versions;
  private final Clock clock;

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
