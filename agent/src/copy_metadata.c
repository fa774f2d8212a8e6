#include "copy_tree.h"
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

void copy_give_xattrs(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown) {
  static bool was_said;
  const char *name;
  const void *value;
  size_t length, at = 0;
  while (copy_entry_next_xattr(e, &at, &name, &value, &length)) {
    // All others give rights.
    if (!keeps_owners && strncmp(name, "user.", 5) != 0) continue;
    if (fsetxattr(fd, name, value, length, 0) == 0) continue;
    if (errno != ENOTSUP && errno != EPERM && errno != ENOSPC && errno != ERANGE && errno != E2BIG)
      copy_fail(shown, "its extended attributes cannot be set", errno);
    if (!was_said) copy_note(shown, "the file system there does not take its extended attributes; they were left out");
    was_said = true;
  }
}

void copy_give_metadata(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown) {
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {e->seconds, e->nanoseconds}};
  copy_give_xattrs(fd, e, false, shown);
  if (keeps_owners && fchown(fd, e->uid, e->gid) != 0) copy_fail(shown, "its owner cannot be set", errno);
  // A change of owner takes setuid bits and capabilities away, so they come after it. Without owners setuid would be somebody else's.
  if (keeps_owners) copy_give_xattrs(fd, e, true, shown);
  if (fchmod(fd, e->mode & (keeps_owners ? 07777 : 0777)) != 0) copy_fail(shown, "its mode cannot be set", errno);
  if (futimens(fd, times) != 0) copy_fail(shown, "its time cannot be set", errno);
}
