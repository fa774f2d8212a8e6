#include "assemble.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK "/disk"

static const char *const places[] = {"dev", "proc", "sys", "run", NULL};

static bool is_place(const char *name) {
  for (const char *const *at = places; *at; at++)
    if (strcmp(name, *at) == 0) return true;
  return false;
}

bool root_has_places(const char *root) {
  char path[64];
  struct stat s;
  for (const char *const *at = places; *at; at++) {
    snprintf(path, sizeof path, "%s/%s", root, *at);
    int error = mkdir(path, 0755) == 0 || errno == EEXIST ? ENOTDIR : errno;
    if (lstat(path, &s) == 0 && S_ISDIR(s.st_mode)) continue;
    errno = error;
    return false;
  }
  return true;
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
  int error = errno;
  char path[64];
  mkdir(DISK, 0755);
  if (mount(root, DISK, NULL, MS_MOVE, NULL) != 0) return errno;
  if (mount("tmpfs", root, "tmpfs", 0, "mode=755,size=1M") != 0) return errno;
  DIR *entries = opendir(DISK);
  for (struct dirent *entry; entries && (entry = readdir(entries));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !is_place(entry->d_name)) put_entry(root, entry->d_name);
  if (entries) closedir(entries);
  for (const char *const *at = places; *at; at++) {
    snprintf(path, sizeof path, "%s/%s", root, *at);
    mkdir(path, 0755);
  }
  // What is bound keeps the file system.
  umount2(DISK, MNT_DETACH);
  return error;
}
