package dev.prestage.control.vm.vsphere;

import dev.prestage.control.vm.HypervisorException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;
import org.w3c.dom.Element;

/// Calls of the web service, over one client with one session. Thread-safe.
final class VimService implements AutoCloseable {
  private static final Duration CONNECT = Duration.ofSeconds(10);

  /// A vCenter sends what changed in pieces; 5,000 guests in one were some 50 MB.
  private static final long LARGEST_ANSWER = 256L << 20;

  private static final String SESSION = "vmware_soap_session=";

  private final URI url;
  private final HttpClient client;
  private volatile String cookie = "";
  private volatile boolean lost;

  VimService(URI url, SSLContext trust) {
    this.url = url;
    this.client =
        HttpClient.newBuilder()
            .sslContext(trust)
            .connectTimeout(CONNECT)
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .build();
  }

  /// An object of the service.
  ///
  /// @param type such as `VirtualMachine`
  record Ref(String type, String value) {
    static Ref of(@Nullable Element element) throws IOException {
      if (element == null) {
        throw new IOException("the answer names no object");
      }
      return new Ref(element.getAttribute("type"), element.getTextContent().strip());
    }

    String as(String name) {
      return "<%s type=\"%s\">%s</%s>".formatted(name, type, Xml.escaped(value), name);
    }
  }

  /// Calls a method of an object.
  ///
  /// @param arguments XML
  /// @return the response's element
  /// @throws VimFault if the service refuses
  /// @throws HypervisorException one line, if it cannot be asked
  Element call(String method, Ref on, String arguments, Duration patience) throws IOException {
    String body =
        """
        <?xml version="1.0" encoding="UTF-8"?><e:Envelope \
        xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" \
        xmlns:xsd="http://www.w3.org/2001/XMLSchema" \
        xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>\
        <%s xmlns="urn:vim25">%s%s</%s></e:Body></e:Envelope>\
        """
            .formatted(method, on.as("_this"), arguments, method);
    HttpRequest.Builder request =
        HttpRequest.newBuilder(url)
            .timeout(patience)
            .header("Content-Type", "text/xml; charset=utf-8")
            .header("SOAPAction", "urn:vim25/6.5")
            .POST(HttpRequest.BodyPublishers.ofString(body));
    String session = cookie;
    if (!session.isEmpty()) {
      request.header("Cookie", session);
    }
    HttpResponse<InputStream> response = send(request.build());
    try (InputStream in = response.body()) {
      for (String set : response.headers().allValues("Set-Cookie")) {
        if (set.startsWith(SESSION)) {
          cookie = set.split(";", 2)[0];
        }
      }
      int status = response.statusCode();
      if (status != 200 && status != 500) {
        throw new HypervisorException(
            url
                + " answers with HTTP status "
                + status
                + ": it is starting, or its web service is not there");
      }
      return answer(Xml.parse(in));
    } catch (HypervisorException | VimFault e) {
      throw e;
    } catch (IOException e) {
      lost = true;
      throw new HypervisorException(url + " broke off its answer: " + reason(e));
    }
  }

  /// Whether a call was not answered: this client is not used any more then.
  boolean isLost() {
    return lost;
  }

  String session() {
    return cookie.substring(Math.min(cookie.length(), SESSION.length()));
  }

  private HttpResponse<InputStream> send(HttpRequest request) throws HypervisorException {
    try {
      return client.send(
          request, BodyHandlers.limiting(BodyHandlers.ofInputStream(), LARGEST_ANSWER));
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new HypervisorException(url + " was not waited for any more");
    } catch (HttpTimeoutException _) {
      lost = true;
      throw new HypervisorException(url + " does not answer");
    } catch (IOException e) {
      lost = true;
      throw new HypervisorException(url + " cannot be connected to: " + reason(e));
    }
  }

  /// What the exceptions say, the deepest that says something first.
  private static String reason(Throwable thrown) {
    String said = thrown.getClass().getSimpleName();
    for (Throwable e = thrown; e != null; e = e.getCause()) {
      if (e instanceof CertificatePin.Untrusted) {
        return e.getMessage() + "";
      }
      String message = e.getMessage();
      if (message != null && !message.isBlank()) {
        said = message.lines().findFirst().orElse(said);
      }
    }
    return thrown instanceof java.net.ConnectException && said.equals("ConnectException")
        ? "connection refused or no such host"
        : said;
  }

  private static Element answer(Element envelope) throws IOException {
    Element body = Xml.child(envelope, "Body");
    Element fault = Xml.child(body, "Fault");
    if (fault != null) {
      Element detail = Xml.child(fault, "detail");
      Element what = detail == null ? null : Xml.children(detail).stream().findFirst().orElse(null);
      throw VimFault.of(what, Xml.text(fault, "faultstring"));
    }
    if (body == null || Xml.children(body).isEmpty()) {
      throw new IOException("the answer is empty");
    }
    return Xml.children(body).getFirst();
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
