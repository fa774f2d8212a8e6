#include "banger-helper.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static char users_directory[PATH_MAX];

void claims_use(const char *run_directory) { snprintf(users_directory, sizeof users_directory, "%s/users", run_directory); }

int claims_directory(const struct peer *peer, char *path, size_t size) {
  if (mkdir(users_directory, 0755) != 0 && errno != EEXIST) return -1;
  int length = snprintf(path, size, "%s/%u", users_directory, peer->uid);
  if (length < 0 || (size_t)length >= size) {
    errno = ENAMETOOLONG;
    return -1;
  }
  // Only root can write in the directory above, so the name cannot change between these calls.
  if (mkdir(path, 0700) != 0) return errno == EEXIST ? 0 : -1;
  if (lchown(path, peer->uid, peer->gid) == 0) return 0;
  KEEPING_ERRNO(rmdir(path));
  return -1;
}

// With the user's effective ids, and, because they are not root's, without effective capabilities.
static int become(const struct peer *peer) {
  if (peer->uid == 0) return 0;
  return setgroups(peer->group_count, peer->groups) == 0 && setegid(peer->gid) == 0 && seteuid(peer->uid) == 0 ? 0 : -1;
}

static void become_root_again(void) {
  // Groups last: setting them takes root.
  if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(0, NULL) != 0) abort();
}

// A file that is generated for each reader, or by a program of the user that may never answer, cannot be a disk.
static bool file_system_allowed(int fd) {
  static const uint32_t allowed[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC};
  struct statfs system;
  if (fstatfs(fd, &system) != 0) return false;
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
    if ((uint32_t)system.f_type == allowed[i]) return true;
  return false;
}

static int check_file(const struct peer *peer, int fd, const char *name, enum claim_use use, struct stat *file) {
  if (fstat(fd, file) != 0) return -1;
  if (!S_ISREG(file->st_mode)) return refuse(EINVAL, "%s is not a regular file", name);
  if (use == CLAIM_WRITE && file->st_uid != peer->uid) return refuse(EPERM, "%s does not belong to the user", name);
  if (!file_system_allowed(fd)) return refuse(EOPNOTSUPP, "%s is on no file system for disks", name);
  return 0;
}

int claim_open(const struct peer *peer, const char *id, const char *name, enum claim_use use, struct stat *file) {
  char path[PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/%u/%s/%s", users_directory, peer->uid, id, name);
  struct open_how how = {
      // Do not wait: a FIFO must not block all users.
      .flags = (use == CLAIM_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
      // Links of /proc lead to files that the helper itself has open.
      .resolve = RESOLVE_NO_MAGICLINKS,
  };
  int fd = -1;
  if (become(peer) == 0) fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  KEEPING_ERRNO(become_root_again());
  if (fd < 0) return -1;
  if (check_file(peer, fd, name, use, file) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

// Check first, because a failed attempt takes all space for a moment, from everyone.
static int check_room(int fd, const struct stat *file, uint64_t size) {
  struct statfs system;
  if (fstatfs(fd, &system) != 0) return -1;
  uint64_t has = (uint64_t)file->st_blocks * 512;
  if (has >= size || (size - has) / (uint64_t)system.f_bsize < (uint64_t)system.f_bavail) return 0;
  errno = ENOSPC;
  return -1;
}

int claim_allocate(const struct peer *peer, int fd, uint64_t size) {
  struct stat before;
  if (fstat(fd, &before) != 0 || check_room(fd, &before, size) != 0) return -1;
  int result = -1;
  // As the user: root may use a file system's reserve, and has no quota.
  if (become(peer) == 0) result = fallocate(fd, 0, 0, (off_t)size);
  KEEPING_ERRNO(become_root_again());
  // Return what was allocated before the failure.
  if (result != 0) KEEPING_ERRNO((void)!ftruncate(fd, before.st_size));
  return result;
}
