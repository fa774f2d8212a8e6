// What the guest's /etc/fstab wants.
#ifndef BANGER_FSTAB_H
#define BANGER_FSTAB_H
#include "troubles.h"

/**
 * Adds a trouble for each device that a line wants and that is not there: systemd waits 90 s for it, and then stops in its emergency
 * mode, unless the line says nofail or noauto (systemd.mount(5)).
 */
void fstab_examine(const char *path, struct troubles *t);

#endif
