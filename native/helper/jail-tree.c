// The directories of a jail, and their removal.
#include "jail.h"
#include "common/constants.h"
#include "common/errors.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
// More rounds mean that a process makes files as fast as they are removed.
#define MAX_ROUNDS 100000
#define TOP_NAME_BYTES (4 + ID_LENGTH + 1)

// Cuts off the last part; false if there is none.
static bool go_up(char *path) {
  char *slash = strrchr(path, '/');
  if (path[1] == '\0') return false;
  slash[slash == path] = '\0';
  return true;
}

int path_check(const char *path) {
  char resolved[PATH_MAX], part[PATH_MAX];
  if (path[0] != '/' || realpath(path, resolved) == NULL) return refuse(ENOENT, "there is no %s", path);
  if (strcmp(path, resolved) != 0) return refuse(EPERM, "%s is %s, and must be said so", path, resolved);
  memcpy(part, resolved, sizeof part);
  do {
    struct stat s;
    if (lstat(part, &s) != 0) return -1;
    if (s.st_uid != 0 || (s.st_mode & (S_IWGRP | S_IWOTH)) != 0) return refuse(EPERM, "others than root can change %s", part);
  } while (go_up(part));
  return 0;
}

const char *program_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

static void close_one(int *fd) {
  if (*fd >= 0) KEEPING_ERRNO(close(*fd));
  *fd = -1;
}

void tree_close(struct jail_tree *tree) {
  close_one(&tree->run);
  close_one(&tree->root);
  close_one(&tree->held);
  close_one(&tree->top);
}

// Opens a directory of root, and makes it if it is missing.
static int enter(int at, const char *name, mode_t mode) {
  if (mkdirat(at, name, mode) != 0 && errno != EEXIST) return -1;
  int fd = openat(at, name, DIRECTORY);
  struct stat s;
  if (fd < 0 || fstat(fd, &s) != 0) return -1;
  errno = EPERM;
  // Once more, because the umask applied to mkdir.
  if (s.st_uid == 0 && fchmod(fd, mode) == 0) return fd;
  close_one(&fd);
  return -1;
}

// Opens DIRECTORY/firecracker. @param make whether to make missing directories
static int open_base(const struct jail_settings *settings, bool make) {
  const char *name = program_name(settings->firecracker);
  if (make && mkdir(settings->directory, 0711) != 0 && errno != EEXIST) return -1;
  int directory = open(settings->directory, DIRECTORY);
  if (directory < 0) return -1;
  int base = -1;
  if (path_check(settings->directory) == 0) base = make ? enter(directory, name, 0711) : openat(directory, name, DIRECTORY);
  close_one(&directory);
  return base;
}

static void top_name(const struct jail *jail, char name[TOP_NAME_BYTES]) { snprintf(name, TOP_NAME_BYTES, HOST_NAME_PREFIX "%s", jail->id); }

// An access control list in the kernel's form: an attribute of the file (acl(5), linux/posix_acl_xattr.h).
struct acl {
  struct posix_acl_xattr_header header;
  struct posix_acl_xattr_entry entries[6];
};

static struct posix_acl_xattr_entry acl_entry(unsigned tag, unsigned rights, unsigned id) {
  return (struct posix_acl_xattr_entry){htole16((uint16_t)tag), htole16((uint16_t)rights), htole32(id)};
}

// All rights for the file's owner, the given rights for the jail's owner and its VMM, none for others. The kernel requires this order.
static int set_acl(int fd, const char *attribute, const struct jail *jail, unsigned owner, unsigned vmm) {
  const unsigned nobody = (unsigned)ACL_UNDEFINED_ID;
  struct acl acl = {
      .header = {htole32(POSIX_ACL_XATTR_VERSION)},
      .entries = {acl_entry(ACL_USER_OBJ, 7, nobody), acl_entry(ACL_USER, owner, jail->owner.uid), acl_entry(ACL_GROUP_OBJ, 0, nobody),
                  acl_entry(ACL_GROUP, vmm, jail->uid), acl_entry(ACL_MASK, 7, nobody), acl_entry(ACL_OTHER, 0, nobody)},
  };
  return fsetxattr(fd, attribute, &acl, sizeof acl, 0);
}

static int make_inside(const struct jail *jail, struct jail_tree *tree) {
  if (fault("jail") != 0 || (tree->held = enter(tree->top, "held", 0700)) < 0) return -1;
  if (fault("jail") != 0 || (tree->root = enter(tree->top, "root", 0700)) < 0) return -1;
  if (fault("jail") != 0 || (tree->run = enter(tree->root, "run", 0700)) < 0) return -1;
  // Files that either side makes in run/, under any umask, are for both. The jailer's chmod leaves this list alone.
  if (set_acl(tree->run, "system.posix_acl_default", jail, 7, 7) != 0) return -1;
  // Owned by root, as run/ will be: a kernel may refuse to open another user's pipe with O_CREAT in a sticky directory
  // (fs.protected_fifos).
  static const char *const pipes[] = {"log.fifo", "serial.fifo", "metrics.fifo"};
  for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++)
    if (mknodat(tree->run, pipes[i], S_IFIFO | 0660, 0) != 0) return -1;
  return 0;
}

