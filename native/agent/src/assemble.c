#include "assemble.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DISK "/disk"

/** What is mounted by name must be where the name says. A link of temporary files may lead to what is mounted later. */
enum link { LINK_REFUSED, LINK_TO_DIRECTORY, LINK_ANYWHERE };

struct place {
  const char *name;
  mode_t mode;
  enum link link;
};

static const struct place places[] = {
  {"dev", 0755, LINK_REFUSED},      {"proc", 0755, LINK_REFUSED},      {"sys", 0755, LINK_REFUSED},   {"run", 0755, LINK_REFUSED},
  {"etc", 0755, LINK_TO_DIRECTORY}, {"root", 0700, LINK_TO_DIRECTORY}, {"tmp", 01777, LINK_ANYWHERE}, {NULL, 0, LINK_REFUSED},
};

/** 0 when links lead to a directory with `root` as the root, else an errno. */
static int follow_below(const char *root, const char *name) {
  struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
  int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = root_fd < 0 ? -1 : (int)syscall(SYS_openat2, root_fd, name, &how, sizeof how);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) close(fd);
  if (root_fd >= 0) close(root_fd);
  return error;
}

/** 0, or why what is there is no such place. */
static int place_obstacle(const char *root, const struct place *place) {
  char path[64];
  struct stat s;
  snprintf(path, sizeof path, "%s/%s", root, place->name);
  if (lstat(path, &s) != 0) return errno;
  if (S_ISDIR(s.st_mode)) return 0;
  if (!S_ISLNK(s.st_mode) || place->link == LINK_REFUSED) return ENOTDIR;
  return place->link == LINK_ANYWHERE ? 0 : follow_below(root, place->name);
}

/** 0, or why there is no directory and none can be made. */
static int make_place(const char *root, const struct place *place) {
  char path[64];
  snprintf(path, sizeof path, "%s/%s", root, place->name);
  if (mkdir(path, place->mode) == 0) return chmod(path, place->mode) == 0 ? 0 : errno;
  int error = errno, obstacle = place_obstacle(root, place);
  // Where there is no entry at all, the question is why none could be made.
  return obstacle == ENOENT && error != EEXIST ? error : obstacle;
}

const char *root_missing_place(const char *root, int *error) {
  for (const struct place *at = places; at->name; at++)
    if ((*error = make_place(root, at)) != 0) return at->name;
  return NULL;
}

/** Whether to make `name` anew instead of taking it from the disk. */
static bool is_made_anew(const char *name) {
  for (const struct place *at = places; at->name; at++)
    if (strcmp(name, at->name) == 0) return at->link == LINK_REFUSED || place_obstacle(DISK, at) != 0;
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
