// The VMM's files. Kernel and initramfs are copies, so that nobody changes them under a guest. A disk that the VMM writes to is the user's
// own file: its group and mode admit the VMM until the jail is taken apart.
//
// Claims: kernel, initramfs, and for each N from 0 on one of diskN (written to) or diskN-ro.
#include "jail.h"
#include "common/constants.h"
#include "common/errors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define NAME_BYTES 48
#define MAX_COPY_BYTES (UINT64_C(1) << 30)
#define COPY_PIECE_BYTES (16U << 20)

// Shares the file's blocks if the file system can, otherwise copies them; an endless file is cut off.
static int copy_bytes(int from, int to) {
  if (ioctl(to, FICLONE, from) == 0) return 0;
  for (uint64_t copied = 0; copied <= MAX_COPY_BYTES;) {
    static char buffer[1 << 16];
    ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_PIECE_BYTES, 0);
    // Between some file systems the kernel itself copies nothing.
    if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)) {
      n = read(from, buffer, sizeof buffer);
      if (n > 0) n = write(to, buffer, (size_t)n);
    }
    if (n <= 0) return (int)n;
    copied += (uint64_t)n;
  }
  return refuse(EFBIG, "a file for a jail is larger than %llu MiB", (unsigned long long)(MAX_COPY_BYTES >> 20));
}

static int copy_in(const struct jail *jail, int root, int from, const char *name) {
  int to = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
  if (to < 0) return -1;
  int result = copy_bytes(from, to);
  if (result == 0) result = fchown(to, 0, (gid_t)jail->uid) == 0 ? fchmod(to, 0440) : -1;
  KEEPING_ERRNO(close(to));
  return result;
}

static int link_in(int fd, int directory, const char *name) { return linkat(fd, "", directory, name, AT_EMPTY_PATH); }

static int make_empty(int directory, const char *name) {
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0000);
  return fd < 0 ? -1 : close(fd);
}

static void path_of(int directory, const char *name, char *path, size_t size) { snprintf(path, size, "/proc/self/fd/%d/%s", directory, name); }

// A disk on another file system cannot be linked, so it is mounted onto an empty file.
static int mount_in(int fd, int root, const char *name) {
  char from[64], to[NAME_BYTES + 64];
  snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
  path_of(root, name, to, sizeof to);
  return make_empty(root, name) == 0 ? mount(from, to, NULL, MS_BIND, NULL) : -1;
}

// Records the disk's state where only root can read it, then admits the VMM.
static int give_disk(const struct jail_settings *settings, const struct jail *jail, const struct jail_tree *tree, int fd, const char *name) {
  struct stat file;
  char held[NAME_BYTES];
  if (fault("jail") != 0 || fstat(fd, &file) != 0) return -1;
  // After a power failure, a jail had no chance to give it back.
  bool stale = jail_owns_gid(settings, file.st_gid);
  unsigned gid = stale ? jail->owner.gid : file.st_gid, mode = stale ? 0600 : file.st_mode & 0777;
  snprintf(held, sizeof held, "%s.%u.%o.link", name, gid, mode);
  bool linked = link_in(fd, tree->held, held) == 0;
  if (!linked && errno != EXDEV) return -1;
  snprintf(held, sizeof held, "%s.%u.%o.mount", name, gid, mode);
  if (!linked && make_empty(tree->held, held) != 0) return -1;
  if (fault("jail") != 0) return -1;
  if (linked ? link_in(fd, tree->root, name) != 0 : mount_in(fd, tree->root, name) != 0) return -1;
  if (fault("jail") != 0 || fchown(fd, (uid_t)-1, (gid_t)jail->uid) != 0 || fchmod(fd, 0660) != 0) return -1;
  return fault("jail");
}

static int put_writable(const struct jail_settings *settings, const struct jail *jail, const struct jail_tree *tree, const char *name, struct jail_locks *locks) {
  struct stat file;
  int fd = claim_open(&jail->owner, jail->id, name, CLAIM_WRITE, &file);
  if (fd < 0) return -1;
  int result = flock(fd, LOCK_EX | LOCK_NB);
  if (result != 0) result = refuse(EBUSY, "%s is in use by another VMM", name);
  else result = give_disk(settings, jail, tree, fd, name);
  // Firecracker locks no disk, and its jailer leaves it no descriptor that would, so another process keeps this one.
  if (result == 0) locks->fds[locks->count++] = fd;
  else KEEPING_ERRNO(close(fd));
  return result;
}

