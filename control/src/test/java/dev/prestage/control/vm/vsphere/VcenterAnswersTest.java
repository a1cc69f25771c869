package dev.prestage.control.vm.vsphere;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.prestage.control.vm.Guest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/// Answers that a vCenter may give and the simulator does not.
final class VcenterAnswersTest {
  private static final String CONTENT =
      "<returnval><rootFolder type=\"Folder\">f</rootFolder>"
          + "<propertyCollector type=\"PropertyCollector\">p</propertyCollector>"
          + "<viewManager type=\"ViewManager\">v</viewManager>"
          + "<sessionManager type=\"SessionManager\">s</sessionManager></returnval>";

  private final List<String> asked = new CopyOnWriteArrayList<>();
  private HttpServer server;

  @BeforeEach
  void serve() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/sdk", this::answer);
    server.start();
  }

  @AfterEach
  void end() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
    String method = body.replaceAll("(?s).*<e:Body><(\\w+).*", "$1");
    asked.add(method);
    if (method.equals("Login")) {
      exchange.getResponseHeaders().add("Set-Cookie", "vmware_soap_session=\"key\"; Path=/");
    } else if (asked.size() > 2) {
      asked.add(exchange.getRequestHeaders().getFirst("Cookie"));
    }
    byte[] answer =
        ("<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><R xmlns='urn:vim25'>"
                + response(method, body)
                + "</R></e:Body></e:Envelope>")
            .getBytes(UTF_8);
    exchange.sendResponseHeaders(200, answer.length);
    exchange.getResponseBody().write(answer);
    exchange.close();
  }

  private static String response(String method, String body) {
    return switch (method) {
      case "RetrieveServiceContent" -> CONTENT;
      case "CreateContainerView" -> "<returnval type='ContainerView'>c</returnval>";
      case "WaitForUpdatesEx" -> {
        if (body.contains("<version></version>")) {
          yield updates("1", true, machine("vm-1", "a%2fb", "poweredOn"));
        }
        yield body.contains("<version>1</version>")
            ? updates("2", false, machine("vm-2", "db", "suspended"))
            : "";
      }
      default -> "";
    };
  }

  private static String updates(String version, boolean truncated, String machines) {
    return "<returnval><version>%s</version><filterSet>%s</filterSet><truncated>%s</truncated></returnval>"
        .formatted(version, machines, truncated);
  }

  private static String machine(String ref, String name, String power) {
    return """
    <objectSet><kind>enter</kind><obj type="VirtualMachine">%s</obj>
    <changeSet><name>name</name><op>assign</op><val>%s</val></changeSet>
    <changeSet><name>runtime.powerState</name><op>assign</op><val>%s</val></changeSet></objectSet>\
    """
        .formatted(ref, name, power);
  }

  @Test
  void anAnswerInPiecesIsPutTogetherAndTheSessionIsKept() throws Exception {
    URI url = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/sdk");
    VsphereHypervisor hypervisor =
        VsphereHypervisor.open(
            new VimService(url, CertificatePin.context("")), url, "u", "secret", 1);
    assertThat(hypervisor.guests())
        .containsExactly(
            new Guest("vm-1", "a/b", true, true, null), new Guest("vm-2", "db", false, true, null));
    assertThat(asked)
        .containsExactly(
            "RetrieveServiceContent",
            "Login",
            "CreateContainerView",
            "vmware_soap_session=\"key\"",
            "CreateFilter",
            "vmware_soap_session=\"key\"",
            "WaitForUpdatesEx",
            "vmware_soap_session=\"key\"",
            "WaitForUpdatesEx",
            "vmware_soap_session=\"key\"");
    hypervisor.close();
    assertThat(asked).contains("Logout");
  }

  @Test
  void othersConfigurationIsNotKept() throws Exception {
    Element options =
        parse(
            """
            <v><o><key>guestinfo.password</key><value>geheim</value></o>
            <o><key>prestage.program</key><value>old</value></o>
            <o><key>prestage.program</key><value> web </value></o>
            <o><key>prestage.vm</key><value></value></o></v>\
            """);
    assertThat(Inventory.labelsIn(options)).isEqualTo(Map.of("prestage.program", "web"));
  }

  @Test
  void anAnswerCannotHaveFilesReadOrEntitiesMultiply() {
    assertThatThrownBy(
            () -> parse("<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><a>&e;</a>"))
        .isInstanceOf(IOException.class)
        .hasMessage("the answer is no XML");
  }

  @Test
  void whatIsSentBackIsWhatCame() throws Exception {
    String disk =
        "<device xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\" x:type=\"VirtualDisk\">"
            + "<key>1</key><name>a &lt; b &amp; c</name><d type=\"Datastore\">d-1</d></device>";
    assertThat(Xml.written(parse(disk), "device"))
        .isEqualTo(
            "<device xsi:type=\"VirtualDisk\"><key>1</key><name>a &lt; b &amp; c</name>"
                + "<d type=\"Datastore\">d-1</d></device>");
  }

  private static Element parse(String xml) throws IOException {
    return Xml.parse(new ByteArrayInputStream(xml.getBytes(UTF_8)));
  }
}
