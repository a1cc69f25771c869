/// What all edges of the data plane have in common: where a guest's demand for one type of resource
/// passes through this host, it is seen, and what is staged is handed over.
///
/// [dev.prestage.dataplane.edge.Edge] is what the link to the control plane needs of one. Edges put
/// accesses into the [dev.prestage.dataplane.edge.AccessRing], ring the
/// [dev.prestage.dataplane.edge.Doorbell] when there is news, and report
/// [dev.prestage.dataplane.edge.Trouble].
@NullMarked
package dev.prestage.dataplane.edge;

import org.jspecify.annotations.NullMarked;
