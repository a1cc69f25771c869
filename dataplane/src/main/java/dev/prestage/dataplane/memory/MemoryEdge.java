package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/// Memory pages of restored VMs, filled from their snapshots.
///
/// ```
///   VM manager ─▶ Endpoint ─▶ PageServer ◀── faults, removed ranges ── guest
///                                 │  ▲
///                          demand │  │ chunks
///                                 ▼  │
///                               Staging ◀── leases
/// ```
public final class MemoryEdge implements Edge {
  /// Before the name of a snapshot whose file the VM manager maps by itself.
  private static final String MAPPED = "mapped:";

  private final Path directory;
  private final List<Folder> folders;
  private final Host host;
  private final MappedFiles mapped = new MappedFiles();
  private final Staging staging;

  /// Held while endpoints come and go; looked at without it.
  private final ReentrantLock registry = new ReentrantLock();

  private final Map<String, Target> endpoints = new ConcurrentSkipListMap<>();

  private MemoryEdge(Path directory, List<Folder> folders, Host host) {
    this.directory = directory.toAbsolutePath();
    this.folders = List.copyOf(folders);
    this.host = host;
    this.staging = new Staging(host);
  }

  /// Opens the edge; it serves nobody yet.
  ///
  /// @param directory for the sockets, which only this user's processes and root can use
  /// @param folders where snapshots are; of those that have one the first serves it
  /// @throws IOException with one line that says what is wrong
  public static MemoryEdge open(Path directory, List<Folder> folders, Host host)
      throws IOException {
    try {
      Files.createDirectories(directory);
      Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    } catch (IOException e) {
      throw IoProblem.in("the folder of memory sockets cannot be made", e);
    }
    return new MemoryEdge(directory, folders, host);
  }

  /// A folder of snapshots.
  ///
  /// @param name in messages
  /// @param faults what its reads suffer, [Faults#NONE] in earnest; of these only latency and
  ///   errors
  public record Folder(String name, Path directory, Faults faults) {}

  @Override
  public ResourceType type() {
    return ResourceType.MEMORY_PAGE;
  }

  @Override
  public Bound open(Frame.Bind bind) throws IOException {
    registry.lock();
    try {
      Target before = endpoints.get(bind.name());
      if (before != null
          && before.tenant().equals(bind.tenant())
          && before.source().equals(bind.source())) {
        renumber(before, bind);
        return bound(before);
      }
      if (before != null) {
        remove(before);
      }
      Target endpoint = target(bind);
      endpoints.put(bind.name(), endpoint);
      staging.add(endpoint);
      endpoint.start();
      return bound(endpoint);
    } finally {
      registry.unlock();
    }
  }

  private Target target(Frame.Bind bind) throws IOException {
    if (!bind.source().startsWith(MAPPED)) {
      return new Endpoint(
          bind.name(),
          bind.binding(),
          bind.space(),
          bind.tenant(),
          bind.source(),
          folders,
          directory.resolve(fileOf(bind.name())),
          staging,
          host);
    }
    Snapshot snapshot = Snapshot.open(folders, bind.source().substring(MAPPED.length()));
    try {
      return new MappedFile(
          bind.name(),
          bind.binding(),
          bind.space(),
          bind.tenant(),
          bind.source(),
          snapshot,
          staging,
          mapped,
          host);
    } catch (IOException | RuntimeException e) {
      snapshot.close();
      throw e;
    }
  }

  /// Names have one slash at most and no `@`.
  private static String fileOf(String name) {
    return name.replace('/', '@') + ".sock";
  }

  private static Bound bound(Target endpoint) {
    long pages = endpoint.sizeBytes() / Regions.PAGE;
    return new Bound(
        new Shape(pages * Regions.PAGE, Regions.PAGE, Measure.BYTES, 1), endpoint.address());
  }

  private void renumber(Target endpoint, Frame.Bind bind) {
    if (endpoint.binding() != bind.binding() || endpoint.space() != bind.space()) {
      staging.remove(endpoint);
      endpoint.renumber(bind.binding(), bind.space());
      staging.add(endpoint);
    }
  }

  private void remove(Target gone) throws IOException {
    endpoints.remove(gone.name(), gone);
    staging.remove(gone);
    gone.close();
  }

  @Override
  public void close(int binding) throws IOException {
    keep(endpoint -> endpoint.binding() != binding);
  }

  @Override
  public void keepOnly(Set<String> names) throws IOException {
    keep(endpoint -> names.contains(endpoint.name()));
  }

  private void keep(Predicate<Target> condition) throws IOException {
    registry.lock();
    try {
      for (Target each : endpoints.values()) {
        if (!condition.test(each)) {
          remove(each);
        }
      }
    } finally {
      registry.unlock();
    }
  }

  /// Nothing of a snapshot is kept, except by the system.
  @Override
  public long purge(String tenant, String source) {
    return 0;
  }

  @Override
  public Stager stager() {
    return staging;
  }

  @Override
  public Set<Integer> spaces() {
    Set<Integer> spaces = new HashSet<>();
    endpoints.values().forEach(each -> spaces.add(each.space()));
    return spaces;
  }

  @Override
  public boolean serves(int space) {
    return staging.serves(space);
  }

  @Override
  public BitSet ready(int space) {
    return staging.ready(space);
  }

  @Override
  public List<Held> takeHeld() {
    return staging.takeHeld();
  }

  @Override
  public boolean hasNews() {
    return staging.hasNews();
  }

  @Override
  public void takeNews(News to) {
    staging.takeNews(to);
  }

  @Override
  public void giveBackExpired(long nowNanos) {
    staging.giveBackExpired(nowNanos);
  }

  @Override
  public void count(List<Frame.Counter> into) {
    endpoints.values().forEach(each -> each.count(into));
  }

  @Override
  public void close() throws IOException {
    registry.lock();
    try {
      for (Target each : endpoints.values()) {
        remove(each);
      }
      staging.close();
    } finally {
      registry.unlock();
    }
  }
}
