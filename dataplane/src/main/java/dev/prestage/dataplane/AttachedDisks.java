package dev.prestage.dataplane;

import dev.prestage.dataplane.Attachments.Attachment;
import dev.prestage.dataplane.block.BlockSpace;
import dev.prestage.dataplane.block.BlockStager;
import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.Image;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.dataplane.nbd.Exports;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// The VMs that are attached, and the disks of those whose images could be opened. The others are
/// tried again until they can be opened or are detached: a share may be mounted after Prestage
/// starts.
///
/// Threads: disks are looked up without a lock. An attach waits for its origin and for nothing
/// else; of one VM, the caller makes one at a time. One thread tries again what failed.
final class AttachedDisks implements Exports, AutoCloseable {
  private static final Logger LOG = System.getLogger(AttachedDisks.class.getName());

  /// How long a start waits for disks, so that guests that reconnect at once find theirs.
  private static final Duration START_PATIENCE = Duration.ofSeconds(2);

  /// An identity that no image has.
  private static final Image.Identity GONE = new Image.Identity(-1, 0, 0, 0);

  private static final Duration FIRST_RETRY = Duration.ofSeconds(1);
  private static final Duration LONGEST_RETRY = Duration.ofSeconds(15);

  private final Attachments file;
  private final BlockStager stager;
  private final AccessRing ring;
  private final Clock clock;
  private final Trouble troubles;
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile Consumer<Disk> disconnect = _ -> {};

  /// Hears that the VMs of a space are served, which nobody waited for any more.
  private volatile Consumer<BlockSpace> served = _ -> {};

  // The maps are changed under this lock, which is held while what is wanted is written down; they
  // are looked at without it, so that a slow disk keeps nobody from saying how things are.
  private final ReentrantLock registry = new ReentrantLock();
  private final Map<String, Attachment> wanted = new ConcurrentSkipListMap<>();
  private final SortedMap<String, Disk> disks = new ConcurrentSkipListMap<>();

  /// What is being attached, by the VM's name, until another order for that VM comes.
  private final Map<String, Attachment> opening = new HashMap<>();

  AttachedDisks(
      Attachments file, BlockStager stager, AccessRing ring, Clock clock, Trouble troubles) {
    this.file = file;
    this.stager = stager;
    this.ring = ring;
    this.clock = clock;
    this.troubles = troubles;
  }

  /// Sets who hears that a disk goes, and that one came late.
  void onChange(Consumer<Disk> goes, Consumer<BlockSpace> cameLate) {
    disconnect = goes;
    served = cameLate;
  }

  @Override
  public @Nullable Disk find(String name) {
    return disks.get(name);
  }

  @Override
  public List<String> names() {
    return List.copyOf(disks.keySet());
  }

  /// All disks that are served.
  Collection<Disk> all() {
    return disks.values();
  }

  /// The names of VMs that are attached and not served, because their images cannot be opened.
  List<String> waiting() {
    return wanted.keySet().stream().filter(name -> !disks.containsKey(name)).toList();
  }

  /// Attaches what was attached when the last data plane ended, and goes on trying.
  void restore() throws IOException {
    List<Attachment> remembered = file.load();
    remembered.forEach(attachment -> wanted.put(attachment.vmName(), attachment));
    List<Thread> opens = new ArrayList<>();
    for (Attachment attachment : remembered) {
      opens.add(
          Thread.ofVirtual().name("restore-" + attachment.vmName()).start(() -> retry(attachment)));
    }
    long deadline = System.nanoTime() + START_PATIENCE.toNanos();
    for (Thread open : opens) {
      joinUntil(open, deadline);
    }
    Thread.ofPlatform().daemon().name("attach-again").start(this::tryAgain);
  }

