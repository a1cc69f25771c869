package dev.prestage.control.vm.libvirt;

import static java.lang.System.Logger.Level.ERROR;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.prestage.control.vm.HypervisorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// `libvirt.so.0`, loaded. It stays loaded until the process ends, as do the functions that it
/// calls back: libvirt may call them shortly after it was told not to.
///
/// Calls go through `invokeWithArguments`, which costs microseconds; those that libvirt makes of
/// them are round trips to a daemon.
final class Library {
  private static final System.Logger LOG = System.getLogger(Library.class.getName());
  private static final String FILE = "libvirt.so.0";

  /// `VIR_ERR_NO_DOMAIN`
  private static final int NO_DOMAIN = 42;

  private final Linker linker = Linker.nativeLinker();
  private final SymbolLookup symbols;
  private final Map<String, MethodHandle> functions = new ConcurrentHashMap<>();
  private final Map<Long, Lifecycle> listeners = new ConcurrentHashMap<>();
  private final AtomicLong lastListener = new AtomicLong();
  private final MemorySegment lifecycle;
  private final MemorySegment nothingToFree;
  private final MemorySegment wakeUp;

  /// Takes a lifecycle event; see `virConnectDomainEventCallback`. The domain is valid during the
  /// call only.
  @FunctionalInterface
  interface Lifecycle {
    void happened(MemorySegment domain, int event, int detail);
  }

  private Library(SymbolLookup symbols) {
    this.symbols = symbols;
    this.lifecycle = lifecycleCallback();
    this.nothingToFree = ignoring(ADDRESS);
    this.wakeUp = ignoring(JAVA_INT, ADDRESS);
    MemorySegment quiet = ignoring(ADDRESS, ADDRESS);
    // Errors are thrown; libvirt would write them to standard error as well.
    procedure("virSetErrorFunc", MemorySegment.NULL, quiet);
  }

  /// Loads the library.
  ///
  /// @throws HypervisorException one line, if it is not there
  static Library load() throws HypervisorException {
    SymbolLookup found;
    try {
      found = SymbolLookup.libraryLookup(FILE, Arena.global());
    } catch (IllegalArgumentException _) {
      throw new HypervisorException(
          "libvirt's library " + FILE + " is not on this host; install it (Debian: libvirt0)");
    }
    return new Library(found);
  }

  // ---- calls

  /// Calls a function that answers a number.
  int number(String function, Object... arguments) {
    return (int) call(function, JAVA_INT, arguments);
  }

  /// The same, where negative is an error.
  int checked(String function, Object... arguments) throws HypervisorException {
    int answer = number(function, arguments);
    if (answer < 0) {
      throw error(function);
    }
    return answer;
  }

  /// Calls a function that answers an address, of which null is an error.
  MemorySegment pointer(String function, Object... arguments) throws HypervisorException {
    MemorySegment answer = (MemorySegment) call(function, ADDRESS, arguments);
    if (answer.address() == 0) {
      throw error(function);
    }
    return answer;
  }

  private void procedure(String function, Object... arguments) {
    Object _ = invoke(function, null, arguments);
  }

  /// The text at an address that libvirt owns.
  static String text(MemorySegment address) {
    return address.reinterpret(Long.MAX_VALUE).getString(0);
  }

  /// The text at an address that is the caller's, which is given back.
  String ownText(MemorySegment address) {
    String text = text(address);
    free(address);
    return text;
  }

  void free(MemorySegment address) {
    procedure("free", address);
  }

  /// What libvirt says of this thread's last call.
  HypervisorException error(String function) {
    MemorySegment said = (MemorySegment) call("virGetLastErrorMessage", ADDRESS);
    String text = said.address() == 0 ? "" : text(said).strip();
    String message =
        "libvirt: " + (text.isEmpty() ? function + " failed" : text.replace('\n', ' '));
    return lastErrorCode() == NO_DOMAIN
        ? HypervisorException.gone(message)
        : new HypervisorException(message);
  }

  /// The first number of `virError`, or 0.
  private int lastErrorCode() {
    MemorySegment last = (MemorySegment) call("virGetLastError", ADDRESS);
    return last.address() == 0 ? 0 : last.reinterpret(Integer.BYTES).get(JAVA_INT, 0);
  }

  private Object call(String function, MemoryLayout answer, Object... arguments) {
    Object answered = invoke(function, answer, arguments);
    if (answered == null) {
      throw new IllegalStateException(function + " answered nothing");
    }
    return answered;
  }

