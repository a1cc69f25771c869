package dev.prestage.cli.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.prestage.control.api.ApiToken;
import dev.prestage.control.command.Role;
import dev.prestage.control.notice.NoticeJson;
import dev.prestage.control.vm.MemoryGrants;
import dev.prestage.control.vm.xen.XenConnector;
import dev.prestage.control.webhook.Webhook;
import dev.prestage.dataplane.block.FillOptions;
import dev.prestage.engine.allocate.Quotas;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigurationTest {
  private static final Path MANUAL =
      Path.of(System.getProperty("prestage.home"), "docs", "configuration.md");

  @TempDir Path folder;

  private Configuration read(String yaml) throws Exception {
    return Configuration.read(Files.writeString(folder.resolve("prestage.yaml"), yaml));
  }

  @Test
  void withoutAFileEverythingIsAsByDefault() throws ConfigurationException {
    Configuration configuration = Configuration.read(null);
    assertThat(configuration.thresholds()).isEqualTo(Thresholds.all(Thresholds.DEFAULT));
    assertThat(configuration.tierBytes()).isEqualTo(8L << 30);
    assertThat(configuration.limits().stagedBytes()).isEqualTo(2L << 30);
    assertThat(configuration.predicting()).isTrue();
    assertThat(configuration.dryRun()).isFalse();
    assertThat(configuration.nbd().tcp()).isEmpty();
    assertThat(configuration.connectionsListen().getHostAddress()).isEqualTo("127.0.0.1");
    assertThat(configuration.apiTcp()).isEmpty();
    assertThat(configuration.libvirt()).isEmpty();
  }

  @Test
  void fillIsOffUnlessAskedForAndCapped() throws Exception {
    assertThat(Configuration.read(null).fill()).isEqualTo(FillOptions.OFF);
    assertThat(read("fill: {rate: 1MiB/s}\n").fill()).isEqualTo(FillOptions.OFF);
    assertThat(read("fill: {enabled: true}\n").fill()).isEqualTo(new FillOptions(16L << 20, 100));
    assertThat(read("fill: {enabled: true, rate: 1MB/s, amplification: none}\n").fill())
        .isEqualTo(new FillOptions(1_000_000, 0));
    for (String wrong : List.of("0", "abc", "5d", "0x1p3", "-1", "2000000")) {
      assertThatThrownBy(() -> read("fill: {amplification: " + wrong + "}\n"))
          .hasMessageContaining("neither none nor above 0");
    }
    assertThatThrownBy(() -> read("fill: {rate: 1KiB/s}\n")).hasMessageContaining("64KiB/s");
  }

  @Test
  void imagesThatAreEvictedLastAreNamed() throws Exception {
    assertThat(Configuration.read(null).evictLast()).isEmpty();
    assertThat(read("evictLast: [debian12.raw, web.raw]\n").evictLast())
        .containsExactlyInAnyOrder("debian12.raw", "web.raw");
    assertThatThrownBy(() -> read("evictLast: debian12.raw\n"))
        .hasMessageContaining("'evictLast' must be a list");
    assertThatThrownBy(() -> read("evictLast: [a.raw, '']\n"))
        .hasMessageContaining(":1:20: 'evictLast': '' is no image's name");
    for (String wrong : List.of("base/web.raw", "../q", ".hidden", "~x", "é", "x".repeat(129))) {
      assertThatThrownBy(() -> read("evictLast: [" + wrong + "]\n"))
          .hasMessageContaining("is no image's name");
    }
  }

  @Test
  void theSocketsOfQemuAreInAFolderOfTheirOwn() throws Exception {
    assertThat(read("qemu: {sockets: qmp}\n").qemuSockets()).isEqualTo(folder.resolve("qmp"));
    assertThat(Configuration.read(null).qemuSockets()).isNull();
    assertThatThrownBy(() -> read("sockets: s\nqemu: {sockets: s}\n"))
        .hasMessageContaining("qemu.sockets' is the folder of Prestage's own sockets");
    assertThatThrownBy(() -> read("qemu: {socket: s}\n")).hasMessageContaining("socket");
    assertThatThrownBy(() -> read("qemu: {sockets: ~/s}\n")).hasMessageContaining("'~'");
  }

  @Test
  void aXenHostIsReachedThroughACommand() throws Exception {
    XenConnector.Options xen =
        read("xen: {enabled: true, through: [ssh, root@dom0], leastMemory: 512MiB, deadline: 5s}\n")
            .xen();
    assertThat(xen)
        .isEqualTo(
            new XenConnector.Options(
                true, List.of("ssh", "root@dom0"), 512L << 20, Duration.ofSeconds(5)));
    assertThat(Configuration.read(null).xen()).isEqualTo(XenConnector.Options.NONE);
    assertThatThrownBy(() -> read("xen: {through: ssh}\n"))
        .hasMessageContaining("'through' must be a list");
  }

  @Test
  void severalTiersAreListedFastestFirst() throws Exception {
    Configuration configuration =
        read(
            """
            tiers:
              - {name: ram, kind: ram, directory: /dev/shm/x, capacity: 1GiB}
              - {name: disk, kind: hdd, directory: disk, capacity: 64GiB, faults: {latency: 8ms, bandwidth: 100MB/s}}
            """);
    assertThat(configuration.tiers())
        .extracting(Configuration.Tier::name, Configuration.Tier::kind)
        .containsExactly(tuple("ram", "ram"), tuple("disk", "hdd"));
    assertThat(configuration.tiers().get(1).directory()).isEqualTo(folder.resolve("disk"));
    assertThat(configuration.tiers().get(1).faults())
        .isEqualTo(new Faults(Duration.ofMillis(8), 100_000_000, 0, 0, 0, 1));
    assertThat(configuration.tierBytes()).isEqualTo(65L << 30);
    assertThat(configuration.limits().stagedBytes()).isEqualTo(65L << 28);
  }

  @Test
  void oneTierIsAListOfOne() throws Exception {
    Configuration.Tier tier = read("tier: {capacity: 1GiB}\n").tiers().getFirst();
    assertThat(tier.name()).isEqualTo("local");
    assertThat(tier.directory().getFileName()).hasToString("tier");
    assertThat(tier.capacityBytes()).isEqualTo(1L << 30);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "[{name: a, directory: x}, {name: a, directory: y}] | 'tiers[1].name' is 'a' as of a tier above",
        "[{name: a, directory: x}, {name: b, directory: ./x}] | 'tiers[1].directory' is, holds or lies in that of tier 'a'",
        "[{name: a, directory: x/y}, {name: b, directory: x}] | 'tiers[1].directory' is, holds or lies in that of tier 'a'",
        "[{name: a}] | 'tiers[0].directory' is missing",
        "[{directory: x}] | 'tiers[0].name' is missing",
        "[{name: a, directory: x, kind: tape}] | 'kind': 'tape' is none of ram, ssd, hdd, nas",
        "[{name: a, directory: x, faults: {hangs: 0.1}}] | 'tiers[0].faults' has 'hangs'",
        "[{name: a, directory: x, size: 1GiB}] | unknown key 'tiers[0].size'"
      })
  void aTierThatCannotBeMeantIsRefused(String tiers, String why) {
    assertThatThrownBy(() -> read("tiers: " + tiers + "\n"))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining(why);
  }

  @Test
  void tierAndTiersTogetherAreRefused() {
    assertThatThrownBy(() -> read("tier: {capacity: 1GiB}\ntiers: [{name: a, directory: x}]\n"))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining("prestage.yaml:1:1")
        .hasMessageContaining("'tier' is there beside 'tiers'");
  }

  @Test
  void aLibvirtIsNamedByItsUri() throws Exception {
    String uri = "qemu+unix:///system?socket=/run/libvirt/libvirt-sock";
    assertThat(read("libvirt: {uri: \"" + uri + "\"}\n").libvirt()).isEqualTo(uri);
    assertThatThrownBy(() -> read("libvirt: {uri: system}\n"))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining("'system' is no URI such as qemu:///system");
  }

  @Test
  void aVcenterIsNamedByItsUrlAndUser() throws Exception {
    Configuration.Vsphere vsphere =
        read("vsphere: {url: \"https://vc.example.org\", user: prestage@vsphere.local,"
                + " passwordFile: secret, fingerprint: "
                + "ab".repeat(32)
                + ", reserve: true}\n")
            .vsphere();
    assertThat(vsphere.options().url()).hasToString("https://vc.example.org/sdk");
    assertThat(vsphere.options().passwordFile()).isEqualTo(folder.resolve("secret"));
    assertThat(vsphere.options().fingerprint()).isEqualTo("AB" + ":AB".repeat(31));
    assertThat(vsphere.reserving()).isTrue();
    assertThat(Configuration.read(null).vsphere().options().isOn()).isFalse();
  }

  @Test
  void aThresholdMayBeDerived() throws Exception {
    Configuration configuration =
        read(
            """
            predict: {threshold: auto, typeThresholds: {memory-page: auto}, programThresholds: {web: 0.1, db: auto}}
            """);
    Program web = new Program(1, "default", "web");
    Program db = new Program(2, "default", "db");
    assertThat(configuration.thresholds())
        .isEqualTo(
            new Thresholds(
                Thresholds.AUTO,
                Map.of(ResourceType.MEMORY_PAGE, Thresholds.AUTO),
                Map.of(web.key(), 0.1, db.key(), Thresholds.AUTO)));
    assertThat(Thresholds.isAuto(configuration.thresholds().of(db, ResourceType.FILE_BLOCK)))
        .isTrue();
    assertThat(Thresholds.isAuto(configuration.thresholds().of(web, ResourceType.FILE_BLOCK)))
        .isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {url: "http://vc/sdk", user: a}          | is no URL such as https://vcenter/sdk
          {url: "https://vc/sdk"}                  | vsphere.user' is missing
          {user: a}                                | vsphere.url' is missing
          {url: "https://vc", user: a, fingerprint: ab} | is no SHA-256 fingerprint
          """)
  void aVcenterThatIsNamedWronglyIsRefused(String section, String why) {
    assertThatThrownBy(() -> read("vsphere: " + section + "\n"))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining(why);
  }

  @Test
  void guestsMemoryIsSizedOnlyWhereThatIsAskedFor() throws Exception {
    assertThat(Configuration.read(null).guestMemory()).isNull();
    assertThat(read("guestMemory: {floor: 1GiB}\n").guestMemory()).isNull();
    assertThat(
            read("guestMemory: {enabled: true, floor: 1GiB, headroom: 5, ahead: 9s}\n")
                .guestMemory())
        .isEqualTo(new MemoryGrants.Settings(1 << 30, 5, Duration.ofSeconds(9)));
    assertThatThrownBy(() -> read("guestMemory: {floor: 1MiB}\n"))
        .hasMessageContaining("with which no guest runs");
    assertThatThrownBy(() -> read("guestMemory: {ahead: 2s}\n"))
        .hasMessageContaining("is shorter than 3s");
    assertThatThrownBy(() -> read("guestMemory: {headroom: 101}\n"))
        .hasMessageContaining("'headroom': '101' is not between 0 and 100");
  }

  @Test
  void eachTokenHasARole() throws Exception {
    Configuration configuration =
        read(
            "api: {tcp: 'localhost:1', tokenFile: all,"
                + " tokens: [{file: a, role: read}, {file: b, role: operate}]}\n");
    assertThat(configuration.apiTokens())
        .containsExactly(
            new ApiToken(folder.resolve("a"), Role.READ),
            new ApiToken(folder.resolve("b"), Role.OPERATE),
            new ApiToken(folder.resolve("all"), Role.ADMIN));
    assertThatThrownBy(() -> read("api: {tokens: [{file: a}]}\n"))
        .hasMessageContaining("api.tokens[0].role' is missing");
    assertThatThrownBy(() -> read("api: {tokens: [{file: a, role: root}]}\n"))
        .hasMessageContaining("'root' is none of read, operate, admin");
  }

  @Test
  void aPasswordInAUrlIsNotShown() {
    assertThatThrownBy(() -> read("vsphere: {url: \"https://a:geheim@vc/sdk\", user: a}\n"))
        .hasMessageContaining("is no URL")
        .hasMessageNotContaining("geheim");
  }

  @Test
  void webhooksAreNamedOneByOne() throws Exception {
    Configuration configuration =
        read(
            """
            notices:
              webhooks:
                - {url: "https://hooks.example/a?token=t", secretFile: a.secret}
                - {url: "http://127.0.0.1:8080/", secretFile: b.secret, kinds: [available, degraded]}
            """);
    assertThat(configuration.webhooks())
        .containsExactly(
            new Webhook(
                1,
                URI.create("https://hooks.example/a?token=t"),
                folder.resolve("a.secret"),
                Set.copyOf(NoticeJson.kinds())),
            new Webhook(
                2,
                URI.create("http://127.0.0.1:8080/"),
                folder.resolve("b.secret"),
                Set.of("available", "degraded")));
    assertThat(NoticeJson.kinds()).contains("planned", "reclaimed").hasSize(8);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "url: 'https://hooks.example/?t=topsecret'|secretFile' is missing",
        "secretFile: s|url' is missing",
        "url: 'ftp://topsecret/', secretFile: s|no URL such as",
        "url: 'http://me:topsecret@h/', secretFile: s|holds a user's name",
        "url: 'http://h/topsecret^', secretFile: s|it is no URL",
        "url: 'http://h/', secretFile: s, kinds: [avail]|'avail' is none of planned, staged, available",
        "url: 'http://h/', secretFile: s, kinds: all|'kinds' must be a list",
      })
  void aWebhookThatIsWrongIsRefusedWithoutItsAddress(String webhook, String why) {
    assertThatThrownBy(() -> read("notices: {webhooks: [{" + webhook + "}]}\n"))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining(why)
        .message()
        .doesNotContain("topsecret");
  }

  @Test
  void anEmptyFileIsAsNone() throws Exception {
    assertThat(read("").tierBytes()).isEqualTo(8L << 30);
  }

  @Test
  void relativePathsAreRelativeToTheFile() throws Exception {
    Configuration configuration = read("state: here\norigins: [{name: nas, directory: images}]\n");
    assertThat(configuration.state()).isEqualTo(folder.resolve("here"));
    assertThat(configuration.apiSocket()).isEqualTo(folder.resolve("here/sockets/api.sock"));
    assertThat(configuration.origins().getFirst().directory()).isEqualTo(folder.resolve("images"));
  }

  @Test
  void quantitiesAreReadAsPeopleWriteThem() throws Exception {
    Configuration configuration =
        read(
            """
            origins:
              - name: nas
                directory: images
                faults: {latency: 10ms, bandwidth: 200MB/s, errors: 0.5}
            tier: {capacity: 3GiB}
            stage:
              capacity: 1.5GiB
              reclaimAfter: 2h
              typeReclaimAfter: {memory-page: 1m}
              quotas: {tenant: 1GiB, vm: 64MiB}
            predict: {dryRun: true, threshold: 0.4, typeThresholds: {memory-page: 0.5}, programThresholds: {web: 0.1}}
            """);
    assertThat(configuration.origins().getFirst().faults().latency())
        .isEqualTo(Duration.ofMillis(10));
    assertThat(configuration.origins().getFirst().faults().bytesPerSecond()).isEqualTo(200_000_000);
    assertThat(configuration.limits().stagedBytes()).isEqualTo(3L << 29);
    assertThat(configuration.dryRun()).isTrue();
    assertThat(configuration.limits().reclaimAfter()).isEqualTo(Duration.ofHours(2));
    assertThat(configuration.limits().reclaimAfter(ResourceType.FILE_BLOCK))
        .isEqualTo(Duration.ofHours(2));
    assertThat(configuration.limits().reclaimAfter(ResourceType.MEMORY_PAGE))
        .isEqualTo(Duration.ofMinutes(1));
    assertThat(configuration.limits().quotas())
        .isEqualTo(new Quotas(1L << 30, Quotas.NONE.programBytes(), 64L << 20));
    assertThat(configuration.thresholds().byType()).containsEntry(ResourceType.MEMORY_PAGE, 0.5);
    assertThat(configuration.thresholds().byProgram())
        .containsEntry(new Program.Key("default", "web"), 0.1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          tyers: {}                                | :1:1: | unknown key 'tyers'
          tier: {size: 1GiB}                       | :1:8: | unknown key 'tier.size'
          stage: {quotas: {tenants: 1GiB}}         | :1:18: | unknown key 'stage.quotas.tenants'
          stage: {quotas: 4MiB}                    | :1:17: | 'stage.quotas' must be a mapping
          stage: {quotas: {vm: 4KiB}}              | :1:22: | less than 64KiB
          stage: {reclaimAfter: 0s}                | :1:23: | less than 1s
          stage: {typeReclaimAfter: {io-bandwidth: 9ms}} | :1:42: | less than 1s
          stage: {typeReclaimAfter: {page: 1m}}    | :1:28: | names no type
          tier: {capacity: lots}                   | :1:18: | 'lots' is not a size
          tier: {capacity: -1}                     | :1:18: | '-1' is not a size
          tier: {capacity: 1KiB}                   | :1:18: | less than 16MiB
          nbd: {tcp: nonsense}                     | :1:12: | not of the form host:port
          nbd: {tcp: 'localhost:99999'}            | :1:12: | above 65535
          nbd: {connections: 0}                    | :1:20: | not between 1 and 4096
          nbd: {group: no-such-group}              | :1:14: | this host has no group 'no-such-group'
          connections: {listen: bridge}            | :1:23: | 'bridge' is no IP address
          connections: {listen: 0.0.0.0}           | :1:23: | name the one that guests reach
          connections: {listen: '::'}              | :1:23: | name the one that guests reach
          connections: {listen: 'fe80::1%virbr0'}  | :1:23: | name an address without '%'
          fetch: {deadline: 0s}                    | :1:19: | less than 100ms
          state: ~/prestage                        | :1:8: | '~' has no meaning here
          tier: {directory: ~/tier}                | :1:19: | '~' has no meaning here
          origins: [{name: a, directory: '~'}]     | :1:32: | '~' has no meaning here
          origins: [{name: a, directory: b}, {name: a, directory: c}] | :1:37: | each needs its own
          tier: {kind: tape}                       | :1:14: | none of ram, ssd, hdd
          predict: {threshold: 1.5}                | :1:22: | not between 0 and 1
          predict: {threshold: NaN}                | :1:22: | not between 0 and 1
          predict: {threshold: x}                  | :1:22: | 'x' is not a number
          predict: {enabled: maybe}                | :1:20: | neither true nor false
          predict: {typeThresholds: {disk: 0.1}}   | :1:28: | unknown resource type 'disk'
          predict: {forecaster: oracle}            | :1:23: | none of prestage, readahead, replay
          stage: {inFlight: 0}                     | :1:19: | not between 1 and 65536
          stage: {reclaimAfter: 5}                 | :1:23: | is not a duration
          stage: {capacity: 9GiB}                  | :1:9: | more than 'tier.capacity'
          origins: nas                             | :1:10: | must be a list
          origins: [{name: nas}]                   | : | 'origins[0].directory' is missing
          api: {tcp: 'localhost:1'}                | :1:7: | needs 'api.tokenFile'
          tier: [                                  | :1:8: | expected
          tier: {capacity: 1GiB, capacity: 2GiB}   | :1: | capacity
          [1, 2]                                   | :1:1: | must be a mapping
          """)
  void aMistakeIsOneLineWithItsPlace(String yaml, String place, String why) {
    assertThatThrownBy(() -> read(yaml))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining("prestage.yaml" + place)
        .hasMessageContaining(why)
        .extracting(Throwable::getMessage)
        .asString()
        .doesNotContain("\n");
  }

  @Test
  void aFileThatIsNotThereIsNamed() {
    assertThatThrownBy(() -> Configuration.read(folder.resolve("none.yaml")))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining("none.yaml");
  }

  @Test
  void theManualsExampleIsRight() throws Exception {
    Matcher example = Pattern.compile("```yaml\n(.*?)```", Pattern.DOTALL).matcher(manual());
    assertThat(example.find()).isTrue();
    assertThat(read(example.group(1)).tierBytes()).isEqualTo(200L << 30);
  }

  @Test
  void theManualNamesEveryKeyThatIsKnown() throws Exception {
    String manual = manual();
    for (String section :
        new String[] {"", "tier", "nbd", "api", "predict", "stage", "fetch", "fill", "history"}) {
      String yaml = section.isEmpty() ? "no-such-key: 1\n" : section + ": {no-such-key: 1}\n";
      String message = "";
      try {
        read(yaml);
      } catch (ConfigurationException e) {
        message = "" + e.getMessage();
      }
      String known = message.substring(message.indexOf("known here: ") + "known here: ".length());
      for (String key : known.split(", ", -1)) {
        String name = section.isEmpty() ? key : section + "." + key;
        assertThat(manual).contains("`" + name);
      }
    }
  }

  private static String manual() throws IOException {
    return Files.readString(MANUAL);
  }
}
