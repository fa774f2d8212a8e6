#include "copy_place.h"
#include "copy_content.h"
#include "copy_file.h"
#include "copy_tree.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum way {
  NONE,
  DIRECT,    // a new name, removed if the copy fails
  STAGED,    // a file without a name, or with a temporary name, until it is complete
  IN_PLACE,  // writes into the existing file
  PASSED_ON  // not created by this copy
};

static struct {
  enum way way;
  int fd, parent;
  char name[NAME_MAX + 1], stage[64];  // stage: "" for a file without a name
  char shown[2 * COPY_PATH_MAX_BYTES];
  bool exists, keeps_owners, is_beneath;
  struct stat before;
  struct copy_entry entry;
} file;

// Async-signal-safe.
static void undo(void) {
  if (file.way == DIRECT) unlinkat(file.parent, file.name, 0);
  if (file.way == STAGED && file.stage[0]) unlinkat(file.parent, file.stage, 0);
  file.way = NONE;
}

_Noreturn static void fail(const char *reason, int error) { copy_fail(file.shown, reason, error); }

static void name_stage(void) {
  static unsigned count;
  snprintf(file.stage, sizeof file.stage, ".banger-cp-%ld-%u", (long)getpid(), count++);
}

// False with errno if no file can be made in the directory.
static bool open_stage(void) {
  file.stage[0] = 0;
  file.fd = openat(file.parent, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file.fd < 0 && errno != EACCES && errno != EPERM && errno != EROFS) {
    name_stage();
    file.fd = openat(file.parent, file.stage, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  }
  if (file.fd < 0) return false;
  file.way = STAGED;
  return true;
}

static bool open_in_place(bool follows) {
  bool is_regular = S_ISREG(file.before.st_mode);
  file.fd = openat(file.parent, file.name, O_WRONLY | O_NOCTTY | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW) | (is_regular ? O_TRUNC : 0));
  if (file.fd < 0) return false;
  file.way = IN_PLACE;
  return true;
}

static void drop_stage(void) {
  close(file.fd);
  undo();
}

// Whether the existing file must stay the same file: it has other names, is a mount point, or has attributes.
static bool is_irreplaceable(void) {
  struct stat directory;
  char path[64];
  if (file.before.st_nlink > 1) return true;
  if (fstat(file.parent, &directory) == 0 && directory.st_dev != file.before.st_dev) return true;
  int fd = openat(file.parent, file.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t attributes = listxattr(path, NULL, 0);
  close(fd);
  return attributes > 0;
}

// Owner and mode of the existing file stay. It is replaced once the copy is complete, or, if that is impossible, overwritten.
static void open_over_file(bool is_beneath) {
  if (!is_beneath && is_irreplaceable() && open_in_place(false)) return;
  bool is_staged = open_stage();
  if (is_staged && fchown(file.fd, file.before.st_uid, file.before.st_gid) == 0) return;
  int error = errno;
  if (is_beneath) {
    if (is_staged) return;
    fail("", error);
  }
  if (is_staged) drop_stage();
  if (!open_in_place(false)) fail("", errno);
}

static void open_new(bool is_whole_copy) {
  if (is_whole_copy) {
    if (!open_stage()) fail("", errno);
    return;
  }
  file.fd = openat(file.parent, file.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file.fd < 0) fail("", errno);
  file.way = DIRECT;
}

static void follow_link(void) {
  if (fstatat(file.parent, file.name, &file.before, 0) != 0)
    fail(errno == ENOENT ? "a link to nothing is there" : "", errno == ENOENT ? -ENOENT : errno);
  if (S_ISDIR(file.before.st_mode)) fail("a directory is there, where the copy has a file", -EISDIR);
  if (!open_in_place(true)) fail("", errno);
}

void copy_file_begin(const struct copy_place *place, const struct copy_entry *e, const struct copy_receive_options *options) {
  copy_undo = undo;
  file.parent = place->parent;
  snprintf(file.name, sizeof file.name, "%s", place->name);
  snprintf(file.shown, sizeof file.shown, "%s", place->shown);
  file.keeps_owners = options->keeps_owners;
  file.is_beneath = options->is_beneath;
  file.entry = *e;
  file.exists = fstatat(file.parent, file.name, &file.before, AT_SYMLINK_NOFOLLOW) == 0;
  if (!file.exists && errno != ENOENT) fail("", errno);
  if (!file.exists) open_new(place->is_whole_copy);
  else if (S_ISDIR(file.before.st_mode)) fail("a directory is there, where the copy has a file", -EISDIR);
  else if (S_ISREG(file.before.st_mode)) open_over_file(options->is_beneath && !place->may_follow);
  else if (S_ISLNK(file.before.st_mode) && place->may_follow) follow_link();
  else if (!S_ISLNK(file.before.st_mode) && place->is_whole_copy) {
    if (!open_in_place(false)) fail("", errno);
  } else if (!open_stage()) fail("", errno);
  copy_content_begin(file.fd, file.shown, file.way != IN_PLACE || S_ISREG(file.before.st_mode));
}

void copy_file_begin_on(int fd, const char *shown) {
  snprintf(file.shown, sizeof file.shown, "%s", shown);
  file.way = PASSED_ON;
  copy_content_begin(fd, file.shown, false);
}

void copy_file_content(const struct copy_entry *e) { copy_content_take(e); }

void copy_file_content_from(int fd) {
  copy_read_xattrs(&file.entry, fd, file.shown);
  copy_content_copy(fd);
}

void copy_file_cut(int64_t size) {
  if (file.way != NONE) copy_content_cut(size);
}

// A rename replaces an existing file; a link never does.
static void publish(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file.fd);
  if (!file.stage[0] && !file.exists && linkat(AT_FDCWD, path, file.parent, file.name, AT_SYMLINK_FOLLOW) == 0) return;
  if (!file.stage[0]) {
    name_stage();
    if (linkat(AT_FDCWD, path, file.parent, file.stage, AT_SYMLINK_FOLLOW) != 0) {
      file.stage[0] = 0;
      fail("", errno);
    }
  }
  if (renameat(file.parent, file.stage, file.parent, file.name) != 0) fail("", errno);
}

void copy_file_end(void) {
  if (file.way == NONE) return;
  copy_content_end();
  bool replaces = file.exists && S_ISREG(file.before.st_mode);
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {file.entry.seconds, file.entry.nanoseconds}};
  if (file.way == PASSED_ON) {
    file.way = NONE;
    return;
  }
  // With numeric owners, a copy has all metadata of the source, whatever was there.
  if ((file.way == IN_PLACE || replaces) && !(file.keeps_owners && replaces)) {
    // Data of a guest must never run with another user's rights.
    mode_t kept = file.before.st_mode & (file.is_beneath ? 01777 : 07777);
    if (file.way == STAGED && fchmod(file.fd, kept) != 0) fail("its mode cannot be set", errno);
    // This user cannot set the time of another user's file.
    if (futimens(file.fd, times) != 0 && file.way == STAGED) fail("its time cannot be set", errno);
  } else copy_give_metadata(file.fd, &file.entry, file.keeps_owners, file.shown);
  if (file.way == STAGED) publish();
  file.way = NONE;
  if (close(file.fd) != 0) fail("", errno);
}