  private @Nullable Object invoke(
      String function, @Nullable MemoryLayout answer, Object... arguments) {
    MethodHandle handle =
        functions.computeIfAbsent(function, name -> handle(name, answer, arguments));
    try {
      return handle.invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(function, e);
    }
  }

  /// A function is called with the same kinds of arguments everywhere, so they are its shape.
  private MethodHandle handle(String function, @Nullable MemoryLayout answer, Object... arguments) {
    MemoryLayout[] kinds = new MemoryLayout[arguments.length];
    for (int i = 0; i < arguments.length; i++) {
      kinds[i] =
          switch (arguments[i]) {
            case MemorySegment _ -> ADDRESS;
            case Integer _ -> JAVA_INT;
            case Long _ -> JAVA_LONG;
            default -> throw new IllegalArgumentException(function + ": " + arguments[i]);
          };
    }
    MemorySegment symbol =
        symbols
            .find(function)
            .or(() -> linker.defaultLookup().find(function))
            .orElseThrow(() -> new IllegalStateException(FILE + " has no " + function));
    return linker.downcallHandle(
        symbol,
        answer == null ? FunctionDescriptor.ofVoid(kinds) : FunctionDescriptor.of(answer, kinds));
  }

  // ---- what libvirt calls

  /// Somebody who listens to a connection.
  ///
  /// @param callback the number by which the connection knows it
  /// @param id what libvirt hands back with each event; none is given twice
  record Listening(int callback, long id) {}

  /// Has a connection's lifecycle events told, until [#unlisten].
  Listening listen(MemorySegment connection, Lifecycle listener) throws HypervisorException {
    long id = lastListener.incrementAndGet();
    listeners.put(id, listener);
    int callback = -1;
    try {
      callback =
          checked(
              "virConnectDomainEventRegisterAny",
              connection,
              MemorySegment.NULL,
              0, // VIR_DOMAIN_EVENT_ID_LIFECYCLE
              lifecycle,
              MemorySegment.ofAddress(id),
              nothingToFree);
      return new Listening(callback, id);
    } finally {
      if (callback < 0) {
        listeners.remove(id);
      }
    }
  }

  /// Ends that, also where the connection is lost. An event that is under way finds nobody.
  void unlisten(MemorySegment connection, Listening listening) {
    listeners.remove(listening.id());
    int _ = number("virConnectDomainEventDeregisterAny", connection, listening.callback());
  }

  /// How many listen.
  int listening() {
    return listeners.size();
  }

  /// Makes the event loop return every so often; it must be registered.
  void wakeEvery(int millis) throws HypervisorException {
    checked("virEventAddTimeout", millis, wakeUp, MemorySegment.NULL, MemorySegment.NULL);
  }

  /// The shape of `virConnectDomainEventCallback`.
  @FunctionalInterface
  interface LifecycleCallback {
    int call(MemorySegment connection, MemorySegment domain, int event, int detail, long id);
  }

  private MemorySegment lifecycleCallback() {
    FunctionDescriptor shape =
        FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG);
    LifecycleCallback callback =
        (_, domain, event, detail, id) -> happened(domain, event, detail, id);
    try {
      MethodHandle handle =
          MethodHandles.lookup()
              .findVirtual(LifecycleCallback.class, "call", shape.toMethodType())
              .bindTo(callback);
      return linker.upcallStub(handle, shape, Arena.global());
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /// A function that does nothing.
  private MemorySegment ignoring(MemoryLayout... arguments) {
    FunctionDescriptor shape = FunctionDescriptor.ofVoid(arguments);
    return linker.upcallStub(MethodHandles.empty(shape.toMethodType()), shape, Arena.global());
  }

  /// An exception that left this method would end the JVM.
  private int happened(MemorySegment domain, int event, int detail, long id) {
    Lifecycle listener = listeners.get(id);
    if (listener != null) {
      try {
        listener.happened(domain, event, detail);
      } catch (Throwable e) {
        reportLost(e);
      }
    }
    return 0;
  }

  /// Where memory is short, reporting may fail as well.
  private static void reportLost(Throwable failed) {
    try {
      LOG.log(ERROR, "a lifecycle event was lost", failed);
    } catch (Throwable _) {
      // Nothing is left to be done, and the JVM goes on.
    }
  }
}
