#include "copy_target.h"
#include "copy_marks.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

// Even without the right to list the directory, files can be created in it.
static int open_directory(const char *path) {
  int fd = open(path, OPEN_DIRECTORY);
  return fd < 0 && errno == EACCES ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : fd;
}

// Splits at the last slash before the final part, and opens the directory before it.
static void open_parent(char *path, struct copy_target *target) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') path[--n] = 0;
  char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  if (strlen(name) > NAME_MAX) copy_fail(target->shown, "", ENAMETOOLONG);
  snprintf(target->name, sizeof target->name, "%s", name);
  if (slash) slash[slash == path] = 0;
  const char *parent = slash ? path : ".";
  target->directory = open_directory(parent);
  if (target->directory < 0) copy_fail(parent, errno == ENOENT ? "there is no such directory to copy into" : "", errno == ENOENT ? -ENOENT : errno);
}

static bool ends_as_directory(const char *path) {
  size_t n = strlen(path);
  return (n > 0 && path[n - 1] == '/') || (n > 1 && strcmp(path + n - 2, "/.") == 0);
}

static void find_in_directory(const struct copy_receive_options *o, bool is_directory, struct copy_target *target) {
  target->directory = open_directory(o->target);
  if (target->directory < 0) copy_fail(o->target, "", errno);
  if (!*o->name && !is_directory) copy_fail(o->target, "it is a directory; say what the file in it is to be called", -EISDIR);
  if (strlen(o->name) > NAME_MAX) copy_fail(o->name, "", ENAMETOOLONG);
  snprintf(target->name, sizeof target->name, "%s", o->name);
  size_t n = strlen(target->shown);
  bool has_slash = n > 0 && target->shown[n - 1] == '/';
  if (*o->name) snprintf(target->shown + n, sizeof target->shown - n, "%s%s", has_slash ? "" : "/", o->name);
  target->may_follow = !o->is_beneath;
}

static void find_existing_file(const struct copy_receive_options *o, bool is_directory, struct copy_target *target) {
  char path[PATH_MAX];
  if (is_directory) copy_fail(o->target, "it is no directory, so a directory cannot be copied to it", -ENOTDIR);
  if (ends_as_directory(o->target)) copy_fail(o->target, "", ENOTDIR);
  // A link that the user named stays, and the file to which it leads gets the content.
  if (!realpath(o->target, path)) snprintf(path, sizeof path, "%s", o->target);
  open_parent(path, target);
  target->may_follow = true;
}

static void find_new(const struct copy_receive_options *o, bool is_directory, struct copy_target *target) {
  char path[PATH_MAX];
  struct stat st;
  snprintf(path, sizeof path, "%s", o->target);
  if (lstat(path, &st) == 0) copy_fail(path, "it is a link to nothing", -ENOENT);
  if (ends_as_directory(path) && (!is_directory || path[strlen(path) - 1] == '.'))
    copy_fail(path, "there is no such directory", -ENOENT);
  open_parent(path, target);
}

// An earlier copy may have put a link there that leads wherever the guest likes, and the user names it by its name in the guest. A copy may
// write below the link's own directory anyway. A link of another user does not come from a copy.
static void refuse_link_elsewhere(const char *target) {
  char path[PATH_MAX], real[PATH_MAX];
  struct stat st;
  snprintf(path, sizeof path, "%s", target);
  for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';) path[--n] = 0;
  if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode) || st.st_uid != geteuid()) return;
  // Anything that is neither a file nor a directory, such as a terminal, just gets the bytes.
  if (stat(path, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) return;
  if (!copy_leads_elsewhere(path, real)) return;
  copy_fail(real, "the target is a link to here, out of its directory; a copy out of a guest follows none of these, so name this path", -ELOOP);
}

void copy_find_target(const struct copy_receive_options *o, bool is_directory, struct copy_target *target) {
  struct stat st;
  *target = (struct copy_target){.directory = -1};
  if (strlen(o->target) >= sizeof target->shown) copy_fail(o->target, "", ENAMETOOLONG);
  snprintf(target->shown, sizeof target->shown, "%s", o->target);
  if (o->is_beneath) {
    copy_refuse_marked_way(o->target, false);
    refuse_link_elsewhere(o->target);
  }
  if (stat(o->target, &st) == 0) {
    if (S_ISDIR(st.st_mode)) find_in_directory(o, is_directory, target);
    else find_existing_file(o, is_directory, target);
  } else if (errno == ENOENT) find_new(o, is_directory, target);
  else copy_fail(o->target, "", errno);
}