int tree_make(const struct jail_settings *settings, const struct jail *jail, struct jail_tree *tree) {
  char name[TOP_NAME_BYTES];
  top_name(jail, name);
  *tree = (struct jail_tree){-1, -1, -1, -1};
  int base = open_base(settings, true);
  if (base < 0) return -1;
  tree->top = enter(base, name, 0711);
  close_one(&base);
  if (tree->top >= 0 && make_inside(jail, tree) == 0) return 0;
  tree_close(tree);
  return -1;
}

int tree_open(const struct jail_settings *settings, const struct jail *jail, struct jail_tree *tree) {
  char name[TOP_NAME_BYTES];
  top_name(jail, name);
  *tree = (struct jail_tree){-1, -1, -1, -1};
  int base = open_base(settings, false);
  if (base < 0) return -1;
  tree->top = openat(base, name, DIRECTORY);
  close_one(&base);
  if (tree->top < 0) return -1;
  tree->held = openat(tree->top, "held", DIRECTORY);
  tree->root = openat(tree->top, "root", DIRECTORY);
  return 0;
}

int tree_seal(const struct jail *jail, const struct jail_tree *tree) {
  if (fault("jail") != 0) return -1;
  // Each list is set before the VMM loses the directory, so that the VMM can use its remaining files at every moment. A name that the VMM
  // cannot change still means the same file when the jail is taken apart.
  if (set_acl(tree->root, "system.posix_acl_access", jail, 1, 5) != 0 || fchown(tree->root, 0, 0) != 0) return -1;
  // Sticky: each side removes only what it made itself. The group's bits are the list's mask.
  if (set_acl(tree->run, "system.posix_acl_access", jail, 7, 7) != 0 || fchown(tree->run, 0, 0) != 0 || fchmod(tree->run, 01770) != 0) return -1;
  // Now that it belongs to the owner, the API's socket cannot become a link to a socket that only the owner reaches.
  return fchownat(tree->run, "api.sock", jail->owner.uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW);
}

// From here on only root reaches the content, even if a process has held a descriptor from before.
static int take_over(int fd) {
  if (fchown(fd, 0, 0) != 0) return -1;
  fremovexattr(fd, "system.posix_acl_access");
  return fchmod(fd, 0700);
}

static bool is_dot(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

static DIR *open_list(int fd) {
  int copy = openat(fd, ".", DIRECTORY);
  DIR *list = copy < 0 ? NULL : fdopendir(copy);
  if (list == NULL) close_one(&copy);
  return list;
}

// Moves a directory up to `top`, under a free name; only root can make names there.
static int move_up(int from, const char *name, int top) {
  static unsigned serial;
  char moved[32];
  do snprintf(moved, sizeof moved, "moved-%u", serial++);
  while (faccessat(top, moved, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
  return renameat(from, name, top, moved);
}

// Removes the content of a directory. Subdirectories move up, so that no tree is too deep for this.
static int empty_directory(int fd, int top) {
  DIR *list = open_list(fd);
  if (list == NULL) return -1;
  int result = 0;
  for (struct dirent *entry; result == 0 && (entry = readdir(list)) != NULL;) {
    if (is_dot(entry->d_name) || unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT) continue;
    // Linux returns EISDIR; a file system may return EPERM, as POSIX does.
    result = errno == EISDIR || errno == EPERM ? move_up(fd, entry->d_name, top) : -1;
  }
  KEEPING_ERRNO(closedir(list));
  return result;
}

static int remove_entry(int top, dev_t device, const char *name) {
  if (unlinkat(top, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return -1;
  int fd = openat(top, name, DIRECTORY);
  if (fd < 0) return -1;
  struct stat s;
  int result = fstat(fd, &s);
  if (result == 0 && s.st_dev != device) result = refuse(EXDEV, "another file system is mounted inside the jail");
  if (result == 0) result = take_over(fd) == 0 ? empty_directory(fd, top) : -1;
  close_one(&fd);
  // A directory that is not empty is found again in the next round.
  return result == 0 && unlinkat(top, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY ? -1 : result;
}

// Removes the present content of `top`. Returns the number of entries, or -1.
static int remove_round(int top, dev_t device) {
  DIR *list = open_list(top);
  if (list == NULL) return -1;
  int found = 0;
  for (struct dirent *entry; found >= 0 && (entry = readdir(list)) != NULL;)
    if (!is_dot(entry->d_name)) found = remove_entry(top, device, entry->d_name) == 0 ? found + 1 : -1;
  KEEPING_ERRNO(closedir(list));
  return found;
}

static int remove_inside(int top) {
  struct stat s;
  if (fstat(top, &s) != 0 || take_over(top) != 0) return -1;
  for (int round = 0; round < MAX_ROUNDS; round++) {
    int found = remove_round(top, s.st_dev);
    if (found <= 0) return found;
  }
  errno = EBUSY;
  return -1;
}

int tree_remove(const struct jail_settings *settings, const struct jail *jail) {
  char name[TOP_NAME_BYTES];
  top_name(jail, name);
  int base = open_base(settings, false);
  if (base < 0) return errno == ENOENT ? 0 : -1;
  int top = openat(base, name, DIRECTORY);
  int result = top >= 0 ? remove_inside(top) : errno == ENOENT ? 0 : -1;
  if (result == 0 && top >= 0) result = unlinkat(base, name, AT_REMOVEDIR);
  close_one(&top);
  close_one(&base);
  return result;
}
