// Files on a disk that may refuse them (11.9), and what is told of it.
#include "../src/keep.h"
#include "../src/troubles.h"
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[PATH_MAX];

static const char *at(const char *name) {
  static char paths[4][PATH_MAX + 64];
  static int turn;
  char *path = paths[turn++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", place, name);
  return path;
}

static void put(const char *name, const char *text, mode_t mode) {
  FILE *file = fopen(at(name), "w");
  if (!file) abort();
  fputs(text, file);
  fclose(file);
  chmod(at(name), mode);
}

static bool holds(const char *name, const char *text, mode_t mode) {
  char content[256] = "";
  struct stat s;
  FILE *file = fopen(at(name), "r");
  if (!file) return false;
  size_t n = fread(content, 1, sizeof content - 1, file);
  fclose(file);
  content[n] = 0;
  return stat(at(name), &s) == 0 && (s.st_mode & 07777) == mode && strcmp(content, text) == 0;
}

static bool is_link_to(const char *name, const char *text) {
  char link[256] = "";
  return readlink(at(name), link, sizeof link - 1) > 0 && strcmp(link, text) == 0;
}

static int keep(const char *name, const char *text) { return keep_on_disk(at(name), 0644, text, strlen(text)); }

static ino_t inode(const char *name) {
  struct stat s;
  return stat(at(name), &s) == 0 ? s.st_ino : 0;
}

static void test_plain_files(void) {
  CHECK(keep("new", "a\n") == 0 && holds("new", "a\n", 0644));
  ino_t before = inode("new");
  CHECK(keep("new", "a\n") == 0 && inode("new") == before);
  // Only the mode differs.
  chmod(at("new"), 0);
  CHECK(keep("new", "a\n") == 0 && holds("new", "a\n", 0644) && inode("new") == before);
  CHECK(keep("new", "b\n") == 0 && holds("new", "b\n", 0644));
  put("longer", "a\nmore", 0600);
  CHECK(keep("longer", "a\n") == 0 && holds("longer", "a\n", 0644));
  CHECK(access(at("longer.banger-partial"), F_OK) != 0);
  CHECK(keep("empty", "") == 0 && holds("empty", "", 0644));
}

static void test_links(void) {
  put("real", "old", 0600);
  CHECK(symlink("real", at("link")) == 0 && symlink("link", at("second")) == 0);
  CHECK(keep("second", "new") == 0 && is_link_to("second", "link") && is_link_to("link", "real") && holds("real", "new", 0644));
  CHECK(symlink("later", at("dangling")) == 0);
  CHECK(keep("dangling", "x") == 0 && is_link_to("dangling", "later") && holds("later", "x", 0644));
  CHECK(symlink("nowhere/x", at("lost")) == 0 && keep("lost", "x") == ENOENT && is_link_to("lost", "nowhere/x"));
  CHECK(symlink("loop", at("loop")) == 0 && keep("loop", "x") == ELOOP && is_link_to("loop", "loop"));
  CHECK(symlink("/dev/null", at("null")) == 0 && keep("null", "x") == EEXIST && is_link_to("null", "/dev/null"));
  // Its owner writes what it leads to.
  CHECK(symlink("/run/banger-none/stub", at("stub")) == 0 && keep("stub", "x") == 0 && holds("stub", "x", 0644));
  CHECK(readlink(at("stub"), (char[8]){0}, 8) < 0);
  CHECK(symlink("../../../../../../../../run/./a/../banger-none", at("up")) == 0 && keep("up", "x") == 0 && holds("up", "x", 0644));
  CHECK(symlink("../runner/x", at("similar")) == 0 && keep("similar", "x") == ENOENT);
}

static void test_other_things(void) {
  CHECK(mkdir(at("directory"), 0755) == 0 && mkdir(at("directory/inner"), 0755) == 0 && keep("directory", "x") == EISDIR);
  CHECK(access(at("directory.banger-new"), F_OK) != 0 && access(at("directory/inner"), F_OK) == 0);
  CHECK(keep("directory/inner", "x") == 0 && holds("directory/inner", "x", 0644));
  CHECK(mkfifo(at("fifo"), 0600) == 0 && keep("fifo", "x") == EEXIST);
  CHECK(keep("real/below", "x") == ENOTDIR && keep("absent/below", "x") == ENOENT);
  CHECK(make_directories(at("a/b/c"), 0700) == 0 && make_directories(at("a/b/c"), 0700) == 0);
  CHECK(symlink("a/b", at("to-b")) == 0 && make_directories(at("to-b"), 0700) == 0);
  CHECK(make_directories(at("real"), 0700) == ENOTDIR && make_directories(at("loop"), 0700) == ELOOP);
  CHECK(make_directories(at("lost"), 0700) == ENOENT && make_directories(at("real/x"), 0700) == ENOTDIR);
}

void test_kept_files(void) {
  char name[] = "/tmp/banger-keep-XXXXXX", command[PATH_MAX + 16];
  CHECK(mkdtemp(name) && realpath(name, place));
  test_plain_files();
  test_links();
  test_other_things();
  snprintf(command, sizeof command, "rm -rf %s", name);
  CHECK(system(command) == 0);
}

void test_troubles(void) {
  struct troubles t = {0};
  struct buffer out;
  char name[] = "/tmp/banger-troubles-XXXXXX";
  int fd = mkstemp(name);
  CHECK(fd >= 0 && dprintf(fd, "30 read-only the root\n5 - a \"disk\"\nnonsense\n7 surely x\n") > 0);
  trouble_add(&t, "nothing", 0, "memory");
  trouble_add(&t, "/etc/hosts", ENOSPC, "memory");
  troubles_of_boot(&t, name);
  troubles_of_boot(&t, "/nonexistent");
  buffer_init(&out, 4096);
  troubles_encode(&t, &out);
  CHECK(strcmp(buffer_text(&out),
               "[{\"what\":\"/etc/hosts\",\"errno\":28,\"held\":\"memory\"},"
               "{\"what\":\"the root\",\"errno\":30,\"held\":\"read-only\"},"
               "{\"what\":\"a \\\"disk\\\"\",\"errno\":5,\"held\":null},"
               "{\"what\":\"x\",\"errno\":7,\"held\":null}]") == 0);
  buffer_free(&out);
  for (int i = 0; i < 2 * TROUBLES_MAX; i++) trouble_add(&t, "x", EIO, NULL);
  CHECK(t.count == TROUBLES_MAX);
  close(fd);
  unlink(name);
}
