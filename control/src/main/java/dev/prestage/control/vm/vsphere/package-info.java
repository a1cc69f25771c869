/// Guests of VMware vSphere, by a small client of vCenter's web service (SOAP, `vim25`) on the
/// JDK's own HTTP client and XML parser. Loaded only where a vCenter is configured.
///
/// A [dev.prestage.control.vm.vsphere.VsphereHypervisor] is one session. What guests there are and
/// how they change comes from one filter of the property collector, which is read by one thread
/// once the connection is watched. A session that ends, for whatever reason, ends the connection:
/// [dev.prestage.control.vm.GuestWatch] makes another one, and looks at all guests.
///
/// The password is read for each login and kept nowhere; neither it nor the session's key is in any
/// message.
@NullMarked
package dev.prestage.control.vm.vsphere;

import org.jspecify.annotations.NullMarked;
