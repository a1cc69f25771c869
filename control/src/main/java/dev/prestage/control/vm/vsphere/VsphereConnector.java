package dev.prestage.control.vm.vsphere;

import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;

/// Logs in to a vCenter, again and again where need be.
public final class VsphereConnector implements GuestWatch.Connector {
  /// Where the password is if there is no file with it.
  public static final String PASSWORD_VARIABLE = "PRESTAGE_VSPHERE_PASSWORD";

  /// vCenter locks an account after five wrong passwords within three minutes, by default: twice
  /// within that is far from it, also beside somebody who mistypes.
  private static final Duration AFTER_WRONG_PASSWORD = Duration.ofMinutes(2);

  private final Options options;
  private final int waitSeconds;
  private final SSLContext trust;
  private @Nullable String refusedPassword;
  private long refusedNanos;

  /// Where and as whom.
  ///
  /// @param url of the web service: `https://HOST/sdk`
  /// @param passwordFile the file whose first line is the password; null: the environment has it
  /// @param fingerprint the SHA-256 fingerprint of the server's certificate, or empty for this
  ///   system's trust
  public record Options(URI url, String user, @Nullable Path passwordFile, String fingerprint) {
    /// Where nothing is configured.
    public static final Options NONE = new Options(URI.create(""), "", null, "");

    public Options {
      fingerprint = fingerprint.isEmpty() ? "" : CertificatePin.normal(fingerprint);
    }

    /// Whether a vCenter is configured.
    public boolean isOn() {
      return !user.isEmpty();
    }
  }

  /// A SHA-256 fingerprint as it is shown and compared.
  ///
  /// @throws IllegalArgumentException one line, if it is none
  public static String fingerprint(String text) {
    return CertificatePin.normal(text);
  }

  /// Connects to nothing yet.
  public VsphereConnector(Options options) {
    this(options, VsphereHypervisor.WAIT_SECONDS);
  }

  /// @param waitSeconds how long one wait for changes takes: an ended session is seen after it
  VsphereConnector(Options options, int waitSeconds) {
    this.options = options;
    this.waitSeconds = waitSeconds;
    this.trust = CertificatePin.context(options.fingerprint());
  }

  @Override
  public String name() {
    return "vsphere";
  }

  @Override
  public synchronized Hypervisor connect() throws HypervisorException {
    String password = password();
    if (password.equals(refusedPassword)
        && System.nanoTime() - refusedNanos < AFTER_WRONG_PASSWORD.toNanos()) {
      throw wrongPassword();
    }
    VimService service = new VimService(options.url(), trust);
    VsphereHypervisor hypervisor = null;
    try {
      hypervisor =
          VsphereHypervisor.open(service, options.url(), options.user(), password, waitSeconds);
      refusedPassword = null;
      return hypervisor;
    } catch (VimFault e) {
      if (e.kind.equals("InvalidLogin")) {
        refusedPassword = password;
        refusedNanos = System.nanoTime();
        throw wrongPassword();
      }
      throw new HypervisorException(
          options.url() + " refuses the login of " + options.user() + ": " + e.kind);
    } catch (HypervisorException e) {
      throw e;
    } catch (IOException e) {
      throw new HypervisorException(options.url() + " is no vCenter: " + e.getMessage());
    } finally {
      if (hypervisor == null) {
        service.close();
      }
    }
  }

  private HypervisorException wrongPassword() {
    return new HypervisorException(
        options.url()
            + " does not accept the user "
            + options.user()
            + " with the password in "
            + (options.passwordFile() == null ? PASSWORD_VARIABLE : options.passwordFile())
            + "; another one is tried with the next attempt, the same one every two minutes");
  }

  private String password() throws HypervisorException {
    Path file = options.passwordFile();
    String password;
    if (file == null) {
      password = System.getenv(PASSWORD_VARIABLE);
    } else {
      try {
        password = Files.readString(file).lines().findFirst().orElse("");
      } catch (IOException e) {
        throw new HypervisorException(
            "the password file " + file + " cannot be read: " + e.getClass().getSimpleName());
      }
    }
    if (password == null || password.isEmpty()) {
      throw new HypervisorException(
          "there is no password for "
              + options.user()
              + (file == null
                  ? ": name a file in vsphere.passwordFile, or set " + PASSWORD_VARIABLE
                  : ": the first line of " + file + " is empty"));
    }
    return password;
  }

  @Override
  public void close() {}
}
