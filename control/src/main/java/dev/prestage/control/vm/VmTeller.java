package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.resource.ResourceType;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Tells the control plane what guests do. What it cannot take now, because a plane is away or
/// busy, is kept and told later: of each VM that it is to be registered, and the last of what its
/// guest did. VMs that nobody registered are left alone.
///
/// Used by one thread; `waiting` may be asked by any.
final class VmTeller {
  private static final System.Logger LOG = System.getLogger(VmTeller.class.getName());

  private final Commands commands;
  private final String from;

  /// By the VM's name; those that were tried last stand last.
  private final Map<String, Wanted> wanted = new LinkedHashMap<>();

  private volatile String waiting = "";

  /// What a VM's guest did last.
  enum Deed {
    STARTED,
    STOPPED,
    /// It does not run; what it did before was not heard.
    FOUND_STOPPED,
    GONE
  }

  /// What is still to be told of a VM.
  private static final class Wanted {
    private @Nullable Attachment registration;
    private @Nullable Deed deed;
  }

  /// The control plane cannot take a command now.
  private static final class Unavailable extends Exception {
    private static final long serialVersionUID = 1;

    Unavailable(String message) {
      super(message);
    }
  }

  /// @param from who says it, for messages
  VmTeller(Commands commands, String from) {
    this.commands = commands;
    this.from = from;
  }

  /// Has a VM registered, if it is not.
  void register(Attachment attachment) throws InterruptedException {
    of(attachment.vm()).registration = attachment;
    tell(attachment.vm());
  }

  /// Says what a VM's guest did.
  void tell(String vm, Deed deed) throws InterruptedException {
    Wanted at = of(vm);
    at.deed = deed;
    if (deed == Deed.GONE) {
      at.registration = null;
    }
    tell(vm);
  }

  /// One line about what is kept, or empty.
  String waiting() {
    return waiting;
  }

  /// Tells what is kept, for about so long: a control plane that does not answer is waited for with
  /// each command.
  void retry(Duration about) throws InterruptedException {
    long begin = System.nanoTime();
    for (String vm : List.copyOf(wanted.keySet())) {
      if (System.nanoTime() - begin > about.toNanos()) {
        return;
      }
      tell(vm);
    }
  }

  private Wanted of(String vm) {
    return wanted.computeIfAbsent(vm, _ -> new Wanted());
  }

  private void tell(String vm) throws InterruptedException {
    Wanted at = of(vm);
    try {
      Attachment registration = at.registration;
      if (registration != null) {
        registerNow(registration);
        at.registration = null;
      }
      Deed deed = at.deed;
      if (deed != null) {
        tellNow(vm, deed);
      }
      wanted.remove(vm);
      if (wanted.isEmpty()) {
        waiting = "";
      }
    } catch (Unavailable e) {
      wanted.remove(vm);
      wanted.put(vm, at);
      if (waiting.isEmpty()) {
        LOG.log(WARNING, from + ": VM " + vm + ": " + e.getMessage() + "; told again later");
      }
      waiting =
          "the control plane has not taken what guests of %d VMs did (%s: %s)"
              .formatted(wanted.size(), vm, e.getMessage());
    }
  }

  private void registerNow(Attachment attachment) throws Unavailable, InterruptedException {
    if (view(attachment.vm()) == null) {
      send(
          new Command.RegisterVm(
              attachment.vm(),
              attachment.program(),
              null,
              attachment.image().isEmpty()
                  ? List.of()
                  : List.of(
                      new Command.RequestedResource(
                          "disk0", ResourceType.FILE_BLOCK, attachment.image()))));
    }
  }

  private void tellNow(String vm, Deed deed) throws Unavailable, InterruptedException {
    switch (deed) {
      case STARTED -> {
        // A run that began with the guest's first read, before its start was said, is that run.
        Reply.VmView view = view(vm);
        if (view != null && !view.running()) {
          send(new Command.StartProgram(vm));
        }
      }
      case STOPPED -> send(new Command.StopProgram(vm));
      case FOUND_STOPPED -> {
        Reply.VmView view = view(vm);
        if (view != null && view.running()) {
          send(new Command.StopProgram(vm));
        }
      }
      case GONE -> {
        if (view(vm) != null) {
          LOG.log(INFO, "the guest of VM {0} is gone, and so is the VM", vm);
          // A disk that somebody else reads stays.
          send(new Command.RemoveVm(vm, false));
        }
      }
    }
  }

  private Reply.@Nullable VmView view(String vm) throws Unavailable, InterruptedException {
    return send(new Command.ShowVms(vm)) instanceof Reply.Vms(List<Reply.VmView> vms)
            && !vms.isEmpty()
        ? vms.getFirst()
        : null;
  }

  /// The reply, or null if the command was refused for good.
  private @Nullable Reply send(Command command) throws Unavailable, InterruptedException {
    try {
      return commands.execute(command);
    } catch (Refusal e) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      switch (e.reason()) {
        case UNAVAILABLE -> throw new Unavailable(e.getMessage() + "");
        case UNKNOWN -> {}
        case INVALID, CONFLICT -> LOG.log(WARNING, from + ": " + command + ": " + e.getMessage());
      }
      return null;
    } catch (RuntimeException e) {
      // A fault with one VM is none of the others.
      LOG.log(WARNING, from + ": " + command + " failed", e);
      return null;
    }
  }
}
