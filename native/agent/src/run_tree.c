#include "run_tree.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

// It goes to memory; images have only a few directories there.
#define MOST_ENTRIES 1000
#define MOST_BYTES (4 * 1024 * 1024)
#define MOST_LEVELS 16

struct copying {
  int entries_left, level, error;
  off_t bytes_left;
};

static void copy_directory(int from, int to, struct copying *c);

static bool note(struct copying *c, bool is_fine) {
  if (!is_fine && !c->error) c->error = errno;
  return is_fine;
}

static void copy_file(int from, int to, const char *name, const struct stat *s, struct copying *c) {
  int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  int target = source < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  c->bytes_left -= s->st_size;
  for (off_t left = s->st_size; note(c, target >= 0) && left > 0;) {
    ssize_t n = sendfile(target, source, NULL, (size_t)left);
    if (!note(c, n >= 0) || n == 0) break;
    left -= n;
  }
  if (source >= 0) close(source);
  if (target >= 0) close(target);
}

static void copy_below(int from, int to, const char *name, struct copying *c) {
  int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (!note(c, source >= 0)) return;
  int target = mkdirat(to, name, 0700) == 0 || errno == EEXIST ? openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (note(c, target >= 0)) copy_directory(source, target, c);
  else close(source);
  if (target >= 0) close(target);
}

static void copy_link(int from, int to, const char *name, struct copying *c) {
  char text[PATH_MAX];
  ssize_t n = readlinkat(from, name, text, sizeof text - 1);
  if (!note(c, n >= 0)) return;
  text[n] = 0;
  note(c, symlinkat(text, to, name) == 0);
}

static void copy_entry(int from, int to, const char *name, struct copying *c) {
  struct stat s;
  if (c->entries_left-- <= 0 || !note(c, fstatat(from, name, &s, AT_SYMLINK_NOFOLLOW) == 0)) return;
  if (S_ISREG(s.st_mode) && s.st_size <= c->bytes_left) copy_file(from, to, name, &s, c);
  else if (S_ISDIR(s.st_mode) && c->level < MOST_LEVELS) copy_below(from, to, name, c);
  else if (S_ISLNK(s.st_mode)) copy_link(from, to, name, c);
  else if (S_ISFIFO(s.st_mode)) note(c, mkfifoat(to, name, 0600) == 0);
  else return;
  if (!note(c, fchownat(to, name, s.st_uid, s.st_gid, AT_SYMLINK_NOFOLLOW) == 0) || S_ISLNK(s.st_mode)) return;
  note(c, fchmodat(to, name, s.st_mode & 07777, 0) == 0);
}

static void copy_directory(int from, int to, struct copying *c) {
  DIR *directory = fdopendir(from);
  if (!note(c, directory != NULL)) {
    close(from);
    return;
  }
  c->level++;
  for (struct dirent *entry; (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) copy_entry(from, to, entry->d_name, c);
  c->level--;
  closedir(directory);
}

int run_tree_copy(int from, int to) {
  struct copying c = {.entries_left = MOST_ENTRIES, .bytes_left = MOST_BYTES};
  copy_directory(from, to, &c);
  return c.error;
}