  private static void joinUntil(Thread thread, long deadlineNanos) {
    try {
      boolean _ = thread.join(Duration.ofNanos(Math.max(1, deadlineNanos - System.nanoTime())));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void tryAgain() {
    Duration pause = FIRST_RETRY;
    try {
      while (!closed.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
        rememberRefusals();
        List<Attachment> missing = missing();
        pause = missing.isEmpty() ? FIRST_RETRY : min(pause.multipliedBy(2), LONGEST_RETRY);
        List<Thread> opens = new ArrayList<>();
        for (Attachment attachment : missing) {
          opens.add(Thread.ofVirtual().start(() -> retry(attachment)));
        }
        for (Thread open : opens) {
          open.join();
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody may interrupt the attaching", e);
    }
  }

  /// A VM whose image has changed under it must not get the changed one after a restart: what it
  /// read is nowhere any more.
  private void rememberRefusals() {
    registry.lock();
    try {
      boolean news = false;
      for (Disk disk : disks.values()) {
        Attachment attachment = wanted.get(disk.name());
        if (disk.isRefused() && attachment != null && !GONE.equals(attachment.identity())) {
          wanted.put(disk.name(), attachment.of(GONE));
          news = true;
        }
      }
      if (news) {
        save();
      }
    } finally {
      registry.unlock();
    }
  }

  private void save() {
    try {
      file.save(wanted.values());
    } catch (IOException e) {
      troubles.report("attach", "attached VMs cannot be remembered: " + IoProblem.explain(e));
    }
  }

  private static Duration min(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  private List<Attachment> missing() {
    registry.lock();
    try {
      return wanted.values().stream().filter(a -> !disks.containsKey(a.vmName())).toList();
    } finally {
      registry.unlock();
    }
  }

  private void retry(Attachment attachment) {
    try {
      BlockSpace space = open(attachment);
      registry.lock();
      try {
        // Meanwhile it may have been detached, or attached by the control plane.
        if (attachment.equals(wanted.get(attachment.vmName()))
            && !disks.containsKey(attachment.vmName())) {
          put(attachment, space);
          Attachment opened = attachment.of(space.identity());
          wanted.put(attachment.vmName(), opened);
          if (!opened.equals(attachment)) {
            save();
          }
          LOG.log(Level.INFO, "VM {0} is served", attachment.vmName());
        } else {
          stager.detach(space, attachment.vm());
          return;
        }
      } finally {
        registry.unlock();
      }
      served.accept(space);
    } catch (IOException e) {
      troubles.report(
          "attach",
          "VM '"
              + attachment.vmName()
              + "' cannot be served yet: "
              + IoProblem.explain(e)
              + "; it is tried again");
    }
  }

  /// Opens the image of an attachment, at the origin that has the version which the VM began to
  /// read if any has.
  ///
  /// @throws IOException also if the image is another one than the VM began to read
  private BlockSpace open(Attachment attachment) throws IOException {
    Image.Identity before = attachment.identity();
    BlockSpace space =
        stager.attach(attachment.space(), attachment.tenant(), attachment.image(), before);
    if (before != null) {
      switch (space.identity().to(before)) {
        case SAME, TOUCHED -> {
          // What the tier has of a touched image is compared with it.
        }
        case REPLACED, CHANGED -> {
          stager.detach(space, attachment.vm());
          throw new IOException(
              "image '"
                  + attachment.image()
                  + "' is another one than this VM began to read: put the earlier file back, or"
                  + " remove and add the VM so that it begins with the new one");
        }
      }
    }
    return space;
  }

  private Disk put(Attachment attachment, BlockSpace space) {
    close(attachment.vmName());
    var disk = new Disk(attachment.vm(), attachment.vmName(), space, stager, ring, clock);
    disks.put(disk.name(), disk);
    return disk;
  }

  private void close(String vmName) {
    Disk disk = disks.remove(vmName);
    if (disk != null) {
      disconnect.accept(disk);
      stager.detach(disk.space(), disk.vm());
    }
  }

  /// Attaches; if the image cannot be opened the VM keeps the disk that it may have had, and is
  /// tried again if it has none, until it is detached.
  ///
  /// @return the image's size
  /// @throws IOException with one line for whoever asked
  long attach(Frame.Bind bind) throws IOException {
    Attachment attachment =
        new Attachment(
            bind.binding(), bind.name(), bind.space(), bind.tenant(), bind.source(), null);
    registry.lock();
    try {
      Attachment before = wanted.get(bind.name());
      if (before != null && before.sameImage(attachment)) {
        attachment = attachment.of(before.identity());
      }
      Disk disk = disks.get(bind.name());
      if (disk != null && isSame(disk.space(), attachment)) {
        opening.remove(attachment.vmName());
        if (disk.isRefused()) {
          throw new IOException(disk.space().refusal());
        }
        disk.renumber(attachment.vm());
        stager.renumber(disk.space(), attachment.space());
        remember(attachment);
        return disk.sizeBytes();
      }
      opening.put(attachment.vmName(), attachment);
    } finally {
      registry.unlock();
    }
    BlockSpace space;
    try {
      space = open(attachment);
    } catch (IOException e) {
      wantLater(attachment);
      throw e;
    }
    registry.lock();
    try {
      if (!opening.remove(attachment.vmName(), attachment)) {
        stager.detach(space, attachment.vm());
        throw new IOException("VM '" + attachment.vmName() + "' was detached or attached anew");
      }
      Disk disk = put(attachment, space);
      remember(attachment.of(space.identity()));
      return disk.sizeBytes();
    } finally {
      registry.unlock();
    }
  }

  private void wantLater(Attachment attachment) {
    registry.lock();
    try {
      if (opening.remove(attachment.vmName(), attachment)
          && !disks.containsKey(attachment.vmName())) {
        wanted.put(attachment.vmName(), attachment);
      }
    } finally {
      registry.unlock();
    }
  }

  /// Remembers an attachment. If that fails, the VM is left as it was before.
  private void remember(Attachment attachment) throws IOException {
    Attachment before = wanted.put(attachment.vmName(), attachment);
    if (attachment.equals(before)) {
      return;
    }
    try {
      file.save(wanted.values());
    } catch (IOException e) {
      if (before == null) {
        wanted.remove(attachment.vmName());
        close(attachment.vmName());
      } else {
        wanted.put(attachment.vmName(), before);
      }
      throw IoProblem.in("VM '" + attachment.vmName() + "' cannot be remembered", e);
    }
  }

  private static boolean isSame(BlockSpace space, Attachment attachment) {
    return space.tenant().equals(attachment.tenant())
        && space.imageName().equals(attachment.image());
  }

  /// Detaches a VM, if it is attached.
  void detach(int vm) throws IOException {
    keep(attachment -> attachment.vm() != vm);
  }

  /// Detaches all others.
  void keepOnly(Set<String> vmNames) throws IOException {
    keep(attachment -> vmNames.contains(attachment.vmName()));
  }

  private void keep(Predicate<Attachment> condition) throws IOException {
    registry.lock();
    try {
      opening.values().removeIf(condition.negate());
      List<Attachment> gone = wanted.values().stream().filter(a -> !condition.test(a)).toList();
      for (Attachment attachment : gone) {
        close(attachment.vmName());
        wanted.remove(attachment.vmName());
      }
      if (!gone.isEmpty()) {
        file.save(wanted.values());
      }
    } finally {
      registry.unlock();
    }
  }

  @Override
  public void close() {
    closed.countDown();
    rememberRefusals();
  }
}
