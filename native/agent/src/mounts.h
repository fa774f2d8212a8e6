// The VM's disks in the guest.
#ifndef BANGER_MOUNTS_H
#define BANGER_MOUNTS_H
#include "personalize.h"

/** The result of a mount: `error` says what is wrong, and `held` how the disk is mounted nevertheless; both may be set. */
struct mounted {
  int error;
  const char *held;
  bool is_mounted;
};

/**
 * Mounts an ext4 file system, read-only if nothing else works. One with recorded damage is mounted, because nothing here could repair it,
 * and the damage is its error; it never makes the kernel panic.
 */
struct mounted mount_ext4(const char *device, const char *path);
/** Mounts the disks, and grows their file systems and the root's. */
void apply_mounts(const struct personalization *p, struct troubles *t);

#endif
