package dev.prestage.control.model;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.predict.ReachedLevels;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import dev.prestage.link.host.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;

/// The forecasters of this host, each with its file `<tenant>/<program>.model`; that of another
/// type than file blocks says so: `<tenant>/<program>.memory-page.model`. What was counted over all
/// of a tenant's programs has one for each type: `<tenant>/file-block.counts`.
///
/// All calls come from the engine thread. Encoding happens there, because only there the model
/// stands still; writing happens on a thread of the store's own, latest first, so a slow disk
/// delays nobody.
public final class ModelStore implements Models, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(ModelStore.class.getName());

  /// Four times what the API takes.
  private static final int MOST_BYTES = 64 << 20;

  private final Path folder;
  private final Spaces spaces;
  private final Function<HybridForecaster, Forecaster> serving;
  private final BiConsumer<String, String> troubles;
  private final ObjDoubleConsumer<Program> losses;
  private final Map<Learnt, HybridForecaster> learners = new HashMap<>();

  /// The scores of forecasters that a model from elsewhere replaced.
  private final Map<Expert, Score> replaced = new EnumMap<>(Expert.class);

  private final Map<Common, HostKnowledge> common = new HashMap<>();
  private final Map<Learnt, Forecaster> served = new HashMap<>();
  private final Map<Path, byte[]> unwritten = new ConcurrentHashMap<>();
  private final ExecutorService writer =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().name("model-writer").factory());

  /// What one forecaster is for.
  private record Learnt(Program program, ResourceType type) {
    private static Learnt blocks(Program program) {
      return new Learnt(program, ResourceType.FILE_BLOCK);
    }
  }

  /// Programs of a tenant have in common what they touched of the same spaces of a type.
  private record Common(String tenant, ResourceType type) {}

  /// @param folder where the files are
  /// @param spaces the host's numbering
  /// @param serving which forecaster speaks for a program, given what was learnt: the same one, or
  ///   a peer to compare with
  /// @param troubles hears of a model that cannot be used or kept: a kind, and a line for the
  ///   operator
  public ModelStore(
      Path folder,
      Spaces spaces,
      Function<HybridForecaster, Forecaster> serving,
      BiConsumer<String, String> troubles) {
    this(folder, spaces, serving, troubles, (_, _) -> {});
  }

  /// As before, for somebody who hears of each run of a program's disks that was learnt.
  ///
  /// @param losses hears how wrong the forecast of the run's start was; NaN if there was none
  public ModelStore(
      Path folder,
      Spaces spaces,
      Function<HybridForecaster, Forecaster> serving,
      BiConsumer<String, String> troubles,
      ObjDoubleConsumer<Program> losses) {
    this.losses = losses;
    this.troubles = troubles;
    this.folder = folder;
    this.spaces = spaces;
    this.serving = serving;
  }

  @Override
  public Forecaster of(Program program, ResourceType type) {
    return served.computeIfAbsent(new Learnt(program, type), this::serve);
  }

  private Forecaster serve(Learnt learnt) {
    HybridForecaster learner = learner(learnt);
    Forecaster forecaster = serving.apply(learner);
    return learnt.type() == ResourceType.NETWORK_CONNECTION
            || learnt.type() == ResourceType.IO_BANDWIDTH
        ? new ReachedLevels(forecaster, learner.touched())
        : forecaster;
  }

  private HybridForecaster learner(Learnt learnt) {
    return learners.computeIfAbsent(learnt, this::load);
  }

  /// What became of the units for which an expert spoke.
  ///
  /// @param demanded that were demanded, in time or not
  /// @param unused that were given back without demand
  public record Score(long demanded, long unused) {}

  /// What became of the units for which each expert spoke, over all programs since the start.
  public Map<Expert, Score> scores() {
    Map<Expert, Score> scores = new EnumMap<>(replaced);
    learners.values().forEach(learner -> add(learner, scores));
    return scores;
  }

  private static void add(HybridForecaster learner, Map<Expert, Score> to) {
    for (Expert expert : Expert.values()) {
      Score score = new Score(learner.scores().demanded(expert), learner.scores().unused(expert));
      if (score.demanded() + score.unused() > 0) {
        to.merge(
            expert,
            score,
            (a, b) -> new Score(a.demanded() + b.demanded(), a.unused() + b.unused()));
      }
    }
  }

  @Override
  public void learnt(Program program, ResourceType type) {
    Learnt learnt = new Learnt(program, type);
    HybridForecaster learner = learner(learnt);
    if (learner.runs() > 0) {
      write(learnt, learner);
      write(file(common(learnt)), knowledge(learnt).encode());
    }
    if (type == ResourceType.FILE_BLOCK) {
      losses.accept(program, learner.lastLoss());
    }
  }

  /// Whether anything was learnt of a program's accesses of a type.
  public boolean has(Program program, ResourceType type) {
    return known(new Learnt(program, type)) != null;
  }

  /// The most runs of a program that were learnt of a type.
  public int runs(Program program) {
    int most = 0;
    for (ResourceType type : ResourceType.values()) {
      HybridForecaster learner = known(new Learnt(program, type));
      most = Math.max(most, learner == null ? 0 : learner.runs());
    }
    return most;
  }

  /// What was learnt about each program that this process has heard of.
  ///
  /// @param trainings how far the training of a program is, or null
  public Reply.Models view(Function<Program, Reply.@Nullable Training> trainings) {
    List<Reply.ModelView> views = new ArrayList<>();
    learners.forEach((learnt, learner) -> {
      Program program = learnt.program();
      double gain = learner.networkGain();
      views.add(
          new Reply.ModelView(
              program.tenant(),
              program.name(),
              learnt.type().text(),
              learner.runs(),
              learner.resources(),
              learner.requests(),
              learner.memoryBytes(),
              learner.network() != null,
              Double.isNaN(gain) ? null : gain,
              learnt.equals(Learnt.blocks(program)) ? trainings.apply(program) : null));
    });
    views.sort(
        Comparator.comparing(Reply.ModelView::tenant)
            .thenComparing(Reply.ModelView::program)
            .thenComparing(Reply.ModelView::type));
    return new Reply.Models(views);
  }

  /// How many requests each program made to its disks since its network was trained.
  public Map<Program, Long> newRequests() {
    Map<Program, Long> requests = new HashMap<>();
    learners.forEach((learnt, learner) -> {
      if (learnt.equals(Learnt.blocks(learnt.program()))) {
        requests.put(learnt.program(), learner.newRequests());
      }
    });
    return requests;
  }

  /// A training of a program's network has ended, whatever came of it.
  public void trained(Program program) {
    Learnt learnt = Learnt.blocks(program);
    HybridForecaster learner = learner(learnt);
    learner.trained();
    write(learnt, learner);
  }

  /// The network that serves a program's disks, or null.
  public @Nullable Network network(Program program) {
    return learner(Learnt.blocks(program)).network();
  }

  /// Has a network serve a program's disks.
  public void serve(Program program, Network network) {
    Learnt learnt = Learnt.blocks(program);
    HybridForecaster learner = learner(learnt);
    learner.serve(network);
    write(learnt, learner);
  }

  /// What was learnt about a program, of all types of resources, as bytes that may travel.
  ///
  /// @throws ModelException if nothing was
  public byte[] export(Program program) throws ModelException {
    SortedMap<ResourceType, ModelFile> learnt = new TreeMap<>();
    for (ResourceType type : ResourceType.values()) {
      HybridForecaster learner = known(new Learnt(program, type));
      if (learner != null && learner.runs() > 0) {
        learnt.put(type, new ModelFile(program.tenant(), program.name(), learner));
      }
    }
    if (learnt.isEmpty()) {
      throw new ModelException("no run of " + program.name() + " was learnt yet");
    }
    return new ModelBundle(learnt).encode(spaces);
  }

  /// What was learnt about a program, as bytes, and how many runs.
  public record Exported(ByteBuffer model, int runs) {}

  /// As [#export]; empty if nothing was learnt.
  public Optional<Exported> outgoing(Program program) {
    try {
      byte[] model = export(program);
      return Optional.of(new Exported(ByteBuffer.wrap(model), runs(program)));
    } catch (ModelException _) {
      return Optional.empty();
    }
  }

  /// One that is loaded or has a file; asking for another type begins nothing.
  private @Nullable HybridForecaster known(Learnt learnt) {
    HybridForecaster loaded = learners.get(learnt);
    return loaded != null || !Files.exists(file(learnt)) ? loaded : learner(learnt);
  }

  /// Puts models that were learnt elsewhere in place of this host's; types of which there is none
  /// keep theirs. Copies that run keep theirs until they stop.
  public void replace(Program program, Offer offer) {
    offer.fresh.forEach(common::putIfAbsent);
    offer.models().models().forEach((type, model) -> replace(program, type, model.forecaster()));
  }

  /// As [#replace], for models that were learnt again from this host's own history: a network that
  /// serves goes on to serve, on trial.
  public void rebuilt(Program program, Offer offer) {
    Network network = known(Learnt.blocks(program)) == null ? null : network(program);
    replace(program, offer);
    if (network != null) {
      serve(program, network);
    }
  }

  private void replace(Program program, ResourceType type, HybridForecaster forecaster) {
    Learnt learnt = new Learnt(program, type);
    HybridForecaster before = learners.put(learnt, forecaster);
    if (before == null) {
      forecaster.introduce();
    } else {
      forecaster.introduceInPlaceOf(before);
      add(before, replaced);
    }
    served.remove(learnt);
    write(learnt, forecaster);
  }

  /// Models from elsewhere that are not taken over yet. One that is refused leaves nothing behind.
  public static final class Offer {
    private final ModelBundle models;

    /// What tenants have in common of types that this process had not loaded.
    private final Map<Common, HostKnowledge> fresh;

    private Offer(ModelBundle models, Map<Common, HostKnowledge> fresh) {
      this.models = models;
      this.fresh = fresh;
    }

    /// What would be taken over.
    public ModelBundle models() {
      return models;
    }
  }

  /// The models that bytes from elsewhere hold; [#replace] takes them over, before anything else is
  /// learnt or offered.
  ///
  /// @throws ModelException with the reason if they hold none that can be used
  public Offer decode(ByteBuffer bytes, Spaces numbering) throws ModelException {
    Map<Common, HostKnowledge> fresh = new HashMap<>();
    ModelBundle models =
        ModelBundle.decode(
            bytes,
            numbering,
            (tenant, type) -> {
              Common of = new Common(tenant, type);
              HostKnowledge known = common.get(of);
              return known == null ? fresh.computeIfAbsent(of, this::load) : known;
            });
    return new Offer(models, fresh);
  }

  /// For how many tenants and types this host knows what programs have in common.
  int commonKnowledge() {
    return common.size();
  }

  private HostKnowledge knowledge(Learnt learnt) {
    return common.computeIfAbsent(common(learnt), this::load);
  }

  private static Common common(Learnt learnt) {
    return new Common(learnt.program().tenant(), learnt.type());
  }

  private HostKnowledge load(Common of) {
    Path file = file(of);
    try {
      if (Files.exists(file)) {
        return HostKnowledge.decode(read(file));
      }
    } catch (IOException e) {
      setAside(file, e, "counting begins anew");
    }
    return new HostKnowledge();
  }

  private HybridForecaster load(Learnt learnt) {
    Path file = file(learnt);
    try {
      if (Files.exists(file)) {
        HybridForecaster forecaster =
            ModelFile.decode(read(file), spaces, _ -> knowledge(learnt)).forecaster();
        forecaster.introduce();
        return forecaster;
      }
    } catch (IOException e) {
      setAside(file, e, "the program is learnt anew");
    }
    return new HybridForecaster(knowledge(learnt));
  }

  /// Of what is no file of ours nothing is read: it could hold the engine up, or fill its memory.
  private static ByteBuffer read(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new ModelException("it is no regular file");
    }
    long size = Files.size(file);
    if (size > MOST_BYTES) {
      throw new ModelException("it has " + size + " bytes, more than any that was written");
    }
    return ByteBuffer.wrap(Files.readAllBytes(file));
  }

  private void setAside(Path file, IOException reason, String consequence) {
    Path aside = file.resolveSibling(file.getFileName() + ".refused");
    String fate = "it is kept as " + aside.getFileName();
    try {
      Files.move(file, aside, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      fate = "it cannot be moved aside (" + e + ")";
    }
    trouble(file, "cannot be used: " + reason.getMessage() + "; " + fate + " and " + consequence);
  }

  private void trouble(Path file, String what) {
    LOG.log(WARNING, "the file {0} {1}", file, what);
    troubles.accept("model:" + folder.relativize(file), "the file " + file + " " + what);
  }

  private void write(Learnt learnt, HybridForecaster learner) {
    Program program = learnt.program();
    write(file(learnt), new ModelFile(program.tenant(), program.name(), learner).encode(spaces));
  }

  private void write(Path file, byte[] bytes) {
    if (unwritten.put(file, bytes) == null) {
      writer.execute(() -> writeLatest(file));
    }
  }

  private void writeLatest(Path file) {
    byte[] bytes = unwritten.remove(file);
    if (bytes == null) {
      return;
    }
    try {
      AtomicFile.write(file, bytes);
    } catch (IOException e) {
      trouble(file, "is not kept: " + e + "; it is written again after the next run");
    }
  }

  private Path file(Learnt learnt) {
    String type = learnt.type() == ResourceType.FILE_BLOCK ? "" : "." + learnt.type().text();
    return folder
        .resolve(learnt.program().tenant())
        .resolve(learnt.program().name() + type + ".model");
  }

  private Path file(Common of) {
    return folder.resolve(of.tenant()).resolve(of.type().text() + ".counts");
  }

  /// Writes what is not written yet.
  @Override
  public void close() {
    writer.shutdown();
    try {
      if (!writer.awaitTermination(10, TimeUnit.SECONDS)) {
        LOG.log(WARNING, "models in {0} could not be written within 10 s", folder);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
