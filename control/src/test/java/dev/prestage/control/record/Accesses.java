package dev.prestage.control.record;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// Accesses and VMs for tests.
final class Accesses {
  /// 2026-01-01T00:00:00Z.
  static final long START = 1_767_225_600_000_000_000L;

  private Accesses() {}

  /// The disk of a VM.
  static Binding disk(String vm, String program) {
    Space space =
        new Space(7, ResourceType.FILE_BLOCK, "default", "debian12", Shape.blocks(1L << 30));
    return new Binding(1, new Vm(1, vm, new Program(1, "default", program)), "disk0", space);
  }

  static Access at(long timeNanos, long index) {
    return new Access(
        1,
        1,
        Resource.of(7, index),
        timeNanos,
        AccessType.READ,
        4096,
        Cause.DEMAND,
        (index & 1) == 0,
        1_234_567);
  }

  static AccessHistory.Query query(@Nullable String program, @Nullable String vm, int limit) {
    return new AccessHistory.Query(program, vm, 0, Long.MAX_VALUE, limit);
  }

  /// Waits until something holds that another thread brings about.
  static void eventually(String what, BooleanSupplier holds) {
    long end = System.nanoTime() + 30_000_000_000L;
    while (!holds.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not within 30 s: " + what);
      }
      LockSupport.parkNanos(1_000_000);
    }
  }
}
