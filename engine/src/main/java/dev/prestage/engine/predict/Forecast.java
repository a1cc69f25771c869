package dev.prestage.engine.predict;

import java.util.Arrays;

/// A probability distribution over the resources that a copy will touch, each with the time at
/// which it is due.
///
/// Columns in reused arrays: filling and reading it allocates nothing once it has grown. A resource
/// stands in it once; where several experts speak for it, the most confident one gives probability
/// and due time, and all are remembered.
public final class Forecast {
  private static final int EMPTY = -1;

  private long[] resources = new long[64];
  private double[] probabilities = new double[64];
  private long[] dueNanos = new long[64];
  private int[] experts = new int[64];
  private int size;
  // Open addressing from resource to row; a power of two, at most half full.
  private int[] slots = filled(256);

  /// Forgets all rows.
  public void clear() {
    if (size > 0) {
      Arrays.fill(slots, EMPTY);
      size = 0;
    }
  }

  /// Adds what one expert says about one resource.
  ///
  /// @param probability that the resource will be touched within the horizon that was asked for, 0
  ///   to 1
  /// @param due when, in nanoseconds since the epoch
  public void add(long resource, double probability, long due, Expert expert) {
    int slot = slotOf(resource);
    int row = slots[slot];
    if (row == EMPTY) {
      row = append(resource, slot);
      probabilities[row] = probability;
      dueNanos[row] = due;
    } else if (probability > probabilities[row]) {
      probabilities[row] = probability;
      dueNanos[row] = due;
    }
    experts[row] |= expert.bit();
  }

  /// How many resources are expected.
  public int size() {
    return size;
  }

  /// The row of a resource, or -1 if it is not expected.
  public int row(long resource) {
    return slots[slotOf(resource)];
  }

  /// The resource of a row, as in [dev.prestage.engine.resource.Resource].
  public long resource(int row) {
    return resources[row];
  }

  /// The probability of a row.
  public double probability(int row) {
    return probabilities[row];
  }

  /// When the resource of a row is due, in nanoseconds since the epoch.
  public long dueNanos(int row) {
    return dueNanos[row];
  }

  /// Who spoke for the resource of a row, a mask of [Expert#bit].
  public int experts(int row) {
    return experts[row];
  }

  private int append(long resource, int slot) {
    if (size == resources.length) {
      int capacity = 2 * size;
      resources = Arrays.copyOf(resources, capacity);
      probabilities = Arrays.copyOf(probabilities, capacity);
      dueNanos = Arrays.copyOf(dueNanos, capacity);
      experts = Arrays.copyOf(experts, capacity);
    }
    int row = size++;
    resources[row] = resource;
    experts[row] = 0;
    slots[slot] = row;
    if (2 * size > slots.length) {
      rehash();
    }
    return row;
  }

  private void rehash() {
    slots = filled(2 * slots.length);
    for (int row = 0; row < size; row++) {
      slots[slotOf(resources[row])] = row;
    }
  }

  private int slotOf(long resource) {
    int mask = slots.length - 1;
    int slot = Long.hashCode(resource * 0x9E3779B97F4A7C15L) & mask;
    while (slots[slot] != EMPTY && resources[slots[slot]] != resource) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private static int[] filled(int length) {
    int[] slots = new int[length];
    Arrays.fill(slots, EMPTY);
    return slots;
  }
}
