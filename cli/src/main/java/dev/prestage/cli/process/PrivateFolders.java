package dev.prestage.cli.process;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.attribute.PosixFilePermission.GROUP_EXECUTE;
import static java.nio.file.attribute.PosixFilePermission.GROUP_WRITE;
import static java.nio.file.attribute.PosixFilePermission.OTHERS_EXECUTE;
import static java.nio.file.attribute.PosixFilePermission.OTHERS_WRITE;

import dev.prestage.cli.config.Configuration;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Makes the folders of a host and keeps other users out of them: they hold copies of images,
/// whatever those images' own permissions say.
///
/// The state folder is for this user only, and so is everything in it; with a group for the disks'
/// socket, that group may pass through to the socket and can list nothing on the way. A folder that
/// another user made, or could have put files into, is refused: it may hold links that lead
/// elsewhere.
final class PrivateFolders {
  private static final Logger LOG = System.getLogger(PrivateFolders.class.getName());

  // What Prestage makes in a state folder, and the folder that a user makes for images.
  private static final Set<String> OURS =
      Set.of("prestage.lock", "images", "tier", "history", "models", "sockets", "tmp");

  private static final Set<PosixFilePermission> OWNER =
      PosixFilePermissions.fromString("rwx------");

  /// What folders of the state are made with.
  static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(OWNER);

  private static final Set<PosixFilePermission> OWNER_AND_PASSING_GROUP =
      PosixFilePermissions.fromString("rwx--x---");
  private static final Set<PosixFilePermission> OWNER_FILE =
      PosixFilePermissions.fromString("rw-------");

  private static final Path SELF = Path.of("/proc/self");

  private final UserPrincipal user;
  private final Configuration configuration;
  private final @Nullable GroupPrincipal group;

  private PrivateFolders(Configuration configuration) throws IOException {
    this.user = Files.getOwner(SELF);
    this.configuration = configuration;
    this.group = group(configuration.nbd().group());
  }

  /// Makes what is missing and tightens what is there.
  ///
  /// @throws IOException one line that says which folder cannot be used and what to do
  static void prepare(Configuration configuration) throws IOException {
    var folders = new PrivateFolders(configuration);
    try {
      folders.prepareState();
      folders.prepareTiers();
      folders.prepareSockets();
    } catch (SecurityException | UnsupportedOperationException e) {
      throw new IOException("the state folder needs a file system with permissions: " + e, e);
    }
  }

  /// Gives the disks' socket to the configured group, if there is one.
  static void openToGroup(Configuration configuration) throws IOException {
    GroupPrincipal group = group(configuration.nbd().group());
    if (group != null) {
      give(configuration.nbdSocket(), group, PosixFilePermissions.fromString("rw-rw----"));
    }
  }

  private static @Nullable GroupPrincipal group(String name) throws IOException {
    return name.isEmpty()
        ? null
        : FileSystems.getDefault().getUserPrincipalLookupService().lookupPrincipalByGroupName(name);
  }

  private void prepareState() throws IOException {
    Path state = configuration.state();
    if (!make(state)) {
      List<Path> entries = refuseForeign(state, "state");
      if (entries.stream().anyMatch(Files::isDirectory)
          && entries.stream().noneMatch(PrivateFolders::isOurs)) {
        throw new IOException(
            "the folder "
                + state
                + " holds other things: give Prestage a folder of its own (state)");
      }
      for (Path entry : entries) {
        tighten(entry);
      }
    }
    // The database sets a umask of its own, so the folder has to keep others from its files.
    for (Path folder : List.of(configuration.history(), state.resolve("models"))) {
      if (!Files.exists(folder)) {
        make(folder);
      }
    }
    if (group != null && configuration.sockets().startsWith(state)) {
      give(state, group, OWNER_AND_PASSING_GROUP);
    } else {
      permit(state, OWNER);
    }
  }

  private static boolean isOurs(Path entry) {
    Path name = entry.getFileName();
    return name != null && OURS.contains(name.toString());
  }

  /// What earlier releases left open to everyone. Links are left alone, and what they lead to.
  private void tighten(Path entry) throws IOException {
    PosixFileAttributes attributes =
        Files.readAttributes(entry, PosixFileAttributes.class, NOFOLLOW_LINKS);
    if (!attributes.owner().equals(user) || isImages(entry)) {
      return;
    }
    if (attributes.isDirectory()) {
      permit(entry, OWNER);
    } else if (attributes.isRegularFile()) {
      permit(entry, OWNER_FILE);
    }
  }

  /// The user's own folder, which others may have to write.
  private boolean isImages(Path entry) {
    return configuration.origins().stream().anyMatch(origin -> origin.directory().equals(entry));
  }

