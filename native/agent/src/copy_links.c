#include "copy_place.h"
#include "copy_tree.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static void take_away(int parent, const char *name, const char *shown) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISDIR(st.st_mode)) copy_fail(shown, "a directory is there, where the copy has a link", -EISDIR);
  if (unlinkat(parent, name, 0) != 0) copy_fail(shown, "", errno);
}

void copy_place_link(int parent, const char *name, const struct copy_entry *e, const char *shown) {
  if (strlen(e->link) >= PATH_MAX || !*e->link) copy_fail(shown, "it is a link to a path that no file can have", -EBADMSG);
  int error = symlinkat(e->link, parent, name) == 0 ? 0 : errno;
  if (error == EEXIST) {
    take_away(parent, name, shown);
    error = symlinkat(e->link, parent, name) == 0 ? 0 : errno;
  }
  if (error) copy_fail(shown, "the link cannot be made", error);
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {e->seconds, e->nanoseconds}};
  // The copy continues if a file system keeps no times of links.
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) != 0) errno = 0;
}

// Not every file system has hard links, and none has them across file systems.
static bool has_no_hard_links(int error) { return error == EXDEV || error == EPERM || error == EMLINK || error == ENOTSUP; }

_Noreturn static void fail_without_first(const struct copy_entry *e) {
  copy_fail(copy_tree_shown(e->path), "it is another name of a file that is not in the copy", -EBADMSG);
}

static int open_first(int directory, const char *first, const struct copy_entry *e, bool may_follow) {
  struct stat st;
  // If another program has put a pipe there meanwhile, do not wait for it.
  int fd = openat(directory, first, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (may_follow ? 0 : O_NOFOLLOW));
  if (fd < 0) copy_fail(copy_tree_shown(e->link), "", errno);
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) fail_without_first(e);
  return fd;
}

int copy_place_hard_link(int parent, const char *name, const struct copy_entry *e, bool may_follow) {
  char first[NAME_MAX + 1];
  struct stat st, there;
  int fd = -1, directory = copy_tree_find(e->link, first, sizeof first);
  if (!*first || fstatat(directory, first, &st, may_follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) fail_without_first(e);
  bool is_same = fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == st.st_ino && there.st_dev == st.st_dev;
  if (!is_same) {
    take_away(parent, name, copy_tree_shown(e->path));
    if (linkat(directory, first, parent, name, may_follow ? AT_SYMLINK_FOLLOW : 0) != 0) {
      if (!has_no_hard_links(errno)) copy_fail(copy_tree_shown(e->path), "it cannot be made another name of its file", errno);
      fd = open_first(directory, first, e, may_follow);
    }
  }
  close(directory);
  return fd;
}
