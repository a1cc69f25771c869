package dev.prestage.control.vm.xen;

import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import java.time.Duration;
import java.util.List;

/// Reaches a Xen host, again and again where need be.
public final class XenConnector implements GuestWatch.Connector {
  private final XenTools tools;
  private final Options options;

  /// How the host is reached.
  ///
  /// @param enabled whether a host is configured
  /// @param through what stands before each of Xen's commands; empty on the host itself
  /// @param leastMemoryBytes no domain is given less, unless its label says so
  /// @param deadline how long one command may take
  public record Options(
      boolean enabled, List<String> through, long leastMemoryBytes, Duration deadline) {
    /// Where nothing is configured.
    public static final Options NONE =
        new Options(false, List.of(), 256L << 20, Duration.ofSeconds(10));

    public Options {
      through = List.copyOf(through);
    }
  }

  /// Connects to nothing yet.
  public XenConnector(Options options) {
    this.options = options;
    this.tools = new XenTools(options.through(), options.deadline());
  }

  @Override
  public String name() {
    return "xen";
  }

  @Override
  public Hypervisor connect() throws HypervisorException {
    XenHypervisor hypervisor = new XenHypervisor(tools, options.leastMemoryBytes());
    // Whoever may not list domains hears it now.
    hypervisor.guests();
    return hypervisor;
  }

  @Override
  public void close() {}
}
