package dev.prestage.dataplane.nbd;

import dev.prestage.dataplane.block.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/// The first phase of a connection: which disk the client wants, and in which form it takes
/// replies.
///
/// Source: NBD protocol, "Fixed newstyle negotiation". A client that asks too much is refused with
/// a text while the protocol allows one, and cut off where it does not.
final class Handshake {
  // What the protocol allows for any string, names and texts of errors alike.
  private static final int MAX_STRING_BYTES = 4096;
  // Larger options are refused, much larger ones end the connection.
  private static final int MAX_OPTION_BYTES = 64 * 1024;
  private static final int MAX_SKIPPED_BYTES = 1 << 20;
  private static final int MAX_OPTIONS = 1024;
  private static final int EXPORT_NAME_ZEROES = 124;

  private final Wire wire;
  private final Exports exports;
  private final @Nullable String refusal;
  private boolean structured;

  /// @param refusal why this client gets nothing, or null if it may choose
  Handshake(Wire wire, Exports exports, @Nullable String refusal) {
    this.wire = wire;
    this.exports = exports;
    this.refusal = refusal;
  }

  /// Whether the client takes structured replies.
  boolean isStructured() {
    return structured;
  }

  /// The disk that the client chose, or null if it went away in peace.
  @Nullable Disk negotiate() throws IOException {
    ByteBuffer in = wire.in();
    ByteBuffer out = wire.out(2 * Long.BYTES + Short.BYTES);
    out.putLong(Nbd.MAGIC).putLong(Nbd.OPTION_MAGIC);
    out.putShort((short) (Nbd.HANDSHAKE_FIXED_NEWSTYLE | Nbd.HANDSHAKE_NO_ZEROES));
    wire.flush();
    wire.need(Integer.BYTES);
    int clientFlags = in.getInt();
    int known = Nbd.HANDSHAKE_FIXED_NEWSTYLE | Nbd.HANDSHAKE_NO_ZEROES;
    if ((clientFlags & ~known) != 0) {
      throw new BrokenProtocol("sent unknown handshake flags " + clientFlags);
    }
    boolean zeroes = (clientFlags & Nbd.HANDSHAKE_NO_ZEROES) == 0;
    for (int i = 0; i < MAX_OPTIONS; i++) {
      wire.need(Long.BYTES + 2 * Integer.BYTES);
      if (in.getLong() != Nbd.OPTION_MAGIC) {
        throw new BrokenProtocol("sent an option without its magic");
      }
      int option = in.getInt();
      int length = in.getInt();
      if (length < 0 || length > MAX_OPTION_BYTES) {
        refuseLong(option, length);
        continue;
      }
      byte[] data = new byte[length];
      wire.take(data);
      if (refusal != null && option != Nbd.OPTION_ABORT) {
        if (option == Nbd.OPTION_EXPORT_NAME) {
          return null; // this option has no refusal but to hang up
        }
        refuse(option, Nbd.REPLY_ERROR_POLICY, refusal);
        wire.flush();
        continue;
      }
      ByteBuffer payload = ByteBuffer.wrap(data);
      switch (option) {
        case Nbd.OPTION_EXPORT_NAME -> {
          return exportName(new String(data, StandardCharsets.UTF_8), zeroes);
        }
        case Nbd.OPTION_ABORT -> {
          reply(option, Nbd.REPLY_ACK, new byte[0]);
          wire.flush();
          return null;
        }
        case Nbd.OPTION_LIST -> list(option, length);
        case Nbd.OPTION_INFO, Nbd.OPTION_GO -> {
          Disk found = info(option, payload);
          if (found != null && option == Nbd.OPTION_GO) {
            wire.flush();
            return found;
          }
        }
        case Nbd.OPTION_STRUCTURED_REPLY -> {
          if (length != 0) {
            refuse(option, Nbd.REPLY_ERROR_INVALID, "this option has no data");
          } else {
            structured = true;
            reply(option, Nbd.REPLY_ACK, new byte[0]);
          }
        }
        default -> refuse(option, Nbd.REPLY_ERROR_UNSUPPORTED, "option not supported");
      }
      wire.flush();
    }
    throw new BrokenProtocol("sent more than " + MAX_OPTIONS + " options");
  }

  private void refuseLong(int option, int length) throws IOException {
    if (length < 0 || length > MAX_SKIPPED_BYTES) {
      throw new BrokenProtocol(
          "announced an option of " + Integer.toUnsignedString(length) + " bytes");
    }
    wire.skip(length);
    if (option == Nbd.OPTION_EXPORT_NAME) {
      throw new BrokenProtocol("asked for an export with a name of " + length + " bytes");
    }
    refuse(
        option, Nbd.REPLY_ERROR_TOO_BIG, "at most " + MAX_OPTION_BYTES + " bytes of option data");
    wire.flush();
  }

