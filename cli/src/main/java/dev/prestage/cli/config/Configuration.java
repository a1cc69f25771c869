package dev.prestage.cli.config;

import dev.prestage.control.api.ApiToken;
import dev.prestage.control.command.Role;
import dev.prestage.control.vm.MemoryGrants;
import dev.prestage.control.vm.vsphere.VsphereConnector;
import dev.prestage.control.vm.xen.XenConnector;
import dev.prestage.control.webhook.Webhook;
import dev.prestage.dataplane.Options;
import dev.prestage.dataplane.bandwidth.Promises;
import dev.prestage.dataplane.block.FillOptions;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Quotas;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Node;

/// Everything that can be configured, with every default in its place. `docs/configuration.md` is
/// its manual.
///
/// @param state the folder for everything that survives a restart
/// @param sockets the folder for the sockets
/// @param tiers the places for what was fetched, the fastest first
/// @param evictLast images of which what is here makes room after all others
/// @param nbd how guests' disks are served
/// @param connectionsListen the address at which guests' connections are relayed
/// @param promises by what shares of links are promised
/// @param apiTcp `host:port` for the API over TCP, or empty
/// @param apiTokens the tokens for TCP
/// @param endRunAfter how long a disk is closed before its VM's run ends by itself; zero: never
/// @param controls the share of starts that are left without staging
/// @param dryRun whether what would be staged is only accounted for
/// @param forecaster who predicts
/// @param trainEvery how often programs with enough new accesses are trained; zero: only on request
/// @param fill how the rest of images is brought behind everything else
/// @param historyEnabled whether accesses are kept
/// @param historyKeep how old they get
/// @param historyKeepUsage how old what each hour of them adds up to gets
/// @param historyCapacityBytes how much they may take; the oldest go first
/// @param libvirt the URI of the libvirt whose domains are followed, or empty
/// @param qemuSockets the folder of the QMP sockets of machines that are followed, or null
/// @param vsphere the vCenter whose virtual machines are followed
/// @param guestMemory how guests' memory is sized; null: it is left as it is
/// @param xen the Xen host whose domains are followed
/// @param webhooks the addresses that get notices
public record Configuration(
    Path state,
    Path sockets,
    List<Origin> origins,
    List<Tier> tiers,
    Set<String> evictLast,
    Nbd nbd,
    InetAddress connectionsListen,
    Promises promises,
    String apiTcp,
    List<ApiToken> apiTokens,
    boolean predicting,
    boolean dryRun,
    double controls,
    ForecasterKind forecaster,
    Duration trainEvery,
    Thresholds thresholds,
    Limits limits,
    Duration endRunAfter,
    Fetch fetch,
    FillOptions fill,
    boolean historyEnabled,
    Duration historyKeep,
    Duration historyKeepUsage,
    long historyCapacityBytes,
    String libvirt,
    @Nullable Path qemuSockets,
    Vsphere vsphere,
    MemoryGrants.@Nullable Settings guestMemory,
    XenConnector.Options xen,
    List<Webhook> webhooks) {

  /// A vCenter whose virtual machines are followed.
  ///
  /// @param options where it is and who logs in
  /// @param reserving whether memory is reserved ahead of its expected use
  public record Vsphere(VsphereConnector.Options options, boolean reserving) {}

  /// A directory of images, as near as `faults` make it.
  ///
  /// @param anyFormat whether files that are no raw images are served as the bytes they are
  /// @param bytesPerSecond what the link to it moves; 0 to measure
  /// @param models where models of programs lie beside its images, or null
  public record Origin(
      String name,
      Path directory,
      Faults faults,
      boolean anyFormat,
      long bytesPerSecond,
      @Nullable Path models) {}

  /// A place for what was fetched.
  ///
  /// @param kind what it is made of: `ram`, `ssd`, `hdd` or `nas`
  public record Tier(String name, String kind, Path directory, long capacityBytes, Faults faults) {}

  /// What all tiers may hold together.
  public long tierBytes() {
    return tierBytes(tiers);
  }

  private static long tierBytes(List<Tier> tiers) {
    return tiers.stream().mapToLong(Tier::capacityBytes).sum();
  }

  /// How guests' disks are served.
  ///
  /// @param tcp `host:port` for NBD over TCP, or empty
  /// @param connections how many clients are served at the same time
  /// @param group who may connect to the socket beside this user, or empty
  public record Nbd(String tcp, int connections, String group) {}

  /// How origins are read.
  ///
  /// @param inFlight reads at once from one origin
  /// @param deadline how long a guest's read may wait before it fails
  public record Fetch(int inFlight, Duration deadline) {}

  // Two ranges of staging and what a few guests demand meanwhile.
  private static final long LEAST_TIER_BYTES = 16L << 20;

  // A read from a disk that had to spin up, or from across an ocean, takes that long.
  private static final Duration LEAST_DEADLINE = Duration.ofMillis(100);

  private static final long LEAST_FILL_RATE = 64L << 10;

  private static final double MOST_AMPLIFICATION = 1e6;

  /// As images are named at registration.
  private static final Pattern IMAGE_NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

  private static final Pattern AMPLIFICATION = Pattern.compile("[0-9]+(\\.[0-9]+)?");

  private static final long LEAST_GUEST_BYTES = 16L << 20;

  // An hour of 400 accesses a second.
  private static final long LEAST_HISTORY_BYTES = 64L << 20;

  /// Who predicts: Prestage, or a peer to compare with.
  public enum ForecasterKind {
    PRESTAGE,
    READAHEAD,
    REPLAY;

    static ForecasterKind of(String text) {
      for (ForecasterKind kind : values()) {
        if (kind.name().equals(text.toUpperCase(Locale.ROOT))) {
          return kind;
        }
      }
      throw new IllegalArgumentException("'" + text + "' is none of prestage, readahead, replay");
    }
  }

  /// The socket between the planes.
  public Path linkSocket() {
    return sockets.resolve("link.sock");
  }

  /// Where guests' disks are served.
  public Path nbdSocket() {
    return sockets.resolve("nbd.sock");
  }

  /// Where VM managers ask.
  public Path apiSocket() {
    return sockets.resolve("api.sock");
  }

  /// Where history is kept.
  public Path history() {
    return state.resolve("history");
  }

  /// The state folder when none is named: `XDG_STATE_HOME/prestage`, else
  /// `~/.local/state/prestage`; for root `/var/lib/prestage`.
  public static Path defaultState() {
    String xdg = System.getenv("XDG_STATE_HOME");
    if (xdg != null && !xdg.isEmpty()) {
      return Path.of(xdg, "prestage");
    }
    return "root".equals(System.getProperty("user.name"))
        ? Path.of("/var/lib/prestage")
        : Path.of(System.getProperty("user.home"), ".local", "state", "prestage");
  }

  /// Reads a configuration file; without one, everything is as by default.
  ///
  /// @throws ConfigurationException with the place of the first mistake
  public static Configuration read(@Nullable Path file) throws ConfigurationException {
    if (file == null) {
      return of(Section.empty("configuration", ""), Path.of(""));
    }
    String name = file.toString();
    String text;
    try {
      text = Files.readString(file);
    } catch (IOException e) {
      throw new ConfigurationException(name + " cannot be read: " + IoProblem.explain(e));
    }
    try {
      Compose compose = new Compose(LoadSettings.builder().setLabel(name).build());
      Node root = compose.composeString(text).orElse(null);
      Section section = root == null ? Section.empty(name, "") : Section.of(name, "", root);
      Path folder = file.toAbsolutePath().getParent();
      return of(section, folder == null ? Path.of("") : folder);
    } catch (MarkedYamlEngineException e) {
      throw new ConfigurationException(
          Section.place(name, e.getProblemMark().orElse(null)) + ": " + e.getProblem());
    } catch (YamlEngineException e) {
      throw new ConfigurationException(name + ": " + e.getMessage());
    }
  }

  /// Relative paths are relative to the file's folder.
  private static Configuration of(Section root, Path folder) throws ConfigurationException {
    Path state = root.value("state", defaultState(), text -> path(folder, text)).toAbsolutePath();
    Path sockets = root.value("sockets", state.resolve("sockets"), text -> path(folder, text));
    List<Origin> origins = origins(root, folder);
    if (origins.isEmpty()) {
      origins.add(new Origin("images", state.resolve("images"), Faults.NONE, false, 0, null));
    }
    List<Tier> tiers = tiers(root, state, folder);
    List<String> last = root.values("evictLast", Configuration::imageName);
    Section nbd = root.section("nbd");
    Nbd serving =
        new Nbd(
            nbd.value("tcp", "", Configuration::address),
            nbd.value("connections", 256, text -> whole(text, 1, 4096)),
            nbd.value("group", "", Configuration::group));
    nbd.close();
    Section connections = root.section("connections");
    InetAddress listen =
        connections.value("listen", Options.LOOPBACK, Configuration::addressOfThisHost);
    connections.close();
    Section bandwidth = root.section("bandwidth");
    Promises promises = bandwidth.value("promises", Promises.RUNS, Promises::of);
    bandwidth.close();
    Section api = root.section("api");
    String apiTcp = api.value("tcp", "", Configuration::address);
    String tokenFile = api.value("tokenFile", "", Configuration::withoutTilde);
    List<ApiToken> tokens = tokens(api, folder);
    if (!tokenFile.isEmpty()) {
      tokens.add(new ApiToken(folder.resolve(tokenFile), Role.ADMIN));
    }
    if (!apiTcp.isEmpty() && tokens.isEmpty()) {
      throw api.refused("tcp", "needs 'api.tokenFile': over TCP nothing is served without a token");
    }
    api.close();
    Section predict = root.section("predict");
    boolean predicting = predict.value("enabled", true, Configuration::yesOrNo);
    boolean dryRun = predict.value("dryRun", false, Configuration::yesOrNo);
    double controls = predict.value("controls", .05, Configuration::share);
    ForecasterKind kind = predict.value("forecaster", ForecasterKind.PRESTAGE, ForecasterKind::of);
    Duration trainEvery = predict.value("trainEvery", Duration.ofDays(1), Configuration::pause);
    Duration horizon = predict.value("horizon", Limits.DEFAULT.horizon(), Quantities::duration);
    Thresholds thresholds = thresholds(predict);
    predict.close();
    Limits limits = limits(root.section("stage"), horizon, tierBytes(tiers));
    Section runs = root.section("runs");
    Duration endRunAfter = runs.value("endAfter", Duration.ofMinutes(1), Quantities::duration);
    runs.close();
    Section fetch = root.section("fetch");
    Fetch fetching =
        new Fetch(
            fetch.value("inFlight", 32, text -> whole(text, 1, 1024)),
            fetch.value("deadline", Duration.ofSeconds(30), Configuration::deadline));
    fetch.close();
    Section history = root.section("history");
    boolean enabled = history.value("enabled", true, Configuration::yesOrNo);
    Duration keep = history.value("keep", Duration.ofDays(30), Configuration::age);
    Duration keepUsage = history.value("keepUsage", Duration.ofDays(400), Configuration::age);
    long capacity = history.value("capacity", 4L << 30, Configuration::historyBytes);
    history.close();
    Section libvirt = root.section("libvirt");
    String libvirtUri = libvirt.value("uri", "", Configuration::uri);
    libvirt.close();
    Section qemu = root.section("qemu");
    String qmp = qemu.value("sockets", "", Configuration::withoutTilde);
    Path qemuSockets = qmp.isEmpty() ? null : folder.resolve(qmp).toAbsolutePath();
    if (qemuSockets != null && qemuSockets.equals(sockets.toAbsolutePath())) {
      throw qemu.refused("sockets", "is the folder of Prestage's own sockets; name another");
    }
    qemu.close();
    Vsphere vsphere = vsphere(root.section("vsphere"), folder);
    MemoryGrants.Settings guestMemory = guestMemory(root.section("guestMemory"));
    XenConnector.Options xen = xen(root.section("xen"));
    Section notices = root.section("notices");
    List<Webhook> webhooks = WebhookSettings.read(notices, folder);
    notices.close();
    FillOptions fill = fill(root.section("fill"));
    root.close();
    return new Configuration(
        state,
        sockets.toAbsolutePath(),
        List.copyOf(origins),
        tiers,
        Set.copyOf(last),
        serving,
        listen,
        promises,
        apiTcp,
        List.copyOf(tokens),
        predicting,
        dryRun,
        controls,
        kind,
        trainEvery,
        thresholds,
        limits,
        endRunAfter,
        fetching,
        fill,
        enabled,
        keep,
        keepUsage,
        capacity,
        libvirtUri,
        qemuSockets,
        vsphere,
        guestMemory,
        xen,
        List.copyOf(webhooks));
  }

  private static List<ApiToken> tokens(Section api, Path folder) throws ConfigurationException {
    List<ApiToken> tokens = new ArrayList<>();
    for (Section section : api.sections("tokens")) {
      String file = section.value("file", "", Configuration::withoutTilde);
      Optional<Role> role = section.value("role", Optional.empty(), Configuration::role);
      if (file.isEmpty() || role.isEmpty()) {
        throw section.missing(
            file.isEmpty() ? "file" : "role",
            "a token has the file that holds it and a role: read, operate or admin");
      }
      tokens.add(new ApiToken(folder.resolve(file), role.get()));
      section.close();
    }
    return tokens;
  }

  private static Optional<Role> role(String text) {
    return switch (text) {
      case "read" -> Optional.of(Role.READ);
      case "operate" -> Optional.of(Role.OPERATE);
      case "admin" -> Optional.of(Role.ADMIN);
      default ->
          throw new IllegalArgumentException("'" + text + "' is none of read, operate, admin");
    };
  }

  private static XenConnector.Options xen(Section section) throws ConfigurationException {
    XenConnector.Options none = XenConnector.Options.NONE;
    boolean enabled = section.value("enabled", false, Configuration::yesOrNo);
    List<String> through = section.values("through", text -> text);
    long least = section.value("leastMemory", none.leastMemoryBytes(), Quantities::bytes);
    Duration deadline = section.value("deadline", none.deadline(), Configuration::deadline);
    section.close();
    return new XenConnector.Options(enabled, through, least, deadline);
  }

  private static Vsphere vsphere(Section section, Path folder) throws ConfigurationException {
    URI url = section.value("url", URI.create(""), Configuration::vcenter);
    String user = section.text("user", "");
    String password = section.value("passwordFile", "", Configuration::withoutTilde);
    String fingerprint = section.value("fingerprint", "", VsphereConnector::fingerprint);
    boolean reserving = section.value("reserve", false, Configuration::yesOrNo);
    section.close();
    boolean named = !url.toString().isEmpty();
    if (named && user.isEmpty()) {
      throw section.missing("user", "who logs in to the vCenter, such as prestage@vsphere.local");
    }
    if (!named && !section.names().isEmpty()) {
      throw section.missing("url", "of a vCenter's web service, such as https://vcenter/sdk");
    }
    return new Vsphere(
        new VsphereConnector.Options(
            url, user, password.isEmpty() ? null : folder.resolve(password), fingerprint),
        reserving);
  }

  private static FillOptions fill(Section section) throws ConfigurationException {
    boolean enabled = section.value("enabled", false, Configuration::yesOrNo);
    FillOptions options =
        new FillOptions(
            section.value(
                "rate", FillOptions.DEFAULT_BYTES_PER_SECOND, Configuration::fillBytesPerSecond),
            section.value(
                "amplification", FillOptions.DEFAULT_AMPLIFICATION, Configuration::amplification));
    section.close();
    return enabled ? options : FillOptions.OFF;
  }

  private static long fillBytesPerSecond(String text) {
    long rate = Quantities.bytesPerSecond(text);
    if (rate < LEAST_FILL_RATE) {
      throw new IllegalArgumentException("'" + text + "' is less than 64KiB/s, an extent a second");
    }
    return rate;
  }

  private static double amplification(String text) {
    if (text.equals("none")) {
      return 0;
    }
    // Java's numbers end in "d" or "f" as well, or are hexadecimal.
    double most = AMPLIFICATION.matcher(text).matches() ? Double.parseDouble(text) : 0;
    if (!(most > 0 && most <= MOST_AMPLIFICATION)) {
      throw new IllegalArgumentException(
          "'" + text + "' is neither none nor above 0 and at most a million");
    }
    return most;
  }

  private static MemoryGrants.@Nullable Settings guestMemory(Section section)
      throws ConfigurationException {
    MemoryGrants.Settings byDefault = MemoryGrants.Settings.DEFAULT;
    boolean enabled = section.value("enabled", false, Configuration::yesOrNo);
    MemoryGrants.Settings settings =
        new MemoryGrants.Settings(
            section.value("floor", byDefault.floorBytes(), Configuration::floorBytes),
            section.value("headroom", byDefault.headroomPercent(), text -> whole(text, 0, 100)),
            section.value("ahead", byDefault.ahead(), Configuration::ahead));
    section.close();
    return enabled ? settings : null;
  }

  private static long floorBytes(String text) {
    long bytes = Quantities.bytes(text);
    if (bytes < LEAST_GUEST_BYTES) {
      throw new IllegalArgumentException(
          "'" + text + "' is less than 16MiB, with which no guest runs");
    }
    return bytes;
  }

  /// Zero, or three looks at the guests.
  private static Duration ahead(String text) {
    Duration ahead = Quantities.duration(text);
    if (ahead.isPositive() && ahead.compareTo(Duration.ofSeconds(3)) < 0) {
      throw new IllegalArgumentException("'" + text + "' is shorter than 3s; 0s means not ahead");
    }
    return ahead;
  }

  /// Over anything but TLS the password could be read by others.
  private static URI vcenter(String text) {
    try {
      URI url = new URI(text);
      if ("https".equals(url.getScheme()) && url.getHost() != null && url.getUserInfo() == null) {
        return url.getPath().isEmpty() ? url.resolve("/sdk") : url;
      }
    } catch (URISyntaxException _) {
      // It is said below.
    }
    throw new IllegalArgumentException(
        "'" + text.replaceAll("//[^/]*@", "//…@") + "' is no URL such as https://vcenter/sdk");
  }

  private static List<Origin> origins(Section root, Path folder) throws ConfigurationException {
    List<Origin> origins = new ArrayList<>();
    for (Section section : root.sections("origins")) {
      Origin origin = origin(section, folder);
      if (origins.stream().anyMatch(other -> other.name().equals(origin.name()))) {
        throw section.refused(
            "name", "is '" + origin.name() + "' as of an origin above: each needs its own");
      }
      origins.add(origin);
    }
    return origins;
  }

  private static Origin origin(Section section, Path folder) throws ConfigurationException {
    String name = section.text("name", "");
    String directory = section.value("directory", "", Configuration::withoutTilde);
    if (name.isEmpty() || directory.isEmpty()) {
      throw section.missing(
          name.isEmpty() ? "name" : "directory", "an origin has a name and a directory of images");
    }
    Faults decorated = faults(section.section("faults"));
    boolean anyFormat = section.value("anyFormat", false, Configuration::yesOrNo);
    long bandwidth = section.value("bandwidth", 0L, Quantities::bytesPerSecond);
    String models = section.value("models", "", Configuration::withoutTilde);
    section.close();
    return new Origin(
        name,
        folder.resolve(directory).toAbsolutePath(),
        decorated,
        anyFormat,
        bandwidth,
        models.isEmpty() ? null : folder.resolve(models).toAbsolutePath());
  }

  private static Faults faults(Section faults) throws ConfigurationException {
    Faults decorated =
        new Faults(
            faults.value("latency", Duration.ZERO, Quantities::duration),
            faults.value("bandwidth", 0L, Quantities::bytesPerSecond),
            faults.value("errors", 0.0, Configuration::share),
            faults.value("hangs", 0.0, Configuration::share),
            faults.value("corruption", 0.0, Configuration::share),
            faults.value("seed", 1L, Long::parseLong));
    faults.close();
    return decorated;
  }

  /// Those of `tiers`, or the one of `tier`.
  private static List<Tier> tiers(Section root, Path state, Path folder)
      throws ConfigurationException {
    List<Tier> tiers = new ArrayList<>();
    for (Section section : root.sections("tiers")) {
      Tier tier = tier(section, section.text("name", ""), Path.of(""), folder);
      if (tier.name().isEmpty() || tier.directory().toString().isEmpty()) {
        throw section.missing(
            tier.name().isEmpty() ? "name" : "directory",
            "each of several tiers has a name and a directory");
      }
      refuseSharing(section, tiers, tier);
      tiers.add(tier);
    }
    Section single = root.section("tier");
    if (!tiers.isEmpty() && !single.names().isEmpty()) {
      throw root.refused("tier", "is there beside 'tiers': put it into that list");
    }
    if (tiers.isEmpty()) {
      tiers.add(tier(single, single.text("name", "local"), state.resolve("tier"), folder));
    }
    single.close();
    return List.copyOf(tiers);
  }

  private static void refuseSharing(Section section, List<Tier> tiers, Tier tier)
      throws ConfigurationException {
    for (Tier other : tiers) {
      if (other.name().equals(tier.name())) {
        throw section.refused(
            "name", "is '" + tier.name() + "' as of a tier above: each needs its own");
      }
      if (other.directory().startsWith(tier.directory())
          || tier.directory().startsWith(other.directory())) {
        throw section.refused(
            "directory", "is, holds or lies in that of tier '" + other.name() + "'");
      }
    }
  }

  /// @param directory the one by default, or empty if there is none
  private static Tier tier(Section section, String name, Path directory, Path folder)
      throws ConfigurationException {
    String kind = section.value("kind", "ssd", Configuration::tierKind);
    Path chosen = section.value("directory", directory, text -> path(folder, text));
    long capacity = section.value("capacity", 8L << 30, Configuration::tierBytes);
    Faults faults = faults(section.section("faults"));
    if (faults.hangRate() > 0) {
      throw section.refused("faults", "has 'hangs', which a tier cannot have");
    }
    section.close();
    Path place = chosen.toString().isEmpty() ? chosen : chosen.toAbsolutePath().normalize();
    return new Tier(name, kind, place, capacity, faults);
  }

  private static Thresholds thresholds(Section predict) throws ConfigurationException {
    double global = predict.value("threshold", Thresholds.DEFAULT, Configuration::threshold);
    Map<ResourceType, Double> byType =
        byType(predict.section("typeThresholds"), global, Configuration::threshold);
    Map<Program.Key, Double> byProgram = new HashMap<>();
    Section programs = predict.section("programThresholds");
    for (String program : programs.names()) {
      byProgram.put(programKey(program), programs.value(program, global, Configuration::threshold));
    }
    return new Thresholds(global, byType, byProgram);
  }

  /// A value for each type of resource that a section names.
  private static <T> Map<ResourceType, T> byType(
      Section types, T otherwise, Function<String, T> parser) throws ConfigurationException {
    Map<ResourceType, T> byType = new HashMap<>();
    for (String type : types.names()) {
      T value = types.value(type, otherwise, parser);
      try {
        byType.put(ResourceType.of(type), value);
      } catch (IllegalArgumentException e) {
        throw types.refused(type, "names no type: " + e.getMessage());
      }
    }
    types.close();
    return byType;
  }

  /// `program` of the tenant `default`, or `tenant/program`.
  private static Program.Key programKey(String text) {
    int slash = text.indexOf('/');
    return slash < 0
        ? new Program.Key("default", text)
        : new Program.Key(text.substring(0, slash), text.substring(slash + 1));
  }

  /// A quarter of the tiers may be unproven, by default.
  private static Limits limits(Section stage, Duration horizon, long tierBytes)
      throws ConfigurationException {
    Section quotas = stage.section("quotas");
    Duration reclaimAfter =
        stage.value("reclaimAfter", Limits.DEFAULT.reclaimAfter(), Configuration::period);
    Limits limits =
        new Limits(
            stage.value("capacity", tierBytes / 4, Quantities::bytes),
            new Quotas(
                quotas.value("tenant", Quotas.NONE.tenantBytes(), Configuration::quota),
                quotas.value("program", Quotas.NONE.programBytes(), Configuration::quota),
                quotas.value("vm", Quotas.NONE.vmBytes(), Configuration::quota)),
            stage.value("inFlight", Limits.DEFAULT.inFlightUnits(), text -> whole(text, 1, 65_536)),
            horizon,
            reclaimAfter,
            byType(stage.section("typeReclaimAfter"), reclaimAfter, Configuration::period),
            stage.value("waiting", Limits.DEFAULT.waitingRanges(), text -> whole(text, 0, 1 << 20)),
            Limits.DEFAULT.uselessPerDemand());
    if (limits.stagedBytes() > tierBytes) {
      throw stage.refused("capacity", "is more than 'tier.capacity'");
    }
    quotas.close();
    stage.close();
    return limits;
  }

  private static long quota(String text) {
    long bytes = Quantities.bytes(text);
    if (bytes < Shape.BLOCK_BYTES) {
      throw new IllegalArgumentException("'" + text + "' is less than 64KiB, one extent");
    }
    return bytes;
  }

  private static Duration period(String text) {
    Duration period = Quantities.duration(text);
    if (period.compareTo(Duration.ofSeconds(1)) < 0) {
      throw new IllegalArgumentException(
          "'" + text + "' is less than 1s: extents would be given back before their use");
    }
    return period;
  }

  /// Zero, or at least a minute.
  private static Duration pause(String text) {
    Duration pause = Quantities.duration(text);
    if (pause.isPositive() && pause.compareTo(Duration.ofMinutes(1)) < 0) {
      throw new IllegalArgumentException("'" + text + "' is shorter than a minute; 0s means never");
    }
    return pause;
  }

  private static String imageName(String text) {
    if (!IMAGE_NAME.matcher(text).matches()) {
      throw new IllegalArgumentException(
          "'"
              + text
              + "' is no image's name: 1 to 128 letters, digits, '.', '_' or '-', not beginning"
              + " with '.'");
    }
    return text;
  }

  private static Path path(Path folder, String text) {
    return folder.resolve(withoutTilde(text));
  }

  /// A shell would have put a home folder there; here it would be a folder of that name.
  private static String withoutTilde(String text) {
    if (text.startsWith("~")) {
      throw new IllegalArgumentException("'" + text + "': '~' has no meaning here, write the path");
    }
    return text;
  }

  private static Duration deadline(String text) {
    Duration deadline = Quantities.duration(text);
    if (deadline.compareTo(LEAST_DEADLINE) < 0) {
      throw new IllegalArgumentException("'" + text + "' is less than 100ms, in which reads fail");
    }
    return deadline;
  }

  private static boolean yesOrNo(String text) {
    return switch (text) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new IllegalArgumentException("'" + text + "' is neither true nor false");
    };
  }

  private static String address(String text) {
    int colon = text.lastIndexOf(':');
    if (colon < 1 || !text.substring(colon + 1).matches("[0-9]{1,5}")) {
      throw new IllegalArgumentException("'" + text + "' is not of the form host:port");
    }
    int port = Integer.parseInt(text.substring(colon + 1));
    if (port > 65_535) {
      throw new IllegalArgumentException("port " + port + " is above 65535");
    }
    return text;
  }

  /// Guests are told the address, so it is one, and not all that this host has.
  private static InetAddress addressOfThisHost(String text) {
    if (text.indexOf('%') >= 0) {
      throw new IllegalArgumentException(
          "'"
              + text
              + "' is valid on one link only, and guests name that otherwise; name an address"
              + " without '%'");
    }
    InetAddress address;
    try {
      address = InetAddress.ofLiteral(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("'" + text + "' is no IP address", e);
    }
    if (address.isAnyLocalAddress() || address.isMulticastAddress()) {
      throw new IllegalArgumentException(
          "'" + text + "' is not one address of this host; name the one that guests reach");
    }
    return address;
  }

  private static String group(String text) {
    try {
      return FileSystems.getDefault()
          .getUserPrincipalLookupService()
          .lookupPrincipalByGroupName(text)
          .getName();
    } catch (IOException e) {
      throw new IllegalArgumentException("this host has no group '" + text + "'", e);
    }
  }

  private static long tierBytes(String text) {
    long bytes = Quantities.bytes(text);
    if (bytes < LEAST_TIER_BYTES) {
      throw new IllegalArgumentException("'" + text + "' is less than 16MiB, which keeps nothing");
    }
    return bytes;
  }

  /// History is dropped by the hour.
  private static Duration age(String text) {
    Duration age = Quantities.duration(text);
    if (age.compareTo(Duration.ofHours(1)) < 0) {
      throw new IllegalArgumentException("'" + text + "' is less than 1h, which keeps nothing");
    }
    return age;
  }

  private static long historyBytes(String text) {
    long bytes = Quantities.bytes(text);
    if (bytes < LEAST_HISTORY_BYTES) {
      throw new IllegalArgumentException("'" + text + "' is less than 64MiB");
    }
    return bytes;
  }

  private static double share(String text) {
    double share = Double.parseDouble(text);
    if (!(share >= 0 && share <= 1)) {
      throw new IllegalArgumentException("'" + text + "' is not between 0 and 1");
    }
    return share;
  }

  private static double threshold(String text) {
    return text.equals("auto") ? Thresholds.AUTO : share(text);
  }

  private static int whole(String text, int least, int most) {
    int number = Integer.parseInt(text);
    if (number < least || number > most) {
      throw new IllegalArgumentException("'" + text + "' is not between " + least + " and " + most);
    }
    return number;
  }

  private static String uri(String text) {
    if (!text.matches("[a-z0-9+]+:.+")) {
      throw new IllegalArgumentException("'" + text + "' is no URI such as qemu:///system");
    }
    return text;
  }

  private static String tierKind(String text) {
    if (!List.of("ram", "ssd", "hdd", "nas").contains(text)) {
      throw new IllegalArgumentException("'" + text + "' is none of ram, ssd, hdd, nas");
    }
    return text;
  }
}
