package dev.prestage.simulator.trace;

import it.unimi.dsi.fastutil.longs.Long2LongOpenHashMap;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.io.IOException;
import java.util.List;

/// libCacheSim's general format with the next access known: little-endian records of 24 bytes, u32
/// seconds, u64 object, u32 bytes, i64 number of the object's next access.
///
/// An object is a page, whatever its size: the format does not say in which unit ids count, if they
/// do. Ids that are too large for a page's number are hashes; then all are numbered in the order of
/// their first touches, with a warning. Nothing in a file tells this format, so its name must.
final class OracleGeneralFormat implements TraceFormat {
  private static final int RECORD_BYTES = 24;

  @Override
  public String name() {
    return "oracle-general";
  }

  @Override
  public String summary() {
    return "libCacheSim's oracleGeneral binary records; an object is a page";
  }

  @Override
  public List<String> suffixes() {
    return List.of(".oraclegeneral", ".oraclegeneral.bin");
  }

  @Override
  public boolean recognises(Head head) {
    return false;
  }

  @Override
  public Trace read(Source source) throws IOException {
    Records records = new Records(source, RECORD_BYTES);
    LongArrayList objects = new LongArrayList();
    LongArrayList seconds = new LongArrayList();
    boolean hashes = false;
    while (records.next()) {
      long object = records.i64(4);
      hashes |= object < 0 || object >= Trace.MAX_PAGE;
      objects.add(object);
      seconds.add(records.u32(0));
    }
    Requests requests =
        new Requests(source, records, source.unitBytes().orElse(Trace.PAGE_BYTES), true).clock();
    if (hashes) {
      number(objects);
      requests.idsHaveNoOrder(
          "The object ids are hashes and were numbered in the order of first touches, so results of"
              + " prefetchers that go by neighbourhood mean nothing.");
    }
    int run = requests.onlyRun();
    int device = requests.device("", 0);
    for (int i = 0; i < objects.size(); i++) {
      records.speakOf(i + 1);
      requests.pages(
          seconds.getLong(i) * 1_000_000_000, run, 0, device, objects.getLong(i), 1, false);
    }
    return requests.toTrace();
  }

  private static void number(LongArrayList objects) {
    Long2LongOpenHashMap numbers = new Long2LongOpenHashMap();
    for (int i = 0; i < objects.size(); i++) {
      long next = numbers.size();
      objects.set(i, numbers.computeIfAbsent(objects.getLong(i), _ -> next));
    }
  }
}
