package dev.prestage.control.vm.libvirt;

import dev.prestage.control.vm.HypervisorException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Who uses an image besides the one disk that is attached or detached: every other domain of the
/// same libvirt, and the domain's own other disks. A domain counts with its definition, with what
/// it runs with and with its managed save. Domains of other hosts that share the image are not
/// seen.
final class ImageUsers {
  /// No chain of overlays is longer; one that names itself ends here.
  private static final int LONGEST_CHAIN = 64;

  private final Domains domains;
  private final String id;
  private final String disk;
  private final Path image;

  /// @param id the domain's, whose `disk` does not count as far as its definition goes
  ImageUsers(Domains domains, String id, String disk, Path image) {
    this.domains = domains;
    this.id = id;
    this.disk = disk;
    this.image = image;
  }

  /// The name of a domain that may write to the image, or null.
  @Nullable String writer() throws HypervisorException {
    return find(this::isWrittenThrough);
  }

  /// The name of a domain that reads the image or writes to it, by itself or through overlays, or
  /// null.
  @Nullable String user() throws HypervisorException {
    return find(this::isUsedThrough);
  }

  @FunctionalInterface
  private interface Test {
    boolean holds(DiskFile file) throws HypervisorException;
  }

  private @Nullable String find(Test test) throws HypervisorException {
    List<String> found = new ArrayList<>();
    List<Boolean> _ =
        domains.each(domain -> {
          for (DiskFile file : files(domain)) {
            if (test.holds(file)) {
              found.add(domains.name(domain));
              return true;
            }
          }
          return false;
        });
    return found.isEmpty() ? null : found.getFirst();
  }

  private List<DiskFile> files(MemorySegment domain) throws HypervisorException {
    boolean own = domains.id(domain).equals(id);
    List<DiskFile> files = new ArrayList<>();
    List<DomainXml> all = domains.everyXml(domain);
    for (int i = 0; i < all.size(); i++) {
      boolean definition = i == 0;
      for (DiskFile file : all.get(i).files(domains::volumePath)) {
        // What runs now may differ from the definition, and counts with every disk.
        if (!(own && definition && file.disk().equals(disk))) {
          files.add(file);
        }
      }
    }
    return files;
  }

  private boolean isWrittenThrough(DiskFile file) {
    return file.written() && same(Path.of(file.path()), image);
  }

  private boolean isUsedThrough(DiskFile file) throws HypervisorException {
    Path at = Path.of(file.path());
    for (int i = 0; at != null && i < LONGEST_CHAIN; i++) {
      if (same(at, image)) {
        return true;
      }
      at = file.isRaw() ? null : backing(at);
    }
    return false;
  }

  private @Nullable Path backing(Path file) throws HypervisorException {
    try {
      return Qcow2Header.backing(file);
    } catch (IOException _) {
      throw new HypervisorException(
          "%s is a disk of another domain and cannot be read by this user, who does not learn so whether it rests on %s: do this as root"
              .formatted(file, image));
    }
  }

  /// Whether two names are of one file, by whatever links.
  static boolean same(Path one, Path other) {
    try {
      return Files.isSameFile(one, other);
    } catch (IOException _) {
      // One that is not there has its name only.
      return one.toAbsolutePath().normalize().equals(other.toAbsolutePath().normalize());
    }
  }
}
