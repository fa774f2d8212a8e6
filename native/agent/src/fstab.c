#include "fstab.h"
#include "ext4.h"
#include "plain_file.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define UUID_DIGITS 36

static bool begins_with_any(const char *text, const char *const *beginnings) {
  for (; *beginnings; beginnings++)
    if (strncmp(text, *beginnings, strlen(*beginnings)) == 0) return true;
  return false;
}

/** Devices that the kernel makes by itself; LVM and RAID devices appear later. */
static bool is_plain_device(const char *name) {
  static const char *const later[] = {"/dev/dm-", "/dev/md", "/dev/loop", "/dev/nbd", "/dev/zram", "/dev/fuse", NULL};
  return strncmp(name, "/dev/", 5) == 0 && !strchr(name + 5, '/') && !begins_with_any(name, later);
}

/** The word behind `kind` if udev or systemd finds the device by a property of its file system or partition (fstab(5)), or NULL. */
static const char *tag_of(const char *name, bool *is_uuid) {
  static const struct {
    const char *beginning;
    bool is_uuid;
  } kinds[] = {{"UUID=", true}, {"LABEL=", false}, {"/dev/disk/by-uuid/", true}, {"/dev/disk/by-label/", false}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t length = strlen(kinds[i].beginning);
    if (strncmp(name, kinds[i].beginning, length) != 0) continue;
    *is_uuid = kinds[i].is_uuid;
    return name + length + (name[length] == '"');
  }
  return NULL;
}

static bool has_tag(const struct ext4_notes *notes, const char *tag, bool is_uuid) {
  const uint8_t *u = notes->uuid;
  char text[UUID_DIGITS + 1];
  size_t length = strcspn(tag, "\"");
  snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5],
           u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
  if (is_uuid) return length == UUID_DIGITS && strncasecmp(tag, text, length) == 0;
  return length == strlen(notes->label) && strncmp(tag, notes->label, length) == 0;
}

/** Whether every disk is readable, and none matches. */
static bool is_on_no_disk(const char *disks, const char *devices, const char *tag, bool is_uuid) {
  static const char *const others[] = {".", "loop", "ram", "zram", "nbd", "fd", "sr", NULL};
  char path[PATH_MAX];
  bool is_sure = true;
  DIR *directory = opendir(disks);
  if (!directory) return false;
  for (struct dirent *entry; is_sure && (entry = readdir(directory));) {
    if (begins_with_any(entry->d_name, others)) continue;
    snprintf(path, sizeof path, "%.200s/%s", devices, entry->d_name);
    struct ext4_notes notes = ext4_read_notes(path);
    is_sure = notes.is_ext4 && !has_tag(&notes, tag, is_uuid);
  }
  closedir(directory);
  return is_sure;
}

void fstab_examine(const char *path, const char *disks, const char *devices, struct troubles *t) {
  struct mntent entry;
  char line[4096], what[160];
  FILE *file = plain_file_stream(path);
  while (file && getmntent_r(file, &entry, line, sizeof line)) {
    bool is_uuid = false, is_missing;
    const char *name = entry.mnt_fsname, *tag = tag_of(name, &is_uuid);
    if (strcmp(entry.mnt_dir, "/") == 0 || hasmntopt(&entry, "nofail") || hasmntopt(&entry, "noauto")) continue;
    // A label may contain escapes, which only udev decodes.
    if (tag) is_missing = !strchr(tag, '\\') && is_on_no_disk(disks, devices, tag, is_uuid);
    else is_missing = is_plain_device(name) && access(name, F_OK) != 0;
    snprintf(what, sizeof what, "%.60s in %.60s", name, path);
    if (is_missing) trouble_add(t, what, ENODEV, NULL);
  }
  if (file) endmntent(file);
}