  private @Nullable Disk find(String name) {
    if (!name.isEmpty()) {
      return exports.find(name);
    }
    var names = exports.names();
    return names.size() == 1 ? exports.find(names.getFirst()) : null;
  }

  private String explainMissing(String name) {
    return name.isEmpty()
        ? "name an export: exactly one disk must be attached to leave it out, and there are "
            + exports.names().size()
        : "no disk is attached under the name " + ClientLog.quote(name);
  }

  /// The oldest way to choose: it has no way to say no but to hang up.
  private Disk exportName(String name, boolean zeroes) throws IOException {
    Disk found = find(name);
    if (found == null) {
      throw new BrokenProtocol("asked for an export that is not there: " + explainMissing(name));
    }
    ByteBuffer out = wire.out(Long.BYTES + Short.BYTES + EXPORT_NAME_ZEROES);
    out.putLong(found.sizeBytes()).putShort(exportFlags());
    if (zeroes) {
      out.put(new byte[EXPORT_NAME_ZEROES]);
    }
    wire.flush();
    return found;
  }

  private short exportFlags() {
    int flags = Nbd.FLAG_HAS_FLAGS | Nbd.FLAG_READ_ONLY | Nbd.FLAG_CAN_MULTI_CONN;
    return (short) (structured ? flags | Nbd.FLAG_SEND_DF : flags);
  }

  private void list(int option, int length) throws IOException {
    if (length != 0) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "this option has no data");
      return;
    }
    for (String name : exports.names()) {
      byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
      reply(
          option,
          Nbd.REPLY_SERVER,
          ByteBuffer.allocate(Integer.BYTES + utf8.length).putInt(utf8.length).put(utf8).array());
    }
    reply(option, Nbd.REPLY_ACK, new byte[0]);
  }

  private @Nullable Disk info(int option, ByteBuffer payload) throws IOException {
    if (payload.remaining() < Integer.BYTES + Short.BYTES) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "the option is cut short");
      return null;
    }
    int nameBytes = payload.getInt();
    if (nameBytes < 0 || nameBytes > payload.remaining() - Short.BYTES) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "the name is longer than the option");
      return null;
    }
    if (nameBytes > MAX_STRING_BYTES) {
      refuse(option, Nbd.REPLY_ERROR_TOO_BIG, "a name has at most " + MAX_STRING_BYTES + " bytes");
      return null;
    }
    byte[] utf8 = new byte[nameBytes];
    payload.get(utf8);
    String name = new String(utf8, StandardCharsets.UTF_8);
    int requests = Short.toUnsignedInt(payload.getShort());
    if (payload.remaining() != requests * Short.BYTES) {
      refuse(option, Nbd.REPLY_ERROR_INVALID, "the list of requests has another length");
      return null;
    }
    Disk found = find(name);
    if (found == null) {
      refuse(option, Nbd.REPLY_ERROR_UNKNOWN, explainMissing(name));
      return null;
    }
    ByteBuffer export = ByteBuffer.allocate(2 * Short.BYTES + Long.BYTES);
    export.putShort((short) Nbd.INFO_EXPORT).putLong(found.sizeBytes()).putShort(exportFlags());
    reply(option, Nbd.REPLY_INFO, export.array());
    while (payload.hasRemaining()) {
      switch (payload.getShort()) {
        case Nbd.INFO_NAME -> {
          byte[] own = found.name().getBytes(StandardCharsets.UTF_8);
          ByteBuffer info = ByteBuffer.allocate(Short.BYTES + own.length);
          reply(option, Nbd.REPLY_INFO, info.putShort((short) Nbd.INFO_NAME).put(own).array());
        }
        case Nbd.INFO_BLOCK_SIZE -> {
          ByteBuffer info = ByteBuffer.allocate(Short.BYTES + 3 * Integer.BYTES);
          info.putShort((short) Nbd.INFO_BLOCK_SIZE).putInt(1);
          info.putInt(Nbd.PREFERRED_BLOCK_BYTES).putInt(Nbd.MAX_REQUEST_BYTES);
          reply(option, Nbd.REPLY_INFO, info.array());
        }
        default -> {
          // Other requests are hints that may stay unanswered.
        }
      }
    }
    reply(option, Nbd.REPLY_ACK, new byte[0]);
    return found;
  }

  private void refuse(int option, int error, String why) throws IOException {
    reply(option, error, why.getBytes(StandardCharsets.UTF_8));
  }

  private void reply(int option, int kind, byte[] data) throws IOException {
    ByteBuffer out = wire.out(Long.BYTES + 3 * Integer.BYTES + data.length);
    out.putLong(Nbd.OPTION_REPLY_MAGIC).putInt(option).putInt(kind).putInt(data.length).put(data);
  }
}
