package dev.prestage.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `prestage simulate` as its users meet it, in this process and on traces of a few lines.
class SimulateCommandTest {
  @TempDir private Path folder;

  /// 100 pages, one after the other.
  private Path scan;

  /// Two runs of a program that touch pages 0, 1 and 2.
  private Path starts;

  private record Printed(int code, String out, String err) {
    /// Lines without the columns that depend on the machine.
    List<String> lines() {
      return out.replaceAll(" +[0-9.]+ us", "")
          .replaceAll(" +CPU +P99", "")
          .replaceAll(" +", " ")
          .lines()
          .toList();
    }
  }

  @BeforeEach
  void writeTraces() throws IOException {
    StringBuilder lis = new StringBuilder();
    for (int page = 0; page < 100; page++) {
      lis.append(8 * page).append(" 8 0 ").append(page).append('\n');
    }
    scan = Files.writeString(folder.resolve("scan.lis"), lis);
    StringBuilder csv = new StringBuilder("t_us,stream,program,run,object,extent\n");
    for (int run = 1; run <= 2; run++) {
      for (int extent = 0; extent < 3; extent++) {
        csv.append(1_000_000 * run + 1_000 * extent).append(",0,shop,").append(run).append(",0,");
        csv.append(extent).append('\n');
      }
    }
    starts = Files.writeString(folder.resolve("starts64k.csv"), csv);
  }

  private static Printed simulate(Object... arguments) {
    return simulate(new ByteArrayOutputStream(), arguments);
  }

