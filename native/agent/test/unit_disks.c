// What is known of disks before and after they are mounted (11.9): lines of fstab(5).
#include "../src/fstab.h"
#include "../src/login.h"
#include "check.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void test_disks(void);

static char name[] = "/tmp/banger-disks-XXXXXX";

static const char *at(const char *entry) {
  static char paths[2][PATH_MAX];
  static int turn;
  char *path = paths[turn++ % 2];
  snprintf(path, sizeof paths[0], "%s/%s", name, entry);
  return path;
}

static void put(const char *entry, const char *text) {
  FILE *file = fopen(at(entry), "w");
  if (!file) abort();
  fputs(text, file);
  fclose(file);
}

static void test_fstab(void) {
  struct troubles t = {0};
  put("fstab", "# /dev/none0 / ext4 defaults 0 1\n\n/dev/null /a ext4 defaults 0 2\n/dev/none1 /b ext4 rw,noatime 0 2\n"
               "/dev/none2 /c ext4 defaults,nofail 0 2\n/dev/none3 /d auto noauto 0 0\n/dev/mapper/none /e ext4 defaults 0 2\n"
               "/dev/md7 /f ext4 defaults\nUUID=0 /g ext4 defaults 0 2\ntmpfs /h tmpfs\n/dev/none4\n\t/dev/none5 none swap sw");
  fstab_examine(at("fstab"), &t);
  CHECK(t.count >= 2 && strncmp(t.list[0].what, "/dev/none1 in /tmp/", 19) == 0 && t.list[0].error == ENODEV && !t.list[0].held);
  CHECK(strncmp(t.list[t.count - 1].what, "/dev/none5 in /tmp/", 19) == 0);
  for (size_t i = 0; i < t.count; i++) CHECK(strchr("145", t.list[i].what[9]) != NULL);
  fstab_examine("/nonexistent", &t);
  fstab_examine("/tmp", &t);
}

static void test_shells(void) {
  CHECK(login_shell_obstacle("/bin/sh") == 0);
  CHECK(login_shell_obstacle("/usr/sbin/nologin") == EACCES && login_shell_obstacle("/bin/false") == EACCES);
  CHECK(login_shell_obstacle("/nonexistent/sh") == ENOENT);
  put("plain", "");
  CHECK(login_shell_obstacle(at("plain")) == EACCES);
}

void test_disks(void) {
  char command[PATH_MAX + 16];
  CHECK(mkdtemp(name) != NULL);
  test_fstab();
  test_shells();
  snprintf(command, sizeof command, "rm -rf %s", name);
  CHECK(system(command) == 0);
}
