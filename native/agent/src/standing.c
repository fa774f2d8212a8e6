#include "standing.h"
#include "fstab.h"
#include "keep.h"
#include "login.h"
#include "plain_file.h"
#include "program.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void standing_option(const char *name, const char *otherwise, char *value, size_t capacity) {
  char line[4096] = "", *rest = line;
  size_t length = strlen(name);
  int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
  snprintf(value, capacity, "%s", otherwise);
  if (fd >= 0 && read(fd, line, sizeof line - 1) < 0) line[0] = 0;
  if (fd >= 0) close(fd);
  for (char *word; (word = strsep(&rest, " \t\n"));)
    if (strncmp(word, name, length) == 0) snprintf(value, capacity, "%s", word + length);
}

static void mount_memory(const char *path, const char *options) {
  mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

void standing_make_places(void) {
  char is_rescue[4];
  struct statvfs root;
  if (statvfs("/", &root) != 0 || !(root.f_flag & ST_RDONLY)) return;
  mount_memory("/tmp", "mode=1777");
  mount_memory("/var/tmp", "mode=1777");
  standing_option("banger.rescue=", "0", is_rescue, sizeof is_rescue);
  if (strcmp(is_rescue, "1") != 0) return;
  // To repair a disk, the user mounts it somewhere.
  mount_memory("/root", "mode=700");
  mount_memory("/mnt", "mode=755");
  mkdir("/mnt/root", 0755);
  mkdir("/mnt/work", 0755);
}

static void examine_init(struct troubles *t) {
  char init[128];
  standing_option("banger.init=", "/sbin/init", init, sizeof init);
  if (strcmp(init, "none") == 0) return;
  const char *const candidates[] = INIT_CANDIDATES(init);
  int error = program_obstacle(init);
  trouble_add(t, init, error, NULL);
  for (const char *const *at = candidates; error && *at; at++)
    if (program_obstacle(*at) == 0) return;
  trouble_add(t, "the init of the image", error, NULL);
}

/** A system with an init runs many programs through it. */
static void examine_shell(struct troubles *t) {
  char init[128];
  standing_option("banger.init=", "/sbin/init", init, sizeof init);
  if (strcmp(init, "none") != 0) trouble_add(t, "/bin/sh", program_obstacle("/bin/sh"), NULL);
}

bool standing_has_ssh_server(void) { return access(SSHD_PATH, X_OK) == 0; }

static void examine_root_user(struct troubles *t) {
  struct passwd *root;
  if (!(root = plain_file_user("root"))) {
    // A root file system with a single program has no users at all, and needs none.
    if (standing_has_ssh_server()) trouble_add(t, "root in /etc/passwd", errno ? errno : ENOENT, NULL);
    return;
  }
  const char *shell = root->pw_shell[0] ? root->pw_shell : "/bin/sh";
  char what[160];
  snprintf(what, sizeof what, "the shell of root, %.120s", shell);
  if (standing_has_ssh_server()) trouble_add(t, what, login_shell_obstacle(shell), NULL);
}

/** sshd accepts no keys below a directory that users other than root may change, and everything lies below this one. */
static void examine_root_directory(struct troubles *t) {
  if (login_is_root_unsafe()) trouble_add(t, "the directory /", EACCES, NULL);
}

void standing_keep_readable(struct troubles *t) {
  static const char *const read[] = {"/etc/fstab",  "/etc/passwd",      "/etc/group",          "/etc/shadow",
                                     "/etc/gshadow", "/etc/environment", "/etc/default/locale", "/etc/nsswitch.conf", NULL};
  struct stat s;
  for (const char *const *path = read; *path; path++)
    if (stat(*path, &s) == 0 && (S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode)))
      trouble_add(t, *path, EEXIST, keep_empty(*path) ? "memory" : NULL);
}

void standing_examine(struct troubles *t) {
  examine_init(t);
  examine_shell(t);
  examine_root_user(t);
  examine_root_directory(t);
  fstab_examine("/etc/fstab", "/sys/block", "/dev", t);
}
