#include "keep.h"
#include "identity.h"
#include "plain_file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// Lists of hosts that are blocked have millions of bytes.
#define MARKED_FILE_MAX_BYTES (16 * 1024 * 1024)
#define HELD_DIRECTORY KEEP_DIRECTORY "/held"

int make_directories(const char *path, mode_t mode) {
  char partial[PATH_MAX];
  struct stat s;
  if (snprintf(partial, sizeof partial, "%s", path) >= (int)sizeof partial) return ENAMETOOLONG;
  for (char *at = partial + 1; (at = strchr(at, '/')); *at++ = '/') {
    *at = 0;
    if (mkdir(partial, 0755) != 0 && errno != EEXIST && errno != EROFS) return errno;
  }
  if (mkdir(partial, mode) == 0) return 0;
  int error = errno;
  // A link to a directory counts; a dangling link or a file does not.
  if (stat(partial, &s) == 0) return S_ISDIR(s.st_mode) ? 0 : ENOTDIR;
  return error == EEXIST ? errno : error;
}

static bool has_content(int fd, const uint8_t *content, size_t length) {
  uint8_t piece[4096];
  for (size_t done = 0; done < length;) {
    size_t wanted = length - done < sizeof piece ? length - done : sizeof piece;
    ssize_t n = read(fd, piece, wanted);
    if (n <= 0 || memcmp(piece, content + done, (size_t)n) != 0) return false;
    done += (size_t)n;
  }
  return true;
}

/** Whether the path, through links, is a regular file with this content. `s` gets its state. */
static bool is_as_wanted(const char *path, const void *content, size_t length, struct stat *s) {
  int fd = plain_file_open(path, s);
  bool is_same = fd >= 0 && s->st_size == (off_t)length && has_content(fd, content, length);
  if (fd >= 0) close(fd);
  return is_same;
}

/** The target of a link by its text alone, because it may not exist yet. */
static void lexical_target(const char *path, const char *link, char *target) {
  char joined[2 * PATH_MAX], *rest = joined, *word;
  const char *slash = strrchr(path, '/');
  int directory_length = link[0] == '/' || !slash ? 0 : (int)(slash - path);
  snprintf(joined, sizeof joined, "%.*s/%s", directory_length, path, link);
  size_t n = 0;
  target[0] = 0;
  while ((word = strsep(&rest, "/"))) {
    if (!*word || strcmp(word, ".") == 0) continue;
    if (strcmp(word, "..") == 0) {
      while (n > 0 && target[--n] != '/') continue;
      target[n] = 0;
      continue;
    }
    int added = snprintf(target + n, PATH_MAX - n, "/%s", word);
    if (added < 0 || (size_t)added >= PATH_MAX - n) return;
    n += (size_t)added;
  }
}

static bool is_below(const char *path, const char *directory) { return strncmp(path, directory, strlen(directory)) == 0; }

/**
 * A link into /run belongs to a service that writes its target, such as systemd-resolved's stub. That service does not know the host's
 * settings, so a file replaces the link.
 */
static bool is_of_service(const char *path) {
  char link[PATH_MAX], target[PATH_MAX];
  ssize_t n = readlink(path, link, sizeof link - 1);
  if (n < 0) return false;
  link[n] = 0;
  lexical_target(path, link, target);
  return is_below(target, "/run/") || is_below(target, "/var/run/");
}

static int write_all(int fd, const uint8_t *content, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t n = write(fd, content + done, length - done);
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) done += (size_t)n;
  }
  return 0;
}

/** A link to a file that does not exist yet: makes the file at the link's target. */
static int make_through_link(const char *path, mode_t mode, const void *content, size_t length) {
  char target[PATH_MAX];
  int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  int error = write_all(fd, content, length);
  if (!error && fchmod(fd, mode) != 0) error = errno;
  if (close(fd) != 0 && !error) error = errno;
  if (error && realpath(path, target)) unlink(target);
  return error;
}

/** Replaces an empty directory, such as Docker leaves where it mounted a file: no data is lost. */
static int write_in_place_of_directory(const char *path, mode_t mode, const void *content, size_t length) {
  char new[PATH_MAX];
  if (snprintf(new, sizeof new, "%s.banger-new", path) >= (int)sizeof new) return ENAMETOOLONG;
  int error = write_file(new, mode, content, length);
  if (!error && rmdir(path) != 0) error = EISDIR;
  if (!error && rename(new, path) != 0) error = errno;
  if (error) unlink(new);
  return error;
}