  private void prepareTiers() throws IOException {
    boolean several = configuration.tiers().size() > 1;
    for (Configuration.Tier tier : configuration.tiers()) {
      if (Files.isDirectory(tier.directory())) {
        refuseForeign(tier.directory(), several ? "tiers.directory" : "tier.directory");
      } else if (several) {
        makeIfPossible(tier);
      } else {
        make(tier.directory());
      }
    }
  }

  /// The host is served by its other tiers; the data plane says that this one is left out.
  private static void makeIfPossible(Configuration.Tier tier) {
    try {
      make(tier.directory());
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "tier {0}: {1}", tier.name(), e.getMessage());
    }
  }

  private void prepareSockets() throws IOException {
    Path sockets = configuration.sockets();
    boolean made = make(sockets);
    if (!made) {
      refuseForeign(sockets, "sockets");
    }
    if (group == null) {
      return;
    }
    if (made || sockets.startsWith(configuration.state())) {
      give(sockets, group, OWNER_AND_PASSING_GROUP);
    }
    for (Path folder = sockets; folder != null; folder = folder.getParent()) {
      PosixFileAttributes attributes = Files.readAttributes(folder, PosixFileAttributes.class);
      boolean passes =
          attributes.group().equals(group)
              ? attributes.permissions().contains(GROUP_EXECUTE)
              : attributes.permissions().contains(OTHERS_EXECUTE);
      if (!passes) {
        throw new IOException(
            "the group '"
                + group.getName()
                + "' (nbd.group) cannot pass through "
                + folder
                + " to the socket: let it (chgrp, chmod g+x), or set 'sockets' to another folder");
      }
    }
  }

  /// Makes a folder for this user only, and those above it as usual.
  ///
  /// @return false if it is there already
  private static boolean make(Path folder) throws IOException {
    if (Files.isDirectory(folder)) {
      return false;
    }
    try {
      Path parent = folder.getParent();
      if (parent != null) {
        Files.createDirectories(parent);
      }
      Files.createDirectory(folder, OWNER_ONLY);
      return true;
    } catch (IOException e) {
      throw IoProblem.in("the folder " + folder + " cannot be made (choose another one)", e);
    }
  }

  /// Refuses a folder into which another user can have put something.
  ///
  /// @return what is in it
  private List<Path> refuseForeign(Path folder, String key) throws IOException {
    UserPrincipal owner = Files.getOwner(folder, NOFOLLOW_LINKS);
    if (isTrusted(owner)) {
      owner = Files.getOwner(folder);
    }
    if (!isTrusted(owner)) {
      throw new IOException(
          "the folder "
              + folder
              + " belongs to '"
              + owner.getName()
              + "', who could lead Prestage to other files: set '"
              + key
              + "' to a folder of '"
              + user.getName()
              + "', or one that does not exist");
    }
    List<Path> entries = new ArrayList<>();
    try (DirectoryStream<Path> found = Files.newDirectoryStream(folder)) {
      found.forEach(entries::add);
    } catch (IOException e) {
      throw IoProblem.in("the folder " + folder + " cannot be read ('" + key + "')", e);
    }
    if (!entries.isEmpty() && isWritableByOthers(folder)) {
      throw new IOException(
          "others can write to the folder "
              + folder
              + " and could lead Prestage to other files: look at what is in it, then chmod go-w,"
              + " or set '"
              + key
              + "' to another one");
    }
    return entries;
  }

  private boolean isTrusted(UserPrincipal owner) {
    return owner.equals(user) || owner.getName().equals("root");
  }

  /// Into a folder with the sticky bit others can put files, but exchange none.
  private static boolean isWritableByOthers(Path folder) throws IOException {
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(folder);
    boolean sticky = ((int) Files.getAttribute(folder, "unix:mode") & 01000) != 0;
    return !sticky && (permissions.contains(GROUP_WRITE) || permissions.contains(OTHERS_WRITE));
  }

  private static PosixFileAttributeView view(Path path) {
    return Files.getFileAttributeView(path, PosixFileAttributeView.class);
  }

  private static void permit(Path path, Set<PosixFilePermission> permissions) throws IOException {
    try {
      view(path).setPermissions(permissions);
    } catch (IOException e) {
      throw IoProblem.in(path + " cannot be closed to other users", e);
    }
  }

  private static void give(Path path, GroupPrincipal group, Set<PosixFilePermission> permissions)
      throws IOException {
    try {
      view(path).setGroup(group);
      view(path).setPermissions(permissions);
    } catch (IOException e) {
      throw IoProblem.in(
          path
              + " cannot be given to the group '"
              + group.getName()
              + "' (nbd.group; this user must be in it)",
          e);
    }
  }
}
