#include "copy.h"
#include "copy_entry.h"
#include "copy_marks.h"
#include "copy_place.h"
#include "copy_stream.h"
#include "copy_target.h"
#include "copy_tree.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct copy_entry entry;
static const struct copy_receive_options *options;

static void on_signal(int number) {
  if (copy_undo) copy_undo();
  _exit(128 + number);
}

static void prepare(void) {
  static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) signal(endings[i], on_signal);
  // A file size limit must be an ordinary error with a path.
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  // Files get the source's modes; until then, only the owner may read them.
  umask(0);
  copy_entry_init(&entry);
}

// Whether the text of an entry's link leads out of the copy.
static bool leads_out(const struct copy_entry *e) {
  long depth = 0;
  if (e->link[0] == '/') return true;
  for (const char *at = e->path; (at = strchr(at, '/')); at++) depth++;
  // "./a/b" has two slashes and lies in one directory.
  depth -= strncmp(e->path, "./", 2) == 0;
  for (const char *at = e->link; *at && depth >= 0;) {
    size_t n = strcspn(at, "/");
    if (n == 2 && at[0] == '.' && at[1] == '.') depth--;
    else if (n > 0 && !(n == 1 && *at == '.')) depth++;
    at += n + (at[n] == '/');
  }
  return depth < 0;
}

static void say_links_outside(size_t count, const char *first) {
  char text[160] = "this link leads out of the copy; it was kept as a link, which leads to a file of this host";
  if (count == 0) return;
  if (count > 1)
    snprintf(text, sizeof text, "this and others, %zu links in all, lead out of the copy; they were kept as links, which lead to files of this host", count);
  copy_note(first, text);
}

static void place_hard_link(int parent, const char *name, const char *shown) {
  static bool was_said;
  int first = copy_place_hard_link(parent, name, &entry, !options->is_beneath);
  if (first < 0) return;
  const struct copy_place place = {parent, name, shown, false, !options->is_beneath};
  if (!was_said) copy_note(shown, "it cannot be another name of its file there, so it was copied once more, as may be others");
  was_said = true;
  copy_file_begin(&place, &entry, options);
  copy_file_content_from(first);
  close(first);
}

static void place_member(size_t *outside, char *first, size_t room) {
  char name[NAME_MAX + 1];
  if (entry.kind == COPY_DIRECTORY) {
    copy_tree_directory(&entry);
    return;
  }
  int parent = copy_tree_parent(entry.path, name, sizeof name);
  const char *shown = copy_tree_shown(entry.path);
  if (!*name) copy_fail(shown, "the copy holds a file where its root is", -EBADMSG);
  copy_tree_refuse_same_name(name, entry.path);
  if (entry.kind == COPY_HARD_LINK) place_hard_link(parent, name, shown);
  else if (entry.kind == COPY_LINK) {
    if (options->is_beneath) copy_mark_links(parent);
    copy_place_link(parent, name, &entry, shown);
    if (options->keeps_owners) copy_give_link_owner(parent, name, &entry, shown);
    if (options->is_beneath && leads_out(&entry) && (*outside)++ == 0) snprintf(first, room, "%s", shown);
  } else {
    const struct copy_place place = {parent, name, shown, false, !options->is_beneath};
    copy_file_begin(&place, &entry, options);
    copy_file_content(&entry);
  }
}

// Reads headers until one begins a new entry. False at the end.
static bool next_entry(void) {
  for (;;) {
    switch (copy_entry_read(&entry)) {
      case COPY_READ_CUT: copy_file_cut(entry.size); break;
      case COPY_READ_ENTRY:
        if (!entry.appends) {
          copy_file_end();
          return true;
        }
        copy_file_content(&entry);
        break;
      case COPY_READ_END: copy_file_end(); return false;
    }
  }
}

static void receive_tree(const struct copy_target *target) {
  static char first[2 * COPY_PATH_MAX_BYTES];
  size_t outside = 0;
  int root = target->directory;
  bool is_new = false;
  const struct copy_rights rights = copy_rights_of(&entry);
  if (*target->name) {
    is_new = mkdirat(root, target->name, 0700) == 0;
    if (!is_new && errno != EEXIST) copy_fail(target->shown, "", errno);
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (options->is_beneath ? O_NOFOLLOW : 0);
    root = openat(target->directory, target->name, flags);
    if (root < 0 && (errno == ENOTDIR || errno == ELOOP)) copy_fail(target->shown, "a link or a file is there, where the copy has a directory", -ENOTDIR);
    if (root < 0) copy_fail(target->shown, "", errno);
  }
  if (is_new) {
    copy_give_plain_xattrs(root, &entry, options->keeps_owners, target->shown);
    if (options->keeps_owners) copy_give_other_xattrs(root, &entry, target->shown);
  }
  copy_tree_begin(dup(root), target->shown, is_new, options);
  while (next_entry()) place_member(&outside, first, sizeof first);
  copy_tree_end();
  if (is_new) copy_give_rights(root, &rights, options->keeps_owners, target->shown);
  say_links_outside(outside, first);
}

static void receive_file(const struct copy_target *target) {
  const struct copy_place place = {target->directory, target->name, target->shown, true, target->may_follow};
  if (entry.kind != COPY_FILE) copy_fail(target->shown, "the copy is neither a file nor a directory", -EBADMSG);
  copy_file_begin(&place, &entry, options);
  copy_file_content(&entry);
  if (next_entry()) copy_fail(target->shown, "the copy holds more than one file", -EBADMSG);
}

// A directory is written as its archive, a file as its bytes.
static void pass_on(void) {
  if (entry.kind == COPY_FILE) {
    copy_file_begin_on(1, "stdout");
    copy_file_content(&entry);
    if (next_entry()) copy_fail_plainly("the copy holds more than one file", -EBADMSG);
    return;
  }
  copy_is_for_others = true;
  do {
    copy_entry_write(&entry);
    uint64_t left = (uint64_t)entry.size + (uint64_t)(-entry.size & (COPY_BLOCK_BYTES - 1));
    for (size_t n; left > 0; left -= n) {
      const uint8_t *bytes = copy_read_some(left, &n);
      copy_write(bytes, n);
    }
    enum copy_read next;
    while ((next = copy_entry_read(&entry)) == COPY_READ_CUT) copy_write_cut(entry.size);
    if (next == COPY_READ_END) break;
  } while (true);
  copy_write_end();
}

void copy_receive(const struct copy_receive_options *given) {
  struct copy_target target;
  options = given;
  prepare();
  if (copy_entry_read(&entry) != COPY_READ_ENTRY || entry.appends) copy_fail_plainly("the copy holds nothing", -EBADMSG);
  if (options->to_stdout) pass_on();
  else {
    copy_find_target(options, entry.kind == COPY_DIRECTORY, &target);
    if (entry.kind == COPY_DIRECTORY) receive_tree(&target);
    else receive_file(&target);
  }
  copy_drain();
}
