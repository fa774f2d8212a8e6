#include "mounts.h"
#include "agent.h"
#include "ext4.h"
#include "keep.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

// fs/ext4/ext4.h; the kernel's user-space headers have it since 6.6.
#define EXT4_RESIZE_FS _IOW('f', 16, uint64_t)
#define DEVICE_WAIT_MS 5000

static bool wait_for_path(const char *path) {
  for (int waited_ms = 0; access(path, F_OK) != 0; waited_ms += 10) {
    if (waited_ms >= DEVICE_WAIT_MS) return false;
    sleep_ms(10);
  }
  return true;
}

/** Grows the mounted ext4 at `path` to the size of its device. */
static int grow(const char *device, const char *path) {
  uint64_t device_bytes = 0, blocks;
  struct statfs fs;
  int error = 0;
  int device_fd = open(device, O_RDONLY | O_CLOEXEC);
  int fd = device_fd >= 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd < 0 || ioctl(device_fd, BLKGETSIZE64, &device_bytes) != 0 || fstatfs(fd, &fs) != 0) error = errno;
  if (!error) {
    // The resize refuses to shrink and does nothing at equal size, so the last blocks need no comparison here.
    blocks = device_bytes / (uint64_t)fs.f_bsize;
    if (ioctl(fd, EXT4_RESIZE_FS, &blocks) != 0) error = errno;
  }
  if (fd >= 0) close(fd);
  if (device_fd >= 0) close(device_fd);
  return error;
}

struct mounted mount_ext4(const char *device, const char *path) {
  struct ext4_notes notes = ext4_read_notes(device);
  const char *usual = notes.panics_on_errors ? EXT4_OPTIONS ",errors=remount-ro" : EXT4_OPTIONS;
  const struct {
    unsigned long flags;
    const char *options, *held;
  } ways[] = {
    {0, usual, NULL},
    // A disk that cannot be written can often be read, without its journal if the journal is broken.
    {MS_RDONLY, "", "read-only"},
    {MS_RDONLY, "noload", "read-only"},
  };
  struct mounted result = {0};
  for (size_t i = 0; i < sizeof ways / sizeof *ways && !result.is_mounted; i++) {
    result.is_mounted = mount(device, path, "ext4", ways[i].flags, ways[i].options) == 0;
    result.held = result.is_mounted ? ways[i].held : NULL;
    if (!result.is_mounted && !result.error) result.error = errno;
  }
  if (!result.error && notes.has_errors) result.error = EUCLEAN;
  return result;
}

static bool is_home(int directory) {
  return faccessat(directory, ".bashrc", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
         faccessat(directory, ".profile", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/**
 * If the user filled a work disk with a copy of the whole of /root, the home is one level too deep. Its entries move up. Names that exist
 * on both levels stay, so nothing is lost. A `root` that the user made inside a home is left alone.
 */
static void flatten_home(const char *path) {
  int home = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int nested = home < 0 ? -1 : openat(home, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *entries = nested < 0 || is_home(home) || !is_home(nested) ? NULL : fdopendir(dup(nested));
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    syscall(SYS_renameat2, nested, entry->d_name, home, entry->d_name, RENAME_NOREPLACE);
  }
  if (entries && closedir(entries) == 0) unlinkat(home, "root", AT_REMOVEDIR);
  if (nested >= 0) close(nested);
  if (home >= 0) close(home);
}

static void mount_one(const struct json_node *entry, struct troubles *t) {
  const char *device = json_member(entry, "device")->string, *path = json_member(entry, "path")->string;
  struct stat device_stat, path_stat;
  char what[160];
  snprintf(what, sizeof what, "the disk %.60s at %.80s", device, path);
  struct mounted disk = {.error = !wait_for_path(device) || stat(device, &device_stat) != 0 ? ENODEV : make_directories(path, 0755)};
  if (!disk.error) disk.is_mounted = stat(path, &path_stat) == 0 && path_stat.st_dev == device_stat.st_rdev;
  if (!disk.error && !disk.is_mounted) disk = mount_ext4(device, path);
  trouble_add(t, what, disk.error, disk.held);
  if (!disk.is_mounted) return;
  if (strcmp(path, "/root") == 0) flatten_home(path);
  // A file system with errors refuses it, and is reported already.
  if (disk.error) return;
  snprintf(what, sizeof what, "the size of the disk %.50s at %.70s", device, path);
  trouble_add(t, what, grow(device, path), NULL);
}

void apply_mounts(const struct personalization *p, struct troubles *t) {
  struct statfs root;
  for (const struct json_node *n = p->mounts ? p->mounts->child : NULL; n; n = n->next) mount_one(n, t);
  const char *device = agent_shared->root_device;
  if (!p->grows_root || !*device || ext4_read_notes(device).has_errors) return;
  // A read-only root is reported already, and one in memory cannot grow.
  if (statfs("/", &root) != 0 || root.f_type != EXT4_SUPER_MAGIC || (root.f_flags & ST_RDONLY)) return;
  trouble_add(t, "the size of the root file system", grow(device, "/"), NULL);
}
