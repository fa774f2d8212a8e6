// The VM's disks in the guest.
#ifndef BANGER_MOUNTS_H
#define BANGER_MOUNTS_H
#include "personalize.h"

/** What became of a mount: `error` says what is wrong with it, and `held` how it is all the same; it may be mounted with an error. */
struct mounted {
  int error;
  const char *held;
  bool is_mounted;
};

/**
 * Mounts an ext4, read-only when it cannot be otherwise. One that has noted damage is mounted, as nothing here could mend it, and that
 * is its error; it never brings the machine down.
 */
struct mounted mount_ext4(const char *device, const char *path);
/** Mounts the disks and grows their file systems, and the root's. */
void apply_mounts(const struct personalization *p, struct troubles *t);

#endif