int keep_on_disk(const char *path, mode_t mode, const void *content, size_t length) {
  struct stat s;
  char target[PATH_MAX];
  bool is_same = is_as_wanted(path, content, length, &s);
  if (is_same && !is_of_service(path)) return (s.st_mode & 07777) == mode || chmod(path, mode) == 0 ? 0 : errno;
  if (lstat(path, &s) != 0) return errno == ENOENT ? write_file(path, mode, content, length) : errno;
  if (S_ISLNK(s.st_mode)) {
    if (is_of_service(path)) return write_file(path, mode, content, length);
    if (!realpath(path, target)) return errno == ENOENT ? make_through_link(path, mode, content, length) : errno;
    path = target;
    if (stat(path, &s) != 0) return errno;
  }
  if (S_ISDIR(s.st_mode)) return write_in_place_of_directory(path, mode, content, length);
  return S_ISREG(s.st_mode) ? write_file_as(path, mode, &s, content, length) : EEXIST;
}

int keep_in_memory(const char *name, mode_t mode, const void *content, size_t length) {
  char path[PATH_MAX];
  mkdir(KEEP_DIRECTORY, 0755);
  if (snprintf(path, sizeof path, KEEP_DIRECTORY "/%s", name) >= (int)sizeof path) return ENAMETOOLONG;
  return write_file(path, mode, content, length);
}

/** Mounts over the path itself, even if it is a link. On a full disk, there is still room for a file without a block. */
static bool mount_over(const char *file, const char *path) {
  char place[64];
  int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
  bool is_done = mount(file, place, NULL, MS_BIND, NULL) == 0;
  close(fd);
  return is_done;
}

static bool hold(const char *path, mode_t mode, const void *content, size_t length) {
  char name[PATH_MAX], file[PATH_MAX];
  mkdir(KEEP_DIRECTORY, 0755);
  mkdir(HELD_DIRECTORY, 0755);
  if (snprintf(name, sizeof name, "held/%s", path + 1) >= (int)sizeof name) return false;
  for (char *at = name + 5; (at = strchr(at, '/'));) *at = '-';
  if (keep_in_memory(name, mode, content, length) != 0) return false;
  return snprintf(file, sizeof file, KEEP_DIRECTORY "/%s", name) < (int)sizeof file && mount_over(file, path);
}

bool keep_empty(const char *path) { return hold(path, 0644, "", 0); }

struct kept keep_file(const char *path, mode_t mode, const void *content, size_t length) {
  struct kept kept = {.error = keep_on_disk(path, mode, content, length)};
  if (kept.error) kept.is_held = hold(path, mode, content, length);
  return kept;
}

/** Appends a regular file, or nothing if there is none. Returns 0 or an errno. */
static int read_regular(const char *path, struct buffer *content) {
  struct stat s;
  int error = 0, fd = plain_file_open(path, &s);
  if (fd < 0) return errno == ENOENT ? 0 : errno;
  while (!error) {
    uint8_t *into = buffer_reserve(content, 4096);
    ssize_t n = into ? read(fd, into, 4096) : -1;
    if (!into) error = EFBIG;
    else if (n < 0) error = errno;
    if (n <= 0) break;
    buffer_commit(content, (size_t)n);
  }
  close(fd);
  return error;
}

struct kept keep_marked_block(const char *path, mode_t mode, const struct buffer *lines) {
  struct kept kept = {0};
  struct buffer old, new;
  buffer_init(&old, MARKED_FILE_MAX_BYTES);
  buffer_init(&new, 2 * MARKED_FILE_MAX_BYTES);
  kept.error = read_regular(path, &old);
  size_t old_length = kept.error ? 0 : buffer_length(&old);
  marked_block_replace(&new, (char *)buffer_bytes(&old), old_length, (char *)buffer_bytes(lines), buffer_length(lines));
  if (new.overflow) kept.error = EFBIG;
  else if (kept.error) kept.is_held = hold(path, mode, buffer_bytes(&new), buffer_length(&new));
  else kept = keep_file(path, mode, buffer_bytes(&new), buffer_length(&new));
  buffer_free(&old);
  buffer_free(&new);
  return kept;
}
