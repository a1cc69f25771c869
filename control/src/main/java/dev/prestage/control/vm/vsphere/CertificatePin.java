package dev.prestage.control.vm.vsphere;

import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.HexFormat;
import java.util.Locale;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/// Trusts one certificate, known by its SHA-256 fingerprint, whatever its name and its issuer; or,
/// where none is named, those that this system trusts.
///
/// That it is an *extended* trust manager matters: the check of the host's name is left to it, so a
/// pinned certificate needs no name, and no property of the whole process.
final class CertificatePin extends X509ExtendedTrustManager {
  private final X509ExtendedTrustManager system;
  private final String pinned;

  private CertificatePin(X509ExtendedTrustManager system, String pinned) {
    this.system = system;
    this.pinned = pinned;
  }

  /// A certificate is not trusted. The message is what there is to say.
  static final class Untrusted extends CertificateException {
    private static final long serialVersionUID = 1;

    Untrusted(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /// @param fingerprint as [#normal] makes it, or empty for the system's trust
  static SSLContext context(String fingerprint) {
    try {
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init((KeyStore) null);
      for (TrustManager manager : factory.getTrustManagers()) {
        if (manager instanceof X509ExtendedTrustManager system) {
          SSLContext context = SSLContext.getInstance("TLS");
          context.init(null, new TrustManager[] {new CertificatePin(system, fingerprint)}, null);
          return context;
        }
      }
      throw new IllegalStateException("this JDK has no X.509 trust manager");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK cannot do TLS", e);
    }
  }

  /// A fingerprint as it is compared and shown: `AB:CD:…`.
  ///
  /// @throws IllegalArgumentException if it is none
  static String normal(String fingerprint) {
    String digits = fingerprint.replace(":", "").replace(" ", "").toUpperCase(Locale.ROOT);
    if (!digits.matches("[0-9A-F]{64}")) {
      throw new IllegalArgumentException(
          "'" + fingerprint + "' is no SHA-256 fingerprint: 64 digits of 0-9 and A-F");
    }
    return digits.replaceAll("(..)(?!$)", "$1:");
  }

  private static String fingerprint(X509Certificate certificate) throws CertificateException {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded());
      return HexFormat.ofDelimiter(":").withUpperCase().formatHex(digest);
    } catch (GeneralSecurityException e) {
      throw new CertificateException("a certificate has no fingerprint", e);
    }
  }

  @FunctionalInterface
  private interface Check {
    void run() throws CertificateException;
  }

  private void check(X509Certificate[] chain, Check bySystem) throws CertificateException {
    String seen = fingerprint(chain[0]);
    if (pinned.isEmpty()) {
      try {
        bySystem.run();
      } catch (CertificateException e) {
        throw new Untrusted(
            "its certificate is not trusted by this system; if its SHA-256 fingerprint is the one"
                + " that vCenter's console shows, set vsphere.fingerprint to "
                + seen,
            e);
      }
    } else if (!seen.equals(pinned)) {
      throw new Untrusted(
          "its certificate has the SHA-256 fingerprint "
              + seen
              + " and not the configured one; where it was renewed, set vsphere.fingerprint to that",
          new CertificateException("another fingerprint"));
    }
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
      throws CertificateException {
    check(chain, () -> system.checkServerTrusted(chain, type, engine));
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
      throws CertificateException {
    check(chain, () -> system.checkServerTrusted(chain, type, socket));
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
    check(chain, () -> system.checkServerTrusted(chain, type));
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
      throws CertificateException {
    throw new CertificateException("there are no clients");
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
      throws CertificateException {
    throw new CertificateException("there are no clients");
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
    throw new CertificateException("there are no clients");
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return system.getAcceptedIssuers();
  }
}
