package dev.prestage.dataplane.nbd;

/// The numbers of the NBD protocol (doc/proto.md of the NetworkBlockDevice project).
final class Nbd {
  static final long MAGIC = 0x4e42444d41474943L; // NBDMAGIC
  static final long OPTION_MAGIC = 0x49484156454f5054L; // IHAVEOPT
  static final long OPTION_REPLY_MAGIC = 0x3e889045565a9L;
  static final int REQUEST_MAGIC = 0x25609513;
  static final int SIMPLE_REPLY_MAGIC = 0x67446698;
  static final int STRUCTURED_REPLY_MAGIC = 0x668e33ef;

  static final int HANDSHAKE_FIXED_NEWSTYLE = 1;
  static final int HANDSHAKE_NO_ZEROES = 1 << 1;

  static final int OPTION_EXPORT_NAME = 1;
  static final int OPTION_ABORT = 2;
  static final int OPTION_LIST = 3;
  static final int OPTION_INFO = 6;
  static final int OPTION_GO = 7;
  static final int OPTION_STRUCTURED_REPLY = 8;

  static final int REPLY_ACK = 1;
  static final int REPLY_SERVER = 2;
  static final int REPLY_INFO = 3;
  private static final int REPLY_ERROR = 1 << 31;
  static final int REPLY_ERROR_UNSUPPORTED = REPLY_ERROR | 1;
  static final int REPLY_ERROR_POLICY = REPLY_ERROR | 2;
  static final int REPLY_ERROR_INVALID = REPLY_ERROR | 3;
  static final int REPLY_ERROR_UNKNOWN = REPLY_ERROR | 6;
  static final int REPLY_ERROR_TOO_BIG = REPLY_ERROR | 9;

  static final int INFO_EXPORT = 0;
  static final int INFO_NAME = 1;
  static final int INFO_BLOCK_SIZE = 3;

  static final int FLAG_HAS_FLAGS = 1;
  static final int FLAG_READ_ONLY = 1 << 1;
  static final int FLAG_SEND_DF = 1 << 7;
  static final int FLAG_CAN_MULTI_CONN = 1 << 8;

  static final int COMMAND_READ = 0;
  static final int COMMAND_WRITE = 1;
  static final int COMMAND_DISCONNECT = 2;
  static final int COMMAND_TRIM = 4;
  static final int COMMAND_WRITE_ZEROES = 6;
  static final int COMMAND_FLAG_DF = 1 << 2;

  static final int CHUNK_DONE = 1;
  static final int CHUNK_OFFSET_DATA = 1;
  static final int CHUNK_ERROR = (1 << 15) | 1;

  static final int EPERM = 1;
  static final int EIO = 5;
  static final int EINVAL = 22;

  static final int REQUEST_BYTES = 28;
  static final int SIMPLE_REPLY_BYTES = 16;
  static final int STRUCTURED_REPLY_BYTES = 20;

  /// What a client may ask for in one request: what QEMU and the kernel take for granted.
  static final int MAX_REQUEST_BYTES = 32 << 20;

  /// Any request is served; one that covers whole 4 KiB blocks is served without a copy, because
  /// that is what a checksum covers. Not 64 KiB, the unit of fetching: some clients pad their
  /// requests to it, and the kernel's client takes none larger than a page.
  static final int PREFERRED_BLOCK_BYTES = 4096;

  private Nbd() {}
}
