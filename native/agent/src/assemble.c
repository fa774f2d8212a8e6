#include "assemble.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK "/disk"

struct place {
  const char *name;
  mode_t mode;
  bool may_be_link;  // a file system that is mounted by name must be at its name
};

static const struct place places[] = {{"dev", 0755, false}, {"proc", 0755, false}, {"sys", 0755, false},  {"run", 0755, false},
                                      {"etc", 0755, true},  {"root", 0700, true},  {"tmp", 01777, true}, {NULL, 0, false}};

/** 0, or why there is no directory and none can be made. */
static int make_place(const char *root, const struct place *place) {
  char path[64];
  struct stat s;
  snprintf(path, sizeof path, "%s/%s", root, place->name);
  if (mkdir(path, place->mode) == 0) return chmod(path, place->mode) == 0 ? 0 : errno;
  int error = errno == EEXIST ? ENOTDIR : errno;
  if (lstat(path, &s) != 0) return error == ENOTDIR ? errno : error;
  return S_ISDIR(s.st_mode) || (place->may_be_link && S_ISLNK(s.st_mode)) ? 0 : ENOTDIR;
}

const char *root_missing_place(const char *root, int *error) {
  for (const struct place *at = places; at->name; at++)
    if ((*error = make_place(root, at)) != 0) return at->name;
  return NULL;
}

/** Whether to make `name` anew instead of taking it from the disk. */
static bool is_made_anew(const char *name) {
  struct stat s;
  char path[64];
  for (const struct place *at = places; at->name; at++) {
    if (strcmp(name, at->name) != 0) continue;
    snprintf(path, sizeof path, DISK "/%s", at->name);
    return !at->may_be_link || lstat(path, &s) != 0 || (!S_ISDIR(s.st_mode) && !S_ISLNK(s.st_mode));
  }
  return false;
}

static void put_entry(const char *root, const char *name) {
  char from[PATH_MAX], to[PATH_MAX], link[PATH_MAX] = "";
  struct stat s;
  snprintf(from, sizeof from, DISK "/%.255s", name);
  snprintf(to, sizeof to, "%.64s/%.255s", root, name);
  if (lstat(from, &s) != 0) return;
  if (S_ISLNK(s.st_mode)) {
    if (readlink(from, link, sizeof link - 1) < 0 || symlink(link, to) != 0) return;
  } else {
    if (S_ISDIR(s.st_mode)) mkdir(to, s.st_mode & 07777);
    else if (mknod(to, S_IFREG | 0600, 0) != 0) return;
    mount(from, to, NULL, MS_BIND, NULL);
  }
}

int root_assemble(const char *root) {
  mkdir(DISK, 0755);
  if (mount(root, DISK, NULL, MS_MOVE, NULL) != 0) return errno;
  if (mount("tmpfs", root, "tmpfs", 0, "mode=755,size=20%") != 0) return errno;
  DIR *entries = opendir(DISK);
  for (struct dirent *entry; entries && (entry = readdir(entries));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !is_made_anew(entry->d_name)) put_entry(root, entry->d_name);
  if (entries) closedir(entries);
  for (const struct place *at = places; at->name; at++) make_place(root, at);
  // The bind mounts keep the file system.
  umount2(DISK, MNT_DETACH);
  return 0;
}
