/// VM disks over NBD.
@NullMarked
package dev.prestage.dataplane.nbd;

import org.jspecify.annotations.NullMarked;
