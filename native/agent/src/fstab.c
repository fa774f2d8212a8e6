#include "fstab.h"
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/** Devices that the kernel makes by itself; those of LVM, RAID, or a label come later, or are not known to the agent. */
static bool is_plain_device(const char *name) {
  static const char *const later[] = {"/dev/dm-", "/dev/md", "/dev/loop", "/dev/nbd", "/dev/zram", "/dev/fuse", NULL};
  if (strncmp(name, "/dev/", 5) != 0 || strchr(name + 5, '/')) return false;
  for (const char *const *at = later; *at; at++)
    if (strncmp(name, *at, strlen(*at)) == 0) return false;
  return true;
}

void fstab_examine(const char *path, struct troubles *t) {
  struct mntent entry;
  char line[4096], what[160];
  FILE *file = setmntent(path, "re");
  while (file && getmntent_r(file, &entry, line, sizeof line)) {
    if (!is_plain_device(entry.mnt_fsname) || hasmntopt(&entry, "nofail") || hasmntopt(&entry, "noauto")) continue;
    snprintf(what, sizeof what, "%.60s in %.60s", entry.mnt_fsname, path);
    if (access(entry.mnt_fsname, F_OK) != 0) trouble_add(t, what, ENODEV, NULL);
  }
  if (file) endmntent(file);
}
