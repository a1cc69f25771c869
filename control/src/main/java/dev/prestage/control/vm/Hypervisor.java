package dev.prestage.control.vm;

import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/// A connection to what runs guests. It is used by one thread at a time; each call may take as long
/// as the hypervisor does.
///
/// Guests are named by their names. Every call but those of this interface's first part needs the
/// ability that it names, and is refused without.
public interface Hypervisor extends AutoCloseable {
  /// What it is, for messages.
  String name();

  Set<Ability> abilities();

  /// Whether it can still be asked.
  boolean isAlive();

  @Override
  void close();

  /// All guests ([Ability#INVENTORY]).
  default List<Guest> guests() throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.INVENTORY);
  }

  /// One guest ([Ability#INVENTORY]).
  default Guest guest(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.INVENTORY);
  }

  /// Tells what happens to guests from now on ([Ability#LIFECYCLE]).
  ///
  /// @param listener called on a thread of the hypervisor; must neither block nor ask it anything
  default void watch(Consumer<GuestEvent> listener) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.LIFECYCLE);
  }

  /// The disks in a guest's definition ([Ability#ATTACH_DISK]).
  default List<GuestDisk> disks(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.ATTACH_DISK);
  }

  /// The program that a guest's definition names ([Ability#ATTACH_DISK]), or empty.
  default String program(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.ATTACH_DISK);
  }

  /// What [#attach] would change ([Ability#ATTACH_DISK]). It refuses what that refuses.
  default Change plan(String guest, ServedDisk disk) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.ATTACH_DISK);
  }

  /// Has a guest read a disk from here from its next start on ([Ability#ATTACH_DISK]). What runs is
  /// not touched, and what was defined before is kept in the definition.
  ///
  /// @throws HypervisorException also where another guest writes to the image, or where the guest
  ///   would start from another definition
  default void attach(String guest, ServedDisk disk) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.ATTACH_DISK);
  }

  /// What [#detach] would change, and what becomes of the guest's writes ([Ability#ATTACH_DISK]).
  /// It refuses what that refuses.
  default Change planDetach(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.ATTACH_DISK);
  }

  /// Undoes [#attach] ([Ability#ATTACH_DISK]).
  ///
  /// @throws HypervisorException also where another guest uses the image that this one would write
  ///   to again, or where the disk was changed since
  default void detach(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.ATTACH_DISK);
  }

  /// Gives a running guest more or less memory ([Ability#MEMORY_SIZE]).
  default void resizeMemory(String guest, long bytes) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.MEMORY_SIZE);
  }

  /// The least memory that a guest may be given ([Ability#MEMORY_SIZE]); zero if nobody said.
  default long leastMemory(String guest) throws HypervisorException {
    return 0;
  }

  /// Has the host promise at least that much to a guest ([Ability#RESERVATION]), until [#release].
  /// What its administrator had promised is kept in the guest's definition, and never lessened.
  default void reserve(String guest, Reservation reservation) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.RESERVATION);
  }

  /// Undoes [#reserve] ([Ability#RESERVATION]); harmless where nothing was reserved.
  default void release(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.RESERVATION);
  }

  /// Limits a disk of a running guest ([Ability#IO_LIMITS]).
  default void limit(String guest, String disk, IoLimits limits) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.IO_LIMITS);
  }

  /// What a disk of a running guest did ([Ability#STATISTICS]).
  default DiskStatistics diskStatistics(String guest, String disk) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.STATISTICS);
  }

  /// A running guest's memory ([Ability#STATISTICS]).
  default MemoryStatistics memoryStatistics(String guest) throws HypervisorException {
    throw HypervisorException.cannot(name(), Ability.STATISTICS);
  }
}