static int put_copy(const struct jail *jail, const struct jail_tree *tree, const char *claim, const char *name) {
  struct stat file;
  if (fault("jail") != 0) return -1;
  int fd = claim_open(&jail->owner, jail->id, claim, CLAIM_READ, &file);
  if (fd < 0) return -1;
  // A file that everyone may read needs no copy. Only for the user's own: a link keeps a file alive, e.g. an old setuid program.
  bool linked = claim != name && file.st_uid == jail->owner.uid && (file.st_mode & S_IROTH) != 0 && link_in(fd, tree->root, name) == 0;
  int result = linked ? 0 : copy_in(jail, tree->root, fd, name);
  KEEPING_ERRNO(close(fd));
  return result;
}

// The target of a claim, by its own text; false if there is none.
static bool claim_target(const struct jail *jail, const char *name, char *target, size_t size) {
  char directory[128], path[192];
  if (claims_directory(&jail->owner, directory, sizeof directory) != 0) return false;
  snprintf(path, sizeof path, "%s/%s/%s", directory, jail->id, name);
  ssize_t n = readlink(path, target, size - 1);
  target[n < 0 ? 0 : n] = '\0';
  return n >= 0;
}

// The overlay of this VM, which the helper itself made, is the only device that a jail gets.
static int put_overlay(const struct jail *jail, const struct jail_tree *tree, const char *path, const char *name) {
  struct stat device;
  if (record_own("overlay", jail->id, &jail->owner) == NULL) return -1;
  if (fault("jail") != 0 || lstat(path, &device) != 0) return -1;
  if (!S_ISBLK(device.st_mode)) return refuse(EINVAL, "%s is no block device", name);
  if (mknodat(tree->root, name, S_IFBLK | 0600, device.st_rdev) != 0) return -1;
  return fchownat(tree->root, name, jail->uid, (gid_t)jail->uid, AT_SYMLINK_NOFOLLOW);
}

// Returns 1 if there is no such disk.
static int put_disk(const struct jail_settings *settings, const struct jail *jail, const struct jail_tree *tree, int index, struct jail_locks *locks) {
  char name[16], read_only[16], target[PATH_MAX], overlay[64];
  snprintf(name, sizeof name, "disk%d", index);
  snprintf(read_only, sizeof read_only, "disk%d-ro", index);
  snprintf(overlay, sizeof overlay, HELPER_DEVICE_DIRECTORY "/%u/" HOST_NAME_PREFIX "%s", jail->owner.uid, jail->id);
  if (claim_target(jail, read_only, target, sizeof target)) return put_copy(jail, tree, read_only, name);
  if (!claim_target(jail, name, target, sizeof target)) return 1;
  if (strcmp(target, overlay) == 0) return put_overlay(jail, tree, overlay, name);
  return put_writable(settings, jail, tree, name, locks);
}

int files_put(const struct jail_settings *settings, const struct jail *jail, const struct jail_tree *tree, struct jail_locks *locks) {
  locks->count = 0;
  int result = put_copy(jail, tree, "kernel", "kernel") == 0 ? put_copy(jail, tree, "initramfs", "initramfs") : -1;
  for (int i = 0; result == 0 && i < JAIL_DISKS; i++) result = put_disk(settings, jail, tree, i, locks);
  return result >= 0 ? 0 : -1;
}

// Gives one file back. If the user has changed its group meanwhile, the new group stays.
static int give_back(const struct jail_settings *settings, int directory, const char *name, unsigned gid, unsigned mode) {
  struct stat file;
  if (fstatat(directory, name, &file, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : -1;
  if (!S_ISREG(file.st_mode) || !jail_owns_gid(settings, file.st_gid)) return 0;
  return fchownat(directory, name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) == 0 ? fchmodat(directory, name, mode, 0) : -1;
}

static int unmount_disk(int root, const char *name) {
  char path[NAME_BYTES + 64];
  path_of(root, name, path, sizeof path);
  return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : -1;
}

static int undo_held(const struct jail_settings *settings, const struct jail_tree *tree, const char *held) {
  char disk[16], kind[8] = "";
  unsigned gid, mode, index;
  if (sscanf(held, "disk%u.%u.%o.%7s", &index, &gid, &mode, kind) != 4) return 0;
  snprintf(disk, sizeof disk, "disk%u", index);
  if (strcmp(kind, "mount") != 0) return give_back(settings, tree->held, held, gid, mode);
  if (tree->root < 0) return 0;
  // Without the mount this is the empty file below it, for which this has no effect.
  int result = give_back(settings, tree->root, disk, gid, mode);
  return unmount_disk(tree->root, disk) == 0 ? result : -1;
}

int files_give_back(const struct jail_settings *settings, const struct jail_tree *tree) {
  if (tree->held < 0) return 0;
  int copy = openat(tree->held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
  DIR *list = copy < 0 ? NULL : fdopendir(copy);
  if (list == NULL) return -1;
  for (struct dirent *entry; (entry = readdir(list)) != NULL;)
    if (undo_held(settings, tree, entry->d_name) != 0) result = -1;
  KEEPING_ERRNO(closedir(list));
  return result;
}
