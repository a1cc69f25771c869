package dev.prestage.benchmarks.network;

import dev.prestage.dataplane.linux.Tunnel;
import java.io.IOException;
import java.net.Inet4Address;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/// A link on which each packet takes its time, the handshake's too. A relay of bytes would not do:
/// its kernel completes a handshake before the far end was asked.
///
/// One device leads from this network to itself. A packet from [#NEAR] to [#FAR] comes back after
/// the delay with its addresses exchanged, so it seems to come from far and goes to what listens
/// here; so does the answer. The sum of a packet's words stays the same, and so do its checksums.
final class DelayedLink implements AutoCloseable {
  /// Where the upstreams listen.
  static final String NEAR = "10.99.0.1";

  /// Where they are reached with the delay.
  static final String FAR = "10.99.0.2";

  private static final int PREFIX = 24;
  private static final String DEVICE = "far";

  /// How soon the threads notice that the link is closed.
  private static final int NOTICE_MILLIS = 100;

  /// Packets under way at once; more are lost. 4,096 full ones in 20 ms are 300 MB/s.
  private static final int UNDER_WAY = 4096;

  // Where the two addresses stand in a packet of IPv4.
  private static final int SOURCE = 12;
  private static final int DESTINATION = 16;
  private static final int HEADER_BYTES = 20;

  private final Tunnel tunnel;
  private final long delayNanos;
  private final BlockingQueue<Packet> underWay = new ArrayBlockingQueue<>(UNDER_WAY);
  private final BlockingQueue<ByteBuffer> empty = new ArrayBlockingQueue<>(UNDER_WAY);
  private final Thread taking;
  private final Thread giving;
  private volatile boolean closed;

  private record Packet(ByteBuffer bytes, long dueNanos) {}

  private DelayedLink(Tunnel tunnel, Duration oneWay) {
    this.tunnel = tunnel;
    this.delayNanos = oneWay.toNanos();
    // A native call that waits would hold the carrier of a virtual thread.
    this.taking = Thread.ofPlatform().daemon().name("link-in").unstarted(this::take);
    this.giving = Thread.ofPlatform().daemon().name("link-out").unstarted(this::give);
  }

  /// Opens the link in this process's network.
  ///
  /// @param oneWay how long a packet takes, half a round trip
  /// @throws IOException with one line that says what this system refuses
  static DelayedLink open(Duration oneWay) throws IOException {
    Tunnel.raise("lo");
    var link = new DelayedLink(Tunnel.open(DEVICE, Inet4Address.ofLiteral(NEAR), PREFIX), oneWay);
    link.taking.start();
    link.giving.start();
    return link;
  }

  private void take() {
    ByteBuffer packet = ByteBuffer.allocateDirect(Tunnel.PACKET_BYTES);
    try {
      while (!closed) {
        if (tunnel.read(packet, NOTICE_MILLIS)
            && exchangeAddresses(packet)
            && underWay.offer(new Packet(packet, System.nanoTime() + delayNanos))) {
          ByteBuffer next = empty.poll();
          packet = next == null ? ByteBuffer.allocateDirect(Tunnel.PACKET_BYTES) : next;
        }
      }
    } catch (IOException e) {
      System.err.println("prestage: the delayed link ends: " + e.getMessage());
    }
  }

  /// Whether it is a packet of IPv4; others are lost.
  static boolean exchangeAddresses(ByteBuffer packet) {
    if (packet.remaining() < HEADER_BYTES || packet.get(0) >> 4 != 4) {
      return false;
    }
    int source = packet.getInt(SOURCE);
    packet.putInt(SOURCE, packet.getInt(DESTINATION));
    packet.putInt(DESTINATION, source);
    return true;
  }

  private void give() {
    try {
      while (!closed) {
        Packet packet = underWay.poll(NOTICE_MILLIS, TimeUnit.MILLISECONDS);
        if (packet != null) {
          long left = packet.dueNanos() - System.nanoTime();
          while (left > 0) {
            LockSupport.parkNanos(left);
            left = packet.dueNanos() - System.nanoTime();
          }
          boolean _ = tunnel.write(packet.bytes());
          boolean _ = empty.offer(packet.bytes());
        }
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    closed = true;
    try {
      taking.join();
      giving.join();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    tunnel.close();
  }
}