  private static Printed simulate(OutputStream to, Object... arguments) {
    List<String> words = new ArrayList<>(List.of("simulate"));
    Stream.of(arguments).map(Object::toString).forEach(words::add);
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream errors = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(to, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
      String[] line = words.toArray(String[]::new);
      int code = Main.commandLine(line).execute(line);
      return new Printed(code, to.toString(), errors.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  @Test
  void anOpenLoopIsATableForEachLead() {
    Printed printed =
        simulate(scan, "--policies", "none,next-n:n=1,belady", "--cache", "10%", "--lead", "0,2");
    assertThat(printed.code()).isZero();
    assertThat(printed.err()).isEmpty();
    assertThat(printed.lines().subList(0, 12))
        .containsExactly(
            "scan: 100 requests, 100 pages of 4 KiB, 100 distinct",
            "",
            "cache 10%, 10 pages; lead 0: a fetched page is usable at the next request",
            "POLICY MISS REQUEST MISS PRECISION USELESS ISSUED BITS NEXT MODEL",
            "none 1.0000 1.0000 - - - - - -",
            "next-n:n=1 0.0100 0.0100 0.99 0.010 100 0.13 0.99 -",
            "belady 1.0000 1.0000 - - - - - -",
            "",
            "cache 10%, 10 pages; lead 2: a fetched page is usable 2 requests after the next one",
            "POLICY MISS REQUEST MISS PRECISION USELESS ISSUED BITS NEXT MODEL",
            "none 1.0000 1.0000 - - - - - -",
            "next-n:n=1 1.0000 1.0000 0.00 1.000 100 0.13 0.99 -");
  }

  @Test
  void aClosedLoopIsSecondsOfWaitingByStart() {
    Printed printed = simulate(starts, "--closed-loop", "--cold", "--policies", "none,reap");
    assertThat(printed.code()).isZero();
    assertThat(printed.lines().subList(0, 5))
        .containsExactly(
            "starts64k: 6 requests, 6 pages of 64 KiB, 3 distinct",
            "",
            "cache unlimited; origin 10 ms away, 32 fetches ahead in flight, each run on a new host",
            "POLICY STALL 1ST 2ND WAITS TRAFFIC USELESS BITS NEXT MODEL",
            "none 0.06 0.03 0.03 100.0 % 100.0 % 0.000 - - -");
    // The second start has the first page on its way when it is demanded, and waits for that alone.
    assertThat(printed.lines().get(5)).startsWith("reap 0.04 0.03 0.01 66.7 % 100.0 % 0.167");
  }

  @Test
  void everyColumnHasItsMeaningBelowTheTables() {
    Printed open = simulate(scan, "--policies", "none", "--lead", "0");
    for (String head : List.of("MISS:", "ISSUED:", "PRECISION:", "BITS:", "NEXT:", "P99:")) {
      assertThat(open.out()).contains(head);
    }
    Printed closed = simulate(starts, "--policies", "none", "--closed-loop");
    for (String head : List.of("STALL:", "1ST,", "WAITS:", "TRAFFIC:", "USELESS:", "MODEL:")) {
      assertThat(closed.out()).contains(head);
    }
  }

  @Test
  void openLoopJsonKeepsItsContract() throws IOException {
    Path json = folder.resolve("out.json");
    assertThat(simulate(scan, "--policies", "next-n:n=1", "--lead", "0", "--json", json).code())
        .isZero();
    JsonNode report = new ObjectMapper().readTree(json.toFile());
    assertThat(report.path("trace").asText()).isEqualTo("scan");
    assertThat(report.path("distinctPages").asInt()).isEqualTo(100);
    assertThat(report.path("pageBytes").asInt()).isEqualTo(4096);
    JsonNode row = report.path("rows").get(0);
    assertThat(row.propertyStream().map(java.util.Map.Entry::getKey))
        .containsExactly(
            "policy",
            "setting",
            "cachePercent",
            "lead",
            "demandMissRatio",
            "requestMissRatio",
            "precision",
            "uselessPerDemandPage",
            "withinBudget",
            "issued",
            "cpuMicrosPerRequest",
            "policyP99Micros",
            "modelBytes",
            "bitsPerAccess",
            "nextAccuracy");
    assertThat(row.path("setting").asText()).isEqualTo("n=1");
    assertThat(row.path("cachePercent").asDouble()).isEqualTo(5);
    assertThat(row.path("demandMissRatio").asDouble()).isEqualTo(.01);
    assertThat(row.path("precision").asDouble()).isEqualTo(.99);
    assertThat(row.path("issued").asInt()).isEqualTo(100);
    assertThat(row.path("nextAccuracy").asDouble()).isEqualTo(.99);
  }

  @Test
  void closedLoopJsonKeepsItsContract() throws IOException {
    Path json = folder.resolve("out.json");
    simulate(starts, "--closed-loop", "--cold", "--policies", "none,reap", "--json", json);
    JsonNode rows = new ObjectMapper().readTree(json.toFile()).path("rows");
    assertThat(rows).hasSize(4);
    assertThat(rows.get(0).propertyStream().map(java.util.Map.Entry::getKey))
        .containsExactly(
            "policy",
            "setting",
            "program",
            "run",
            "stream",
            "stallSeconds",
            "demandWaitShare",
            "trafficShare",
            "uselessPerDemandPage",
            "withinBudget");
    JsonNode second = rows.get(3);
    assertThat(second.path("policy").asText()).isEqualTo("reap");
    assertThat(second.path("program").asText()).isEqualTo("shop");
    assertThat(second.path("run").asInt()).isEqualTo(2);
    assertThat(second.path("stallSeconds").asDouble()).isEqualTo(.01);
    assertThat(second.path("trafficShare").asDouble()).isEqualTo(1);
  }

  @Test
  void severalTracesAreAListInJson() throws IOException {
    Path json = folder.resolve("out.json");
    simulate(scan, starts, "--policies", "none", "--what-if", "cache=2x", "--json", json);
    JsonNode reports = new ObjectMapper().readTree(json.toFile());
    assertThat(reports).hasSize(2);
    JsonNode changed = reports.get(0).path("whatIf");
    assertThat(changed.path("changes").asText()).isEqualTo("cache=2x");
    assertThat(changed.path("rows").get(0).path("cachePercent").asDouble()).isEqualTo(10);
  }

  @Test
  void whatIfIsTheSameTableForAVariation() {
    Printed printed =
        simulate(scan, "--policies", "none", "--lead", "0", "--what-if", "cache=2x,lead=1,3");
    assertThat(printed.out())
        .contains("cache 5%, 5 pages; lead 0:", "; what if cache=2x,lead=1,3")
        .contains("cache 10%, 10 pages; lead 1:", "cache 10%, 10 pages; lead 3:");
  }

  @Test
  void aBudgetChoosesAPeersBestSettingWithinIt() {
    Printed printed =
        simulate(scan, "--policies", "next-n", "--lead", "2", "--useless-budget", "0.5");
    // One page ahead is always late; of those that are not, the least wasteful is within.
    assertThat(printed.lines())
        .anyMatch(line -> line.startsWith("next-n:n=") && !line.contains("!"));
    Printed none =
        simulate(scan, "--policies", "next-n:n=1", "--lead", "2", "--useless-budget", "0.5");
    assertThat(none.lines()).anyMatch(line -> line.startsWith("next-n:n=1 ! "));
  }

  @Test
  void aCacheWithoutEndHoldsEverything() {
    Printed printed =
        simulate(
            scan, "--policies", "lru,arc,s3fifo,belady", "--lead", "0", "--cache", "unlimited");
    assertThat(printed.code()).isZero();
    assertThat(printed.out()).contains("cache unlimited; lead 0");
  }

  @Test
  void numbersDoNotFollowTheLocale() {
    Locale before = Locale.getDefault();
    List<String> here = simulate(scan, "--policies", "none,next-n", "--closed-loop").lines();
    try {
      Locale.setDefault(Locale.GERMANY);
      assertThat(simulate(scan, "--policies", "none,next-n", "--closed-loop").lines())
          .isEqualTo(here);
      assertThat(simulate(scan, "--policies", "next-n", "--lead", "0").out())
          .doesNotContainPattern("[0-9],[0-9]{2} ");
    } finally {
      Locale.setDefault(before);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --policies=readahed             | --policies: there is no policy 'readahed'; there are none,
          --policies=                     | --policies: an item is empty
          --policies=none,,lru            | --policies: an item is empty
          --policies=none,none            | --policies: 'none' is given twice
          --policies=next-n:m=2           | --policies: policy 'next-n' has no knob 'm'
          --policies=lru --closed-loop    | --policies: 'lru' is a cache without prefetch
          --cache=0                       | --cache: '0' is not a size; give percent
          --cache=NaN                     | --cache: 'NaN' is not a size
          --cache=1e9                     | --cache: '1e9' is not a size
          --cache=5%,5                    | --cache: '5' is given twice
          --cache=5%,6% --closed-loop     | --cache: the closed loop takes one size
          --lead=-1                       | --lead: '-1' is not a whole number from 0 to 4096
          --lead=2,2                      | --lead: '2' is given twice
          --lead=2 --closed-loop          | --lead: is for the open loop; leave out
          --in-flight=8                   | --in-flight: is for the closed loop; add --closed-loop
          --cold                          | --cold: is for the closed loop; add --closed-loop
          --origin-latency=1ms            | --origin-latency: is for the closed loop
          --origin-latency=5h --closed-loop | --origin-latency: '5h' is longer than 1h
          --origin-latency=5 --closed-loop | --origin-latency: '5' is not a duration
          --in-flight=0 --closed-loop     | --in-flight: '0' is not a whole number from 1 to 65536
          --useless-budget=-1             | --useless-budget: '-1' is not a number from 0 on
          --format=pcap                   | --format: there is no format 'pcap'; there are auto,
          --what-if=                      | --what-if: '' is not a change such as cache=2x
          --what-if=colour=red            | --what-if: 'colour=red' is not a change
          --what-if=threshold=2           | --what-if: threshold: '2' is not a probability
          --what-if=cold=yes              | --what-if: cold: is for the closed loop
          --what-if=cache=2x,cache=3x     | --what-if: cache: is changed twice
          --what-if=cache=2x --closed-loop | --what-if: cache: the cache is unlimited
          --lead=1 --lead=2               | option '--lead' (REQUESTS) should be specified only once
          --leads=1                       | Unknown option: '--leads=1'; see prestage simulate --help
          """)
  void aWrongOptionIsOneLineThatNamesIt(String options, String message) {
    List<Object> arguments = new ArrayList<>(List.of(scan));
    arguments.addAll(List.of(options.split(" ", -1)));
    Printed printed = simulate(arguments.toArray());
    assertThat(printed.err()).startsWith("prestage: " + message).hasLineCount(1);
    assertThat(printed.code()).isEqualTo(2);
    assertThat(printed.out()).isEmpty();
  }

  private static void assertRefused(Printed printed, String message) {
    assertThat(printed.err()).startsWith("prestage: ").contains(message).hasLineCount(1);
    assertThat(printed.code()).isEqualTo(1);
    assertThat(printed.out()).isEmpty();
  }

  @Test
  void filesThatCannotBeReadAreFoundBeforeTheFirstRun() {
    Path none = folder.resolve("none.lis");
    assertRefused(simulate(scan, none), none + ": there is no such file");
    assertRefused(simulate(scan, folder), folder + ": is a folder; name the traces in it");
    assertRefused(simulate(scan, "/dev/null"), "/dev/null: is a pipe or a device");
    assertRefused(simulate(scan, folder.resolve(".").resolve("scan.lis")), "is given twice");
  }

  @Test
  void anUnwritableJsonIsFoundBeforeTheFirstRun() throws IOException {
    assertRefused(simulate(scan, "--json", folder), "is a folder; name a file to write");
    assertRefused(simulate(scan, "--json", scan), "is a file to be read");
    Path nowhere = folder.resolve("no/out.json");
    assertRefused(simulate(scan, "--json", nowhere), nowhere + ": there is no folder");
    assertThat(Files.readString(scan)).startsWith("0 8 0 0\n");
  }

  @Test
  void aMalformedLineIsNamedAndLeavesNoJson() throws IOException {
    Path bad = Files.writeString(folder.resolve("bad.lis"), "0 8 0 0\n8 x 0 1\n");
    Path json = Files.writeString(folder.resolve("out.json"), "the last one");
    Printed printed = simulate(scan, bad, "--policies", "none", "--lead", "0", "--json", json);
    assertThat(printed.err())
        .isEqualTo("prestage: bad.lis, line 2: \"x\" is not a number (number of blocks)\n");
    assertThat(printed.code()).isEqualTo(1);
    assertThat(json).hasContent("the last one");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactlyInAnyOrder(scan, starts, bad, json);
    }
  }

  @Test
  void timesThatStepBackAreOneLine() throws IOException {
    Path back = Files.writeString(folder.resolve("a.trace"), "9 0 0 8 1\n5 0 8 8 1\n4 0 0 8 1\n");
    Printed printed = simulate(back, "--policies", "none", "--lead", "0");
    assertThat(printed.err())
        .startsWith(
            "prestage: warning: a.trace: Times are not in order: they step back before 2 of 3")
        .contains("line 2")
        .hasLineCount(1);
    assertThat(printed.code()).isZero();
  }

  @Test
  void renumberedPagesAreSaidToMeanNothing() throws IOException {
    StringBuilder lis = new StringBuilder();
    for (int page = 0; page < 1000; page++) {
      lis.append(8 * page).append(" 8 0 0\n");
      lis.append(8 * (page * 37 % Math.max(1, page - 40))).append(" 8 0 0\n");
    }
    Path renumbered = Files.writeString(folder.resolve("oltp.lis"), lis);
    Printed printed = simulate(renumbered, "--policies", "none", "--lead", "0");
    assertThat(printed.err())
        .startsWith("prestage: warning: oltp.lis: The page numbers look renumbered")
        .hasLineCount(1);
    assertThat(printed.code()).isZero();
  }

  @Test
  void anOutputThatTakesNothingIsNoSuccess() {
    OutputStream full =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("full");
          }
        };
    Printed printed = simulate(full, scan, "--policies", "none", "--lead", "0");
    assertThat(printed.code()).isEqualTo(1);
    assertThat(printed.err()).contains("the output is closed or full").hasLineCount(1);
  }

  @Test
  void whatThereIsCanBeListedWithoutATrace() {
    Printed printed = simulate("--list");
    assertThat(printed.code()).isZero();
    assertThat(printed.out()).contains("vscsi", "oracle-general", "markov-lag", "n=8 n=1 n=2");
  }

  @Test
  void withoutATraceOneLineSaysWhereHelpIs() {
    Printed printed = simulate();
    assertThat(printed.err())
        .isEqualTo("prestage: name either traces or --history; see prestage simulate --help\n");
    assertThat(printed.code()).isEqualTo(2);
  }
}
