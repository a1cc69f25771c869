package dev.prestage.control.model;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Where a model comes from.
///
/// @param how one of the words below
/// @param sinceNanos when it began to serve, nanoseconds since the epoch; 0 if nobody knows
/// @param fromNanos the begin of the data that it was learnt from; 0 if nobody knows
/// @param toNanos their end; 0 if nobody knows, or while it learns on
/// @param seed of what was random in its training, or null where nothing was
/// @param line one line about it, such as what it was compared with
public record Provenance(
    String how, long sinceNanos, long fromNanos, long toNanos, @Nullable Long seed, String line) {
  /// From what programs did on this host, as it came.
  public static final String LEARNT = "learnt";

  /// From another host.
  public static final String IMPORTED = "imported";

  /// From history alone.
  public static final String REBUILT = "rebuilt";

  /// As before, with a network that was trained from history.
  public static final String TRAINED = "trained";

  /// It served before.
  public static final String ROLLED_BACK = "rolled-back";

  /// From beside the image at its origin.
  public static final String FETCHED = "fetched";

  /// The process ended while it took another one's place.
  public static final String UNKNOWN = "unknown";

  private static final Set<String> WORDS =
      Set.of(LEARNT, IMPORTED, REBUILT, TRAINED, ROLLED_BACK, FETCHED, UNKNOWN);

  public Provenance {
    if (!WORDS.contains(how)) {
      throw new IllegalArgumentException("no model is '" + how + "'");
    }
  }

  /// Of a model that learns no more data than it has.
  public static Provenance of(String how, long sinceNanos, String line) {
    return new Provenance(how, sinceNanos, 0, 0, null, line);
  }

  void write(DataOutput out) throws IOException {
    out.writeUTF(how);
    out.writeLong(sinceNanos);
    out.writeLong(fromNanos);
    out.writeLong(toNanos);
    out.writeBoolean(seed != null);
    out.writeLong(seed == null ? 0 : seed);
    out.writeUTF(line);
  }

  static Provenance read(DataInput in) throws IOException {
    String how = in.readUTF();
    long since = in.readLong();
    long from = in.readLong();
    long to = in.readLong();
    boolean seeded = in.readBoolean();
    long seed = in.readLong();
    return new Provenance(how, since, from, to, seeded ? seed : null, in.readUTF());
  }
}
