package dev.prestage.cli.process;

import dev.prestage.cli.config.Configuration;
import dev.prestage.cli.config.Configuration.ForecasterKind;
import dev.prestage.control.ControlPlane;
import dev.prestage.control.ControlPlane.HistorySink;
import dev.prestage.control.aggregate.Usage;
import dev.prestage.control.api.ApiServer;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.control.record.HistoryKeeper;
import dev.prestage.control.record.HistoryWriter;
import dev.prestage.control.train.TrainerProcess;
import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.MemoryGrants;
import dev.prestage.control.vm.Reservations;
import dev.prestage.control.vm.libvirt.LibvirtConnector;
import dev.prestage.control.vm.qmp.QmpConnector;
import dev.prestage.control.vm.vsphere.VsphereConnector;
import dev.prestage.control.vm.xen.XenConnector;
import dev.prestage.control.webhook.Webhooks;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.HostClock;
import dev.prestage.link.host.StateLock;
import dev.prestage.simulator.policy.PeerForecaster;
import dev.prestage.simulator.policy.Readahead;
import dev.prestage.simulator.policy.Reap;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// The control plane's process, wired: history and notices around the engine, the API before it.
public final class ControlPlaneProcess {
  /// What readahead may have ahead of a copy: a largest window for each reader it tells apart.
  private static final int READ_AHEAD = Readahead.READERS * Readahead.LARGEST_WINDOW;

  private ControlPlaneProcess() {}

  /// Opens the plane; closing it ends it.
  public static AutoCloseable open(Configuration configuration)
      throws IOException, InterruptedException {
    Clock clock = new HostClock();
    StateLock.awaitFree(configuration.state(), "control-plane");
    StateLock lock = StateLock.take(configuration.state(), "control-plane");
    NoticeHub notices = new NoticeHub(clock);
    Webhooks webhooks = Webhooks.start(configuration.webhooks(), notices, clock);
    HistoryKeeper keeper =
        new HistoryKeeper(
            configuration.history(),
            new HistoryKeeper.Retention(
                configuration.historyKeep(),
                configuration.historyCapacityBytes(),
                configuration.historyKeepUsage()),
            Supervisor.lastOneCrashed(),
            clock,
            notices);
    HistoryWriter history =
        configuration.historyEnabled() ? new HistoryWriter(keeper, clock, notices) : null;
    ControlPlane plane =
        ControlPlane.start(
            new ControlPlane.Options(
                configuration.state(),
                configuration.linkSocket(),
                configuration.nbdSocket(),
                configuration.nbd().tcp(),
                configuration.thresholds(),
                configuration.limits(),
                configuration.endRunAfter(),
                configuration.predicting(),
                configuration.dryRun(),
                configuration.controls(),
                serving(configuration.forecaster())),
            clock,
            history == null ? new NoHistory() : new Kept(history, keeper),
            notices);
    Path trainer = configuration.state().resolve("trainer");
    plane.trainWith(
        () -> TrainerProcess.installed(SelfCommand.home(), trainer),
        configuration.historyKeep(),
        configuration.trainEvery());
    plane.nameOrigins(
        configuration.origins().stream()
            .map(origin -> new Reply.OriginView(origin.name(), origin.directory().toString()))
            .toList());
    plane.fetchModelsFrom(
        configuration.origins().stream()
            .map(Configuration.Origin::models)
            .filter(Objects::nonNull)
            .toList());
    SequencedMap<String, String> tierKinds = new LinkedHashMap<>();
    configuration.tiers().forEach(tier -> tierKinds.put(tier.name(), tier.kind()));
    plane.nameTiers(tierKinds);
    List<AutoCloseable> watching = new ArrayList<>();
    MemoryGrants.Settings memory = configuration.guestMemory();
    if (!configuration.libvirt().isEmpty()) {
      watching.add(follow(plane, new LibvirtConnector(configuration.libvirt())));
      if (memory != null) {
        GuestWatch.Connector own = new LibvirtConnector(configuration.libvirt());
        watching.add(size(plane, own, configuration.state(), clock, memory));
      }
    }
    Path qmp = configuration.qemuSockets();
    if (qmp != null) {
      QmpConnector connector = new QmpConnector(qmp);
      watching.add(follow(plane, connector));
      plane.alsoReport("qemu-machines", connector::state);
      plane.alsoCount(connector::counters);
      if (memory != null) {
        // The same one: a QMP socket serves one client.
        watching.add(size(plane, connector, configuration.state(), clock, memory));
      }
    }
    if (configuration.xen().enabled()) {
      watching.add(follow(plane, new XenConnector(configuration.xen())));
      if (memory != null) {
        GuestWatch.Connector own = new XenConnector(configuration.xen());
        watching.add(size(plane, own, configuration.state(), clock, memory));
      }
    }
    VsphereConnector.Options vcenter = configuration.vsphere().options();
    if (vcenter.isOn()) {
      // One for both, so that a wrong password is sent by one of them only.
      VsphereConnector connector = new VsphereConnector(vcenter);
      watching.add(follow(plane, connector));
      if (configuration.vsphere().reserving()) {
        Reservations reservations =
            Reservations.start(
                connector, configuration.state().resolve("memory-runs"), clock, Reservations.EVERY);
        plane.alsoReport("vsphere-reservations", reservations::state);
        plane.alsoCount(reservations::counters);
        watching.add(reservations);
      }
    }
    if (!configuration.webhooks().isEmpty()) {
      plane.showWebhooks(webhooks::views);
      plane.alsoReport("webhooks", webhooks::state);
      plane.alsoCount(webhooks::counters);
    }
    ApiServer api =
        new ApiServer(
            new ApiServer.Options(
                configuration.apiSocket(),
                address("api.tcp", configuration.apiTcp()),
                configuration.apiTokens()),
            plane,
            notices,
            clock);
    plane.alsoCount(notices::counters);
    plane.alsoCount(api::counters);
    if (history != null) {
      plane.alsoCount(history::counters);
      plane.alsoCount(keeper::counters);
    }
    return () -> {
      for (AutoCloseable each : watching) {
        each.close();
      }
      api.close();
      plane.close();
      notices.close();
      webhooks.close();
      if (history != null) {
        history.close();
      }
      lock.close();
    };
  }

