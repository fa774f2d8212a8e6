#include "copy_tree.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool is_plain(const char *name) { return strncmp(name, "user.", 5) == 0; }

static void give_xattr(int fd, const char *name, const void *value, size_t length, const char *shown) {
  static bool was_said;
  if (fsetxattr(fd, name, value, length, 0) == 0) return;
  if (errno != ENOTSUP && errno != EPERM && errno != ENOSPC && errno != ERANGE && errno != E2BIG)
    copy_fail(shown, "its extended attributes cannot be set", errno);
  if (!was_said) copy_note(shown, "the file system there does not take its extended attributes; they were left out");
  was_said = true;
}

// All but the plain attributes give rights.
static void say_left_out(const char *shown) {
  static bool was_said;
  if (!was_said) copy_note(shown, "its access list or capabilities were left out, as of all files; --archive keeps them");
  was_said = true;
}

void copy_give_plain_xattrs(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown) {
  const char *name;
  const void *value;
  size_t length, at = 0;
  while (copy_entry_next_xattr(e, &at, &name, &value, &length)) {
    if (is_plain(name)) give_xattr(fd, name, value, length, shown);
    else if (!keeps_owners) say_left_out(shown);
  }
}

void copy_give_other_xattrs(int fd, const struct copy_entry *e, const char *shown) {
  const char *name;
  const void *value;
  size_t length, at = 0;
  while (copy_entry_next_xattr(e, &at, &name, &value, &length))
    if (!is_plain(name)) give_xattr(fd, name, value, length, shown);
}

// False if this user may not give files away.
static bool is_given(int result, const char *shown) {
  static bool was_said;
  if (result == 0) return true;
  if (errno != EPERM || geteuid() == 0) copy_fail(shown, "its owner cannot be set", errno);
  if (!was_said) copy_note(shown, "only root gives files away: this one and all others are yours");
  was_said = true;
  return false;
}

void copy_give_link_owner(int parent, const char *name, const struct copy_entry *e, const char *shown) {
  is_given(fchownat(parent, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW), shown);
}

struct copy_rights copy_rights_of(const struct copy_entry *e) {
  // The sticky bit means nothing on files.
  unsigned mode = e->kind == COPY_DIRECTORY ? e->mode : e->mode & 06777;
  return (struct copy_rights){.mode = mode, .uid = e->uid, .gid = e->gid, .time = {e->seconds, e->nanoseconds}};
}

// Times that every file system can store: FAT begins at 1980 in its own clock, ext4 with small inodes ends in 2038.
#define DAY_S 86400
#define EARLIEST_KEPT (315532800 + DAY_S)
#define LATEST_KEPT (INT32_MAX - DAY_S)
// FAT has a resolution of two seconds.
#define STEP_S 2

// A file system that cannot store a time silently stores the nearest one.
static void look_at_time(int fd, int64_t asked, const char *shown) {
  static bool was_said;
  struct stat st;
  if (was_said || (asked >= EARLIEST_KEPT && asked < LATEST_KEPT) || fstat(fd, &st) != 0) return;
  if (st.st_mtime >= asked - STEP_S && st.st_mtime <= asked + STEP_S) return;
  copy_note(shown, "the file system there cannot keep its time of change; it got the nearest one, as all such files do");
  was_said = true;
}

void copy_give_rights(int fd, const struct copy_rights *rights, bool keeps_owners, const char *shown) {
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, rights->time};
  bool has_owner = keeps_owners && is_given(fchown(fd, rights->uid, rights->gid), shown);
  // A change of owner clears setuid bits, so they come after it. Without the change, they would give another user's rights.
  if (fchmod(fd, rights->mode & (has_owner ? 07777 : 01777)) != 0) copy_fail(shown, "its mode cannot be set", errno);
  if (futimens(fd, times) != 0) copy_fail(shown, "its time cannot be set", errno);
  look_at_time(fd, rights->time.tv_sec, shown);
}

void copy_give_metadata(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown) {
  const struct copy_rights rights = copy_rights_of(e);
  copy_give_plain_xattrs(fd, e, keeps_owners, shown);
  copy_give_rights(fd, &rights, keeps_owners, shown);
  // A change of owner clears capabilities, too.
  if (keeps_owners) copy_give_other_xattrs(fd, e, shown);
}
