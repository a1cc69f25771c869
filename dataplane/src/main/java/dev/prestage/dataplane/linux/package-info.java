/// Every system call of the data plane that the JDK does not offer, by the Foreign Function &amp;
/// Memory API.
///
/// Today these are four: giving the space of evicted extents back to the host, which steps aside
/// and says so once where a file system cannot, holding a file by its descriptor, taking and
/// filling the missing pages of other processes, and a network device that this process serves,
/// which only measurements use. Threading, where a type says nothing else: all types here are safe
/// for use by any thread; calls block, so they belong on platform threads. Owns the descriptors
/// that it opens.
@NullMarked
package dev.prestage.dataplane.linux;

import org.jspecify.annotations.NullMarked;
