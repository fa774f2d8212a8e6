// The VM's disks in the guest.
#ifndef BANGER_MOUNTS_H
#define BANGER_MOUNTS_H
#include "personalize.h"

/**
 * Mounts an ext4, read-only when it cannot be otherwise, which `held` then says. 0, or the errno of the first try; with a `held` it is
 * mounted all the same.
 */
int mount_ext4(const char *device, const char *path, const char **held);
/** Mounts the disks and grows their file systems, and the root's. */
void apply_mounts(const struct personalization *p, struct troubles *t);

#endif
