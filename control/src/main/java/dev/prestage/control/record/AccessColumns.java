package dev.prestage.control.record;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.resource.Binding;
import org.jspecify.annotations.Nullable;

/// Places for accesses, each in six numbers.
///
/// Accesses wait for up to a second, tens of thousands of them. As objects they would be copied by
/// the collector while they wait, and each store of one into an old array is work for it, too:
/// together a twentieth of a read's processor time. As numbers they are nothing to it.
///
/// A place that was read keeps its binding until it is written again; then it stores another one
/// only where it is another one, which it seldom is.
///
/// Whoever writes a place and whoever reads it agree between themselves on when.
final class AccessColumns {
  private static final int LONGS = 6;
  private static final int RESOURCE = 0;
  private static final int TIME = 1;
  private static final int AMOUNT = 2;
  private static final int LATENCY = 3;
  private static final int RUN = 4;

  /// The number of the binding in the upper half, then type, cause and whether it waited, in a byte
  /// each.
  private static final int REST = 5;

  private static final int TYPE_SHIFT = 2 * Byte.SIZE;
  private static final int CAUSE_SHIFT = Byte.SIZE;

  private final long[] numbers;
  private final @Nullable Binding[] bindings;

  AccessColumns(int capacity) {
    this.numbers = new long[capacity * LONGS];
    this.bindings = new Binding[capacity];
  }

  int capacity() {
    return bindings.length;
  }

  @SuppressWarnings("ReferenceEquality") // whether the place holds this very one
  void set(int place, Access access, Binding binding) {
    int at = place * LONGS;
    numbers[at + RESOURCE] = access.resource();
    numbers[at + TIME] = access.timeNanos();
    numbers[at + AMOUNT] = access.amount();
    numbers[at + LATENCY] = access.latencyNanos();
    numbers[at + RUN] = access.run();
    numbers[at + REST] =
        ((long) access.binding() << Integer.SIZE)
            | ((long) AccessCodes.of(access.type()) << TYPE_SHIFT)
            | ((long) AccessCodes.of(access.cause()) << CAUSE_SHIFT)
            | (access.waited() ? 1 : 0);
    if (bindings[place] != binding) {
      bindings[place] = binding;
    }
  }

  Access access(int place) {
    int at = place * LONGS;
    long rest = numbers[at + REST];
    return new Access(
        (int) (rest >> Integer.SIZE),
        numbers[at + RUN],
        numbers[at + RESOURCE],
        numbers[at + TIME],
        AccessCodes.type((byte) (rest >> TYPE_SHIFT)),
        numbers[at + AMOUNT],
        AccessCodes.cause((byte) (rest >> CAUSE_SHIFT)),
        (rest & 1) != 0,
        numbers[at + LATENCY]);
  }

  /// The binding of a place that was written.
  Binding binding(int place) {
    Binding binding = bindings[place];
    if (binding == null) {
      throw new IllegalStateException("place " + place + " is empty");
    }
    return binding;
  }

  /// The first places of this in one that is larger.
  AccessColumns enlarged(int capacity) {
    var larger = new AccessColumns(capacity);
    System.arraycopy(numbers, 0, larger.numbers, 0, numbers.length);
    System.arraycopy(bindings, 0, larger.bindings, 0, bindings.length);
    return larger;
  }
}
