#include "copy_marks.h"
#include "copy.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MARK "user.banger.links"
// The limit of links in a path (path_resolution(7)).
#define LINKS_MAX 40

void copy_mark_links(int directory) {
  if (fsetxattr(directory, MARK, "", 0, 0) != 0) errno = 0;
}

bool copy_is_mark(const char *name) { return strcmp(name, MARK) == 0; }

// "a/b/c" is in "a/b/", "c" in "./".
static void directory_of(const char *path, char *into) {
  const char *slash = strrchr(path, '/');
  snprintf(into, PATH_MAX, "%.*s", slash ? (int)(slash - path + 1) : 2, slash ? path : "./");
}

bool copy_leads_elsewhere(const char *link, char *real) {
  char directory[PATH_MAX], parent[PATH_MAX];
  directory_of(link, directory);
  if (!realpath(directory, parent) || !realpath(link, real)) return false;
  size_t n = strcmp(parent, "/") == 0 ? 0 : strlen(parent);
  return strncmp(real, parent, n) != 0 || real[n] != '/';
}

static void refuse_marked(const char *link) {
  char directory[PATH_MAX], real[PATH_MAX];
  struct stat st;
  directory_of(link, directory);
  if (lstat(link, &st) != 0 || st.st_uid != geteuid() || getxattr(directory, MARK, NULL, 0) < 0) return;
  if (copy_leads_elsewhere(link, real))
    copy_fail(real, "the path leads here by a link that came out of a guest; a copy follows none of these, so name this path", -ELOOP);
}

void copy_refuse_marked_way(const char *path, bool has_last) {
  char here[PATH_MAX], next[2 * PATH_MAX], target[PATH_MAX];
  size_t at = 0, links = 0;
  snprintf(here, sizeof here, "%s", path);
  for (;;) {
    at += strspn(here + at, "/");
    size_t end = at + strcspn(here + at, "/");
    if (end == at || (!has_last && here[end + strspn(here + end, "/")] == 0)) return;
    char after = here[end];
    here[end] = 0;
    ssize_t length = readlink(here, target, sizeof target - 1);
    if (length > 0) {
      refuse_marked(here);
      target[length] = 0;
    }
    here[end] = after;
    if (length <= 0) {
      at = end;
      continue;
    }
    if (*target == '/') at = 0;
    // The system refuses a longer path, or one with more links.
    int n = snprintf(next, sizeof next, "%.*s%s%s", (int)at, here, target, here + end);
    if (n >= (int)sizeof here || ++links > LINKS_MAX) return;
    memcpy(here, next, (size_t)n + 1);
  }
}
