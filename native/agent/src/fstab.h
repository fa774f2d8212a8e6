// Checks the guest's /etc/fstab.
#ifndef BANGER_FSTAB_H
#define BANGER_FSTAB_H
#include "troubles.h"

/**
 * Adds a trouble for each line whose device is missing. systemd waits 90 s for it, and then stops in its emergency mode, unless the line
 * has nofail or noauto (systemd.mount(5)). A UUID or label is looked up on all disks; if a disk holds anything but ext4, there is no
 * result. The line of the root does not count, because the root is mounted already.
 * @param disks directory with an entry for each disk, /sys/block
 * @param devices directory of device nodes, /dev
 */
void fstab_examine(const char *path, const char *disks, const char *devices, struct troubles *t);

#endif
