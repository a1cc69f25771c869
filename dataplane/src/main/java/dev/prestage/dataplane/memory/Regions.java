package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.linux.PageFaults;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Where in a VM manager's memory the pages of a snapshot lie: what the VM manager said, checked.
/// In the order of addresses; neither addresses nor the snapshot's pages overlap.
final class Regions {
  static final int PAGE = PageFaults.PAGE_BYTES;

  /// More than any VM manager makes: one region for each stretch of a guest's address space.
  private static final int MOST = 4096;

  private final List<Region> regions;

  /// One stretch.
  ///
  /// @param base its first address
  /// @param sizeBytes how long it is
  /// @param offset where it begins in the snapshot
  record Region(long base, long sizeBytes, long offset) {
    long end() {
      return base + sizeBytes;
    }
  }

  private Regions(List<Region> regions) {
    this.regions = regions;
  }

  /// What Firecracker says: an array of objects, and nothing around it.
  ///
  /// @param snapshotBytes the size of the snapshot
  /// @throws IOException with one line that says what is wrong with it
  static Regions parse(String text, long snapshotBytes) throws IOException {
    List<Region> regions = new ArrayList<>();
    for (Map<String, Long> object : new Json(text).objects()) {
      regions.add(region(object, snapshotBytes));
    }
    if (regions.isEmpty()) {
      throw new IOException("it names no memory region");
    }
    requireApart(regions);
    return new Regions(List.copyOf(regions));
  }

  private static Region region(Map<String, Long> object, long snapshotBytes) throws IOException {
    long base = required(object, "base_host_virt_addr");
    long size = required(object, "size");
    long offset = required(object, "offset");
    // Before version 1.10 Firecracker had only the latter, which is in bytes as well.
    Long page = object.get(object.containsKey("page_size") ? "page_size" : "page_size_kib");
    if (page != null && page != PAGE) {
      throw new IOException(
          "its pages have " + page + " bytes, and only pages of " + PAGE + " are served");
    }
    if (base % PAGE != 0 || size % PAGE != 0 || offset % PAGE != 0 || size <= 0) {
      throw new IOException(
          "the region of " + size + " bytes at " + base + " does not consist of whole pages");
    }
    if (base < 0 || base + size < 0 || offset < 0 || offset + size < 0) {
      throw new IOException("the region of " + size + " bytes at " + base + " has no end");
    }
    if (offset + size > snapshotBytes) {
      throw new IOException(
          "the snapshot has "
              + snapshotBytes
              + " bytes, and a region reaches to "
              + (offset + size)
              + ": it is another VM's, or was cut short");
    }
    return new Region(base, size, offset);
  }

  private static long required(Map<String, Long> object, String name) throws IOException {
    Long value = object.get(name);
    if (value == null) {
      throw new IOException("a region has no " + name);
    }
    return value;
  }

  private static void requireApart(List<Region> regions) throws IOException {
    regions.sort(Comparator.comparingLong(Region::offset));
    for (int i = 1; i < regions.size(); i++) {
      if (regions.get(i).offset() < regions.get(i - 1).offset() + regions.get(i - 1).sizeBytes()) {
        throw new IOException("two regions are the same part of the snapshot");
      }
    }
    regions.sort(Comparator.comparingLong(Region::base));
    for (int i = 1; i < regions.size(); i++) {
      if (regions.get(i).base() < regions.get(i - 1).end()) {
        throw new IOException("two regions have the same addresses");
      }
    }
  }

  List<Region> all() {
    return regions;
  }

  /// How many pages they have together.
  long pages() {
    return regions.stream().mapToLong(Region::sizeBytes).sum() / PAGE;
  }

  /// The snapshot's page at an address, or -1 if none is there.
  long page(long address) {
    for (Region region : regions) {
      if (address >= region.base() && address < region.end()) {
        return (address - region.base() + region.offset()) / PAGE;
      }
    }
    return -1;
  }

  /// The region in which a page of the snapshot lies, or null if it is no memory of this VM.
  @Nullable Region of(long page) {
    long offset = page * PAGE;
    for (Region region : regions) {
      if (offset >= region.offset() && offset < region.offset() + region.sizeBytes()) {
        return region;
      }
    }
    return null;
  }

  /// As much of JSON as is an array of flat objects; of their values numbers are kept, others are
  /// passed over.
  private static final class Json {
    private final String text;
    private int at;

    Json(String text) {
      this.text = text;
    }

    List<Map<String, Long>> objects() throws IOException {
      List<Map<String, Long>> objects = new ArrayList<>();
      expect('[');
      if (!skips(']')) {
        do {
          objects.add(object());
        } while (objects.size() < MOST && skips(','));
        expect(']');
      }
      blanks();
      if (at < text.length()) {
        throw malformed("more than the array");
      }
      return objects;
    }

    private Map<String, Long> object() throws IOException {
      Map<String, Long> values = new HashMap<>();
      expect('{');
      if (!skips('}')) {
        do {
          String name = string();
          expect(':');
          Long value = scalar();
          if (value != null && values.put(name, value) != null) {
            throw malformed("'" + name + "' twice");
          }
        } while (skips(','));
        expect('}');
      }
      return values;
    }

    private @Nullable Long scalar() throws IOException {
      blanks();
      if (at < text.length() && text.charAt(at) == '"') {
        string();
        return null;
      }
      int from = at;
      while (at < text.length() && ",}] \t\r\n".indexOf(text.charAt(at)) < 0) {
        at++;
      }
      String word = text.substring(from, at);
      if (word.equals("null") || word.equals("true") || word.equals("false")) {
        return null;
      }
      try {
        // An address of the kernel's half is no guest's, so that a long suffices.
        return Long.parseLong(word);
      } catch (NumberFormatException e) {
        throw malformed("no number");
      }
    }

    private String string() throws IOException {
      expect('"');
      int from = at;
      while (at < text.length() && text.charAt(at) != '"') {
        at += text.charAt(at) == '\\' ? 2 : 1;
      }
      if (at >= text.length()) {
        throw malformed("no end of a text");
      }
      return text.substring(from, at++);
    }

    private void expect(char what) throws IOException {
      if (!skips(what)) {
        throw malformed("no '" + what + "'");
      }
    }

    private boolean skips(char what) {
      blanks();
      if (at < text.length() && text.charAt(at) == what) {
        at++;
        return true;
      }
      return false;
    }

    private void blanks() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
        at++;
      }
    }

    private IOException malformed(String what) {
      return new IOException("it is not the JSON of memory regions: " + what + " at byte " + at);
    }
  }
}
