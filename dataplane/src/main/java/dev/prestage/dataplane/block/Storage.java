package dev.prestage.dataplane.block;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/// The files of a tier. The fault model: until [File#force] returns, any write, truncation or
/// punched hole may be lost, survive in part (whole 512-byte sectors) or overtake an earlier one.
public interface Storage {
  /// Opens a file for reading and writing, and creates it and its directories if need be.
  ///
  /// @param name relative, with `/` between directories
  File open(String name) throws IOException;

  /// The names of all files, in no order.
  List<String> list() throws IOException;

  /// Removes a file, if it is there. Whoever has it open may go on using it.
  void delete(String name) throws IOException;

  /// How the file is called in messages.
  String describe(String name);

  /// One open file. Any number of threads may use it at the same time.
  interface File extends AutoCloseable {
    /// The size in bytes.
    long sizeBytes() throws IOException;

    /// Reads into the buffer until it is full or the file ends; what was never written reads as
    /// zeros.
    void read(ByteBuffer into, long offset) throws IOException;

    /// Writes all of the buffer.
    ///
    /// @throws IOException if the device is full, among other things; part may have been written
    void write(ByteBuffer from, long offset) throws IOException;

    /// Gives the space of a range back, as far as the file system can. The range reads as zeros
    /// where it can, and as before where it cannot.
    void punch(long offset, long lengthBytes);

    /// Cuts the file.
    void truncate(long sizeBytes) throws IOException;

    /// Returns when everything done so far survives a loss of power.
    void force() throws IOException;

    @Override
    void close() throws IOException;
  }
}
