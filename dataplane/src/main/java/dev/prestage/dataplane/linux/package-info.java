/// Every system call of the data plane that the JDK does not offer, by the Foreign Function &amp;
/// Memory API.
///
/// Today that is one: giving the space of evicted extents back to the host. When a call is missing
/// (another system, another file system) the feature steps aside and says once what would bring it
/// back. Threading: all types here are safe for use by any thread; calls block, so they belong on
/// platform threads. Owns the descriptors that it opens.
@NullMarked
package dev.prestage.dataplane.linux;

import org.jspecify.annotations.NullMarked;
