package dev.prestage.link;

import com.sun.security.auth.module.UnixSystem;
import dev.prestage.link.host.UnixSockets;
import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.locks.ReentrantLock;
import jdk.net.ExtendedSocketOptions;

/// One connection between the planes. Any thread may send; one thread receives. Both block.
public final class Link implements AutoCloseable {
  private final SocketChannel channel;
  private final ReentrantLock sending = new ReentrantLock();
  private ByteBuffer received = ByteBuffer.allocate(64 * 1024).flip();
  private final Frame.Hello peer;

  private Link(SocketChannel channel, Path socket, Frame.Hello self) throws IOException {
    this.channel = channel;
    refuseOtherUsers(channel, socket);
    send(self);
    if (!(receive() instanceof Frame.Hello hello)) {
      throw new ProtocolException("the peer on " + socket + " did not begin with Hello");
    }
    if (hello.version() != self.version()) {
      throw new ProtocolException(
          "the peer on "
              + socket
              + " (pid "
              + hello.pid()
              + ") speaks link version "
              + hello.version()
              + ", this process "
              + self.version()
              + "; run both planes from one installation");
    }
    this.peer = hello;
  }

  /// Opens the data plane's end: a unix socket that only this user can use.
  public static ServerSocketChannel listen(Path socket) throws IOException {
    return UnixSockets.listen(socket, UnixSockets.OWNER_ONLY);
  }

  /// Waits for a control plane and exchanges greetings with it.
  ///
  /// @throws ProtocolException if it is another user's, or of another version; the server stays
  ///   usable
  public static Link accept(ServerSocketChannel server, Path socket, Frame.Hello self)
      throws IOException {
    return greet(server.accept(), socket, self);
  }

  /// Exchanges greetings with a control plane that was accepted already, so that one that says
  /// nothing does not keep the next from being accepted. Closes the channel if it fails.
  public static Link greet(SocketChannel channel, Path socket, Frame.Hello self)
      throws IOException {
    return open(channel, socket, self);
  }

  /// Connects to the data plane and exchanges greetings with it.
  public static Link connect(Path socket, Frame.Hello self) throws IOException {
    return open(SocketChannel.open(UnixDomainSocketAddress.of(socket)), socket, self);
  }

  private static Link open(SocketChannel channel, Path socket, Frame.Hello self)
      throws IOException {
    try {
      return new Link(channel, socket, self);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static void refuseOtherUsers(SocketChannel channel, Path socket) throws IOException {
    Object owner = Files.getAttribute(socket, "unix:uid");
    long self = new UnixSystem().getUid();
    var user = channel.getOption(ExtendedSocketOptions.SO_PEERCRED).user();
    if (!owner.equals((int) self)) {
      throw new ProtocolException(
          "user " + self + " may not use " + socket + ": it belongs to user " + owner);
    }
    if (!user.equals(Files.getOwner(socket))) {
      throw new ProtocolException(
          "user " + user.getName() + " may not use " + socket + "; only its owner may");
    }
  }

  /// How the other side introduced itself.
  public Frame.Hello peer() {
    return peer;
  }

  /// Sends one frame; returns when the kernel has it.
  public void send(Frame frame) throws IOException {
    byte[] body = FrameCodec.encode(frame);
    if (body.length > FrameCodec.MAX_BYTES) {
      throw new ProtocolException("a frame of " + body.length + " bytes is too long to send");
    }
    ByteBuffer[] out = {
      ByteBuffer.allocate(Integer.BYTES).putInt(body.length).flip(), ByteBuffer.wrap(body)
    };
    sending.lock();
    try {
      while (out[1].hasRemaining()) {
        channel.write(out);
      }
    } finally {
      sending.unlock();
    }
  }

  /// Waits for the next frame.
  ///
  /// @throws EOFException if the other side is gone
  public Frame receive() throws IOException {
    fill(Integer.BYTES);
    int length = received.getInt();
    if (length < 1 || length > FrameCodec.MAX_BYTES) {
      throw new ProtocolException("a frame of " + length + " bytes was announced");
    }
    fill(length);
    ByteBuffer body = received.slice(received.position(), length);
    received.position(received.position() + length);
    return FrameCodec.decode(body);
  }

  private void fill(int bytes) throws IOException {
    if (received.remaining() >= bytes) {
      return;
    }
    if (received.capacity() < bytes) {
      received = ByteBuffer.allocate(Math.max(bytes, 2 * received.capacity())).put(received).flip();
    }
    received.compact();
    while (received.position() < bytes) {
      if (channel.read(received) < 0) {
        throw new EOFException("the other plane closed the link");
      }
    }
    received.flip();
  }

  /// Ends the connection; a blocked [#receive] ends with an exception.
  @Override
  public void close() throws IOException {
    channel.close();
  }
}
