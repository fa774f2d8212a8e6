#include "copy_tree.h"
#include "copy_spellings.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

struct level {
  int fd;
  char *name;
  bool is_new;    // gets its mode when the copy leaves it
  bool was_made;  // made by this copy, so its content came with the copy
  struct copy_rights rights;
  struct copy_spellings spellings;  // of one that was there before
};

static struct level *levels;
static size_t depth, capacity;
static const struct copy_receive_options *options;
static const char *root_shown;

const char *copy_tree_shown(const char *path) {
  static char shown[2 * COPY_PATH_MAX_BYTES];
  while (path[0] == '.' && path[1] == '/') path += 2;
  snprintf(shown, sizeof shown, "%s%s%s", root_shown, *path ? "/" : "", path);
  return shown;
}

static struct level *add_level(int fd, const char *name) {
  if (depth == capacity) {
    capacity = capacity ? 2 * capacity : 64;
    levels = realloc(levels, capacity * sizeof *levels);
  }
  char *own = strdup(name);
  if (!levels || !own) copy_fail_plainly("there is not enough memory", ENOMEM);
  levels[depth] = (struct level){.fd = fd, .name = own};
  return &levels[depth++];
}

void copy_tree_begin(int root, const char *shown, bool is_new, const struct copy_receive_options *given) {
  options = given;
  root_shown = shown;
  add_level(root, "")->was_made = is_new;
}

// The path of an open directory for messages.
static const char *shown_level(size_t level) {
  static char path[COPY_PATH_MAX_BYTES];
  size_t n = 0;
  path[0] = 0;
  for (size_t i = 1; i <= level && n < sizeof path; i++) n += (size_t)snprintf(path + n, sizeof path - n, "%s%s", n ? "/" : "", levels[i].name);
  return copy_tree_shown(path);
}

static void leave_to(size_t wanted) {
  while (depth > wanted) {
    struct level *l = &levels[--depth];
    if (l->is_new) copy_give_rights(l->fd, &l->rights, options->keeps_owners, shown_level(depth));
    copy_spellings_free(&l->spellings);
    free(l->name);
    close(l->fd);
  }
}

void copy_tree_end(void) { leave_to(0); }

// The next part of a path, without `.` and doubled slashes. NULL at its end. Ends the process if the path leads out.
static const char *next_part(const char **at, size_t *length, const char *path) {
  for (;;) {
    *at += strspn(*at, "/");
    *length = strcspn(*at, "/");
    if (*length == 0) return NULL;
    const char *part = *at;
    *at += *length;
    if (*length == 2 && part[0] == '.' && part[1] == '.')
      copy_fail(copy_tree_shown(path), "the path leads out of the target; the copy was stopped", -EBADMSG);
    if (*length > NAME_MAX) copy_fail(copy_tree_shown(path), "", ENAMETOOLONG);
    if (*length != 1 || part[0] != '.') return part;
  }
}

// Whether a directory lists exactly this name. If it cannot be listed, the answer is yes.
static bool is_listed(int directory, const char *name) {
  int fd = openat(directory, ".", OPEN_DIRECTORY);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  bool is_found = !entries;
  for (struct dirent *entry; !is_found && (entry = readdir(entries));) is_found = strcmp(entry->d_name, name) == 0;
  if (entries) closedir(entries);
  else if (fd >= 0) close(fd);
  return is_found;
}

void copy_tree_refuse_same_name(const char *name, const char *path) {
  struct stat s;
  struct level *l = &levels[depth - 1];
  bool is_taken = l->was_made ? fstatat(l->fd, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && !is_listed(l->fd, name)
                              : copy_spelling_is_taken(&l->spellings, l->fd, name);
  if (!is_taken) return;
  copy_fail(copy_tree_shown(path), "the file system there takes its name for that of another file of the copy", -EEXIST);
}

// Opens a directory; never through a link, unless the sender may change everything here anyway.
static int open_directory(int parent, const char *name) {
  int fd = openat(parent, name, OPEN_DIRECTORY | O_NOFOLLOW);
  if (fd < 0 && (errno == ELOOP || errno == ENOTDIR) && !options->is_beneath) fd = openat(parent, name, OPEN_DIRECTORY);
  // Even without the right to list the directory, files can be created in it.
  if (fd < 0 && errno == EACCES) fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd;
}

_Noreturn static void fail_to_enter(const char *path, int error) {
  bool is_other = error == ENOTDIR || error == ELOOP;
  copy_fail(copy_tree_shown(path), is_other ? "a link or a file is there, where the copy has a directory" : "", is_other ? -ENOTDIR : error);
}

static void enter(const char *name, const char *path) {
  int fd = open_directory(levels[depth - 1].fd, name);
  if (fd < 0 && errno == ENOENT && mkdirat(levels[depth - 1].fd, name, 0777) == 0) fd = open_directory(levels[depth - 1].fd, name);
  if (fd < 0) fail_to_enter(path, errno);
  add_level(fd, name);
}

int copy_tree_parent(const char *path, char *name, size_t room) {
  const char *at = path, *part, *following;
  size_t length, next_length, level = 1;
  if (*path == '/') copy_fail(copy_tree_shown(path), "the path leads out of the target; the copy was stopped", -EBADMSG);
  *name = 0;
  for (part = next_part(&at, &length, path); part; part = following, length = next_length, level++) {
    following = next_part(&at, &next_length, path);
    snprintf(name, room, "%.*s", (int)length, part);
    if (!following) break;
    if (level < depth && strcmp(levels[level].name, name) == 0) continue;
    leave_to(level);
    enter(name, path);
  }
  leave_to(level);
  return levels[depth - 1].fd;
}

void copy_tree_directory(const struct copy_entry *e) {
  char name[NAME_MAX + 1];
  int parent = copy_tree_parent(e->path, name, sizeof name);
  if (!*name) return;
  copy_tree_refuse_same_name(name, e->path);
  bool is_new = mkdirat(parent, name, 0700) == 0;
  if (!is_new && errno != EEXIST) copy_fail(copy_tree_shown(e->path), "", errno);
  enter(name, e->path);
  if (!is_new) return;
  struct level *l = &levels[depth - 1];
  l->is_new = l->was_made = true;
  l->rights = copy_rights_of(e);
  copy_give_plain_xattrs(l->fd, e, options->keeps_owners, copy_tree_shown(e->path));
  if (options->keeps_owners) copy_give_other_xattrs(l->fd, e, copy_tree_shown(e->path));
}

int copy_tree_find(const char *path, char *name, size_t room) {
  const char *at = path, *part, *following;
  size_t length, next_length;
  int fd = openat(levels[0].fd, ".", OPEN_DIRECTORY);
  *name = 0;
  if (*path == '/') copy_fail(copy_tree_shown(path), "the path leads out of the target; the copy was stopped", -EBADMSG);
  for (part = next_part(&at, &length, path); part && fd >= 0; part = following, length = next_length) {
    following = next_part(&at, &next_length, path);
    snprintf(name, room, "%.*s", (int)length, part);
    if (!following) break;
    int inner = open_directory(fd, name);
    close(fd);
    fd = inner;
  }
  if (fd < 0) fail_to_enter(path, errno);
  return fd;
}
