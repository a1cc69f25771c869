package dev.prestage.control.api;

import io.helidon.common.socket.SocketOptions;
import java.net.SocketOption;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/// The options of other [SocketOptions], for those that change what is done with a new connection.
abstract class OtherOptions implements SocketOptions {
  /// The others.
  final SocketOptions rest;

  OtherOptions(SocketOptions rest) {
    this.rest = rest;
  }

  @Override
  public Map<SocketOption<?>, Object> socketOptions() {
    return rest.socketOptions();
  }

  @Override
  public Duration connectTimeout() {
    return rest.connectTimeout();
  }

  @Override
  public Duration readTimeout() {
    return rest.readTimeout();
  }

  @Override
  public Optional<Integer> socketReceiveBufferSize() {
    return rest.socketReceiveBufferSize();
  }

  @Override
  public Optional<Integer> socketSendBufferSize() {
    return rest.socketSendBufferSize();
  }

  @Override
  public boolean socketReuseAddress() {
    return rest.socketReuseAddress();
  }

  @Override
  public boolean socketKeepAlive() {
    return rest.socketKeepAlive();
  }

  @Override
  public boolean tcpNoDelay() {
    return rest.tcpNoDelay();
  }
}