  private static GuestWatch follow(ControlPlane plane, GuestWatch.Connector connector) {
    GuestWatch watch = GuestWatch.start(plane, connector);
    plane.alsoReport(connector.name(), watch::state);
    plane.alsoCount(watch::counters);
    return watch;
  }

  /// @param connector of a hypervisor that can change a guest's memory, for this alone
  private static MemoryGrants size(
      ControlPlane plane,
      GuestWatch.Connector connector,
      Path state,
      Clock clock,
      MemoryGrants.Settings settings)
      throws IOException {
    MemoryGrants grants =
        MemoryGrants.start(connector, state.resolve("guest-memory"), clock, settings);
    plane.alsoReport(connector.name() + "-memory", grants::state);
    plane.alsoCount(grants::counters);
    return grants;
  }

  private static Function<HybridForecaster, Forecaster> serving(ForecasterKind kind) {
    return switch (kind) {
      case PRESTAGE -> learnt -> learnt;
      case READAHEAD -> _ -> new PeerForecaster(new Readahead(), READ_AHEAD);
      case REPLAY -> learnt -> new PeerForecaster(new Reap(learnt.lastRun()), Integer.MAX_VALUE);
    };
  }

  /// The address that a key names, or null if it names none.
  ///
  /// @throws IOException one line, if this host cannot resolve it
  static @Nullable InetSocketAddress address(String key, String hostAndPort) throws IOException {
    if (hostAndPort.isEmpty()) {
      return null;
    }
    int colon = hostAndPort.lastIndexOf(':');
    InetSocketAddress address;
    try {
      address =
          new InetSocketAddress(
              hostAndPort.substring(0, colon), Integer.parseInt(hostAndPort.substring(colon + 1)));
    } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
      throw new IOException("'" + hostAndPort + "' is no address of the form host:port", e);
    }
    if (address.isUnresolved()) {
      throw new IOException(
          "this host knows no address of '"
              + address.getHostString()
              + "' ("
              + key
              + "): name one of its own");
    }
    return address;
  }

  /// Accesses go to the database's writer.
  private record Kept(HistoryWriter writer, HistoryKeeper keeper) implements HistorySink {
    @Override
    public void offer(Access access, Binding binding) {
      // What does not fit is counted by the writer.
      boolean _ = writer.offer(access, binding);
    }

    @Override
    public void forget(Vm vm) {
      writer.forget(vm.name());
    }

    @Override
    public List<AccessHistory.Row> find(AccessHistory.Query query) throws Refusal {
      return writer.find(query);
    }

    @Override
    public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
        throws Refusal {
      writer.scan(selection, visitor);
    }

    @Override
    public Iterator<Usage> usage(long fromNanos, long toNanos) {
      return keeper.usage(fromNanos, toNanos);
    }

    @Override
    public String state() {
      String state = writer.health();
      String found = keeper.trouble();
      return state.equals("ok") && !found.isEmpty() ? found : state;
    }
  }

  /// History is switched off.
  private record NoHistory() implements HistorySink {
    @Override
    public void offer(Access access, Binding binding) {}

    @Override
    public void forget(Vm vm) {}

    @Override
    public List<AccessHistory.Row> find(AccessHistory.Query query) throws Refusal {
      throw off();
    }

    @Override
    public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
        throws Refusal {
      throw off();
    }

    private static Refusal off() {
      return new Refusal(
          Refusal.Reason.UNAVAILABLE, "history is switched off (history.enabled: false)");
    }

    @Override
    public String state() {
      return "ok";
    }
  }
}
