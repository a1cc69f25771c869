package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.control.vm.GuestDisk;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The files of a domain's disk: the raw image that an origin has, and the qcow2 overlay that takes
/// the guest's writes.
///
/// @param isWrittenTo whether the guest writes to the image itself, so that an overlay must be made
record DiskFiles(Path image, Path overlay, boolean isWrittenTo) {
  /// Parts of 4 KiB: with whole clusters a small write would read the image around it.
  private static final String OVERLAY_FORM = "cluster_size=128k,extended_l2=on";

  /// Finds them.
  ///
  /// @throws IOException one line that says why this disk cannot be attached, and what to do
  static DiskFiles of(String domain, GuestDisk disk, JsonNode origins, @Nullable Path overlays)
      throws IOException {
    String what = "disk " + disk.target() + " of domain " + domain;
    if (disk.source().isEmpty()) {
      throw new IOException(
          what + " is no file; Prestage serves raw images that are files in an origin's folder");
    }
    Path source = Path.of(disk.source());
    if (!Files.isReadable(source)) {
      throw new IOException(what + ": this user cannot read " + source);
    }
    return switch (disk.format()) {
      case "raw" -> {
        checkOrigin(what, source, origins);
        Path folder = overlays == null ? source.toAbsolutePath().getParent() : overlays;
        yield new DiskFiles(source, freeName(folder == null ? Path.of("/") : folder, domain), true);
      }
      case "qcow2" -> {
        JsonNode info =
            Json.MAPPER.readTree(qemuImg("info", "-U", "--output=json", source.toString()));
        String backing =
            info.path("full-backing-filename").asText(info.path("backing-filename").asText());
        if (backing.isEmpty()) {
          throw new IOException(
              "%s is qcow2, and Prestage serves raw images: 'qemu-img convert -O raw %s %s/%s.raw', "
                      .formatted(what, source, firstDirectory(origins), domain)
                  + "name that file and the type raw in the domain, and attach it again");
        }
        if (!info.path("backing-filename-format").asText().equals("raw")) {
          throw new IOException(
              "%s is an overlay of %s, which is not raw: only overlays of raw images can be attached"
                  .formatted(what, backing));
        }
        checkOrigin(what, Path.of(backing), origins);
        yield new DiskFiles(Path.of(backing), source, false);
      }
      default ->
          throw new IOException(
              what + " is " + disk.format() + "; Prestage serves raw images (qemu-img convert)");
    };
  }

  /// The first origin that has a file of that name serves it, so it must be that very file.
  private static void checkOrigin(String what, Path image, JsonNode origins) throws IOException {
    List<String> folders = new ArrayList<>();
    for (JsonNode origin : origins) {
      Path folder = Path.of(origin.path("directory").asText());
      folders.add(folder.toString());
      Path candidate = folder.resolve(image.getFileName() + "");
      if (Files.exists(candidate)) {
        if (Files.isSameFile(candidate, image)) {
          return;
        }
        throw new IOException(
            what + " is " + image + ", but Prestage would serve the other file " + candidate);
      }
    }
    throw new IOException(
        "%s is %s, which is in no origin's folder (%s): name its folder in 'origins' of the"
                .formatted(what, image, String.join(", ", folders))
            + " configuration, and start Prestage again");
  }

  private static String firstDirectory(JsonNode origins) {
    return origins.path(0).path("directory").asText();
  }

  /// An overlay of before may hold what a guest wrote.
  private static Path freeName(Path folder, String domain) {
    for (int i = 1; ; i++) {
      Path name = folder.resolve(domain + ".prestage-" + i + ".qcow2");
      // A link that leads nowhere is there, too.
      if (!Files.exists(name, LinkOption.NOFOLLOW_LINKS)) {
        return name.toAbsolutePath();
      }
    }
  }

  /// Makes the overlay, as open to others as the image is: the guest writes to it in its place. The
  /// file is never one that was there before.
  Overlay makeOverlay() throws IOException {
    Overlay made = Overlay.reserve(overlay);
    try {
      String _ =
          qemuImg(
              "create",
              "-q",
              "-f",
              "qcow2",
              "-o",
              OVERLAY_FORM,
              "-F",
              "raw",
              "-b",
              image.toAbsolutePath().toString(),
              overlay.toString());
      openAsTheImageIs();
      return made;
    } catch (IOException e) {
      made.remove();
      throw e;
    }
  }

  /// QEMU may be let in by the owner, by the group or as anybody.
  private void openAsTheImageIs() throws IOException {
    PosixFileAttributes like = Files.readAttributes(image, PosixFileAttributes.class);
    PosixFileAttributeView view = Files.getFileAttributeView(overlay, PosixFileAttributeView.class);
    PosixFileAttributes is = view.readAttributes();
    try {
      if (!is.group().equals(like.group())) {
        view.setGroup(like.group());
      }
      if (!is.owner().equals(like.owner())) {
        view.setOwner(like.owner());
      }
      view.setPermissions(like.permissions());
    } catch (IOException e) {
      throw new IOException(
          "%s cannot be given the owner %s, the group %s and the mode of %s, so QEMU might not write to it: do this as root"
              .formatted(overlay, like.owner(), like.group(), image),
          e);
    }
  }

  private static String qemuImg(String... words) throws IOException {
    List<String> command = new ArrayList<>(List.of("qemu-img"));
    command.addAll(List.of(words));
    Process process;
    try {
      process = new ProcessBuilder(command).redirectErrorStream(true).start();
    } catch (IOException e) {
      throw new IOException("qemu-img is needed for that; install it (Debian: qemu-utils)", e);
    }
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    try {
      if (process.waitFor() != 0) {
        throw new IOException(said.replace('\n', ' '));
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted");
    }
    return said;
  }
}
