// What the guest's /etc/fstab wants.
#ifndef BANGER_FSTAB_H
#define BANGER_FSTAB_H
#include "troubles.h"

/**
 * Adds a trouble for each device that a line wants and that is not there: systemd waits 90 s for it, and then stops in its emergency
 * mode, unless the line says nofail or noauto (systemd.mount(5)). What is named by UUID or label is looked for on all disks, and is not
 * judged where one of them has something else than an ext4. The line of the root is nobody's to wait for: it is mounted.
 * @param disks directory whose entries are named as disks are, /sys/block
 * @param devices where their nodes are, /dev
 */
void fstab_examine(const char *path, const char *disks, const char *devices, struct troubles *t);

#endif
