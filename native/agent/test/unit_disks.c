// What is known of disks before and after they are mounted (11.9): notes of an ext4, lines of fstab(5), places of a root.
#include "../src/assemble.h"
#include "../src/ext4.h"
#include "../src/fstab.h"
#include "../src/login.h"
#include "../src/plain_file.h"
#include "../src/program.h"
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/** The fields of a superblock that are read, at 0x38 of it. */
static struct ext4_notes notes_of(const char fields[6]) {
  int fd = open(at("disk"), O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0 && ftruncate(fd, 4096) == 0 && pwrite(fd, fields, 6, 1024 + 0x38) == 6);
  close(fd);
  return ext4_read_notes(at("disk"));
}

static void test_notes(void) {
  struct ext4_notes clean = notes_of("\x53\xef\1\0\1"), damaged = notes_of("\x53\xef\2\0\1"), panics = notes_of("\x53\xef\1\0\3");
  CHECK(!clean.has_errors && !clean.panics_on_errors);
  CHECK(damaged.has_errors && !damaged.panics_on_errors);
  CHECK(!panics.has_errors && panics.panics_on_errors);
  CHECK(!notes_of("\x53\xee\2\0\3").has_errors && !notes_of("\x53\xee\2\0\3").panics_on_errors);
  CHECK(truncate(at("disk"), 1000) == 0 && !ext4_read_notes(at("disk")).has_errors);
  CHECK(!ext4_read_notes("/nonexistent").has_errors);
}

static void test_fstab(void) {
  struct troubles t = {0};
  put("fstab", "# /dev/none0 /0 ext4 defaults 0 1\n/dev/none9 / ext4 defaults 0 1\n\n/dev/null /a ext4 defaults 0 2\n"
               "/dev/none1 /b ext4 rw,noatime 0 2\n/dev/none2 /c ext4 defaults,nofail 0 2\n/dev/none3 /d auto noauto 0 0\n"
               "/dev/mapper/none /e ext4 defaults 0 2\n/dev/md7 /f ext4 defaults\nUUID=0 /g ext4 defaults 0 2\ntmpfs /h tmpfs\n"
               "/dev/none4\n\t/dev/none5 none swap sw");
  fstab_examine(at("fstab"), "/nonexistent", "/nonexistent", &t);
  CHECK(t.count >= 2 && strncmp(t.list[0].what, "/dev/none1 in /tmp/", 19) == 0 && t.list[0].error == ENODEV && !t.list[0].held);
  CHECK(strncmp(t.list[t.count - 1].what, "/dev/none5 in /tmp/", 19) == 0);
  for (size_t i = 0; i < t.count; i++) CHECK(strchr("145", t.list[i].what[9]) != NULL);
  fstab_examine("/nonexistent", "/sys/block", "/dev", &t);
  fstab_examine("/tmp", "/sys/block", "/dev", &t);
}

/** Puts the beginning of a disk, with an ext4 of this label whose UUID is sixteen times `u`. */
static void put_disk(const char *entry, char u, const char *label) {
  char path[PATH_MAX];
  uint8_t block[256] = {0};
  memcpy(block + 0x38, "\x53\xef\1\0\1", 5);
  memset(block + 0x68, u, 16);
  memcpy(block + 0x78, label, strlen(label));
  put(entry, "");
  snprintf(path, sizeof path, "%s", at(entry));
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  CHECK(fd >= 0 && pwrite(fd, block, sizeof block, 1024) == sizeof block && close(fd) == 0);
}

static void test_fstab_tags(void) {
  char disks[PATH_MAX], path[PATH_MAX];
  struct troubles t = {0};
  CHECK(mkdir(at("block"), 0755) == 0);
  snprintf(disks, sizeof disks, "%s", at("block"));
  put_disk("block/vda", '\x11', "banger-root");
  put_disk("block/vdb", '\xab', "sixteen letters.");
  put("block/loop0", "");
  put("tags", "LABEL=cloudimg-rootfs / ext4 discard 0 1\nLABEL=banger-root /a ext4 rw 0 0\nLABEL=sixteen\\040letters. /b ext4 rw 0 0\n"
              "UUID=ABABABAB-abab-abab-abab-abababababab /c ext4 rw 0 0\nLABEL=banger /d ext4 rw 0 0\nLABEL=UEFI /e vfat umask=0077 0 1\n"
              "UUID=\"11111111-1111-1111-1111-111111111111\" /f auto rw\nUUID=11111111-1111-1111-1111-111111111112 none swap sw 0 0\n"
              "UUID=1234-ABCD /g vfat rw,nofail 0 0\n/dev/disk/by-label/banger-root /h ext4 rw\n/dev/disk/by-uuid/0 /i ext4 rw\n"
              "LABEL=a\\x20b /j ext4 rw\nPARTUUID=0 /k ext4 rw\n");
  static const char *const missing[] = {"LABEL=banger in", "LABEL=UEFI in", "UUID=11111111-1111-1111-1111-111111111112 in",
                                        "/dev/disk/by-uuid/0 in"};
  snprintf(path, sizeof path, "%s", at("tags"));
  fstab_examine(path, disks, disks, &t);
  CHECK(t.count == sizeof missing / sizeof *missing);
  for (size_t i = 0; i < t.count && i < sizeof missing / sizeof *missing; i++)
    CHECK(strncmp(t.list[i].what, missing[i], strlen(missing[i])) == 0 && t.list[i].error == ENODEV);
  // On a disk with partitions, or with another file system, it may be all the same.
  put("block/vdc", "not an ext4");
  t.count = 0;
  fstab_examine(path, disks, disks, &t);
  CHECK(t.count == 0);
}

static void test_places(void) {
  static const char *const made[] = {"dev", "proc", "sys", "run", "etc", "root", "tmp", NULL};
  struct stat s;
  int error = 0;
  CHECK(mkdir(at("new"), 0755) == 0 && !root_missing_place(at("new"), &error) && error == 0);
  for (const char *const *entry = made; *entry; entry++) {
    char path[64];
    snprintf(path, sizeof path, "new/%s", *entry);
    CHECK(stat(at(path), &s) == 0 && S_ISDIR(s.st_mode));
    CHECK((s.st_mode & 07777) == (strcmp(*entry, "tmp") == 0 ? 01777 : strcmp(*entry, "root") == 0 ? 0700 : 0755));
  }
  // What is there stays as it is.
  CHECK(chmod(at("new/etc"), 0) == 0 && !root_missing_place(at("new"), &error) && stat(at("new/etc"), &s) == 0 && (s.st_mode & 07777) == 0);
  CHECK(rmdir(at("new/etc")) == 0 && symlink("usr/etc", at("new/etc")) == 0);
  CHECK(root_missing_place(at("new"), &error) && error == ENOENT);
  CHECK(mkdir(at("new/usr"), 0755) == 0 && mkdir(at("new/usr/etc"), 0755) == 0 && !root_missing_place(at("new"), &error));
  // An absolute one leads from the guest's root on.
  CHECK(unlink(at("new/etc")) == 0 && symlink("/usr/etc", at("new/etc")) == 0 && !root_missing_place(at("new"), &error));
  CHECK(unlink(at("new/etc")) == 0 && symlink("etc", at("new/etc")) == 0);
  CHECK(root_missing_place(at("new"), &error) && error == ELOOP && unlink(at("new/etc")) == 0);
  // What it leads to may be mounted later.
  CHECK(rmdir(at("new/tmp")) == 0 && symlink("/dev/shm", at("new/tmp")) == 0);
  put("new/etc", "a file");
  const char *missing = root_missing_place(at("new"), &error);
  CHECK(missing && strcmp(missing, "etc") == 0 && error == ENOTDIR);
  // What is mounted by name must be where the name says.
  CHECK(rmdir(at("new/run")) == 0 && symlink("var", at("new/run")) == 0);
  missing = root_missing_place(at("new"), &error);
  CHECK(missing && strcmp(missing, "run") == 0 && error == ENOTDIR);
}

static void test_shells(void) {
  CHECK(login_shell_obstacle("/bin/sh") == 0);
  CHECK(login_shell_obstacle("/usr/sbin/nologin") == EACCES && login_shell_obstacle("/bin/false") == EACCES);
  CHECK(login_shell_obstacle("/nonexistent/sh") == ENOENT);
  put("plain", "");
  CHECK(login_shell_obstacle(at("plain")) == EACCES);
}

/** Whether the program of this text and mode would be executed: 0, or the errno. */
static int obstacle_of(const char *text, mode_t mode) {
  put("program", text);
  CHECK(chmod(at("program"), mode) == 0);
  return program_obstacle(at("program"));
}

static void test_programs(void) {
  char self[4096];
  // With its loader, as everything that is linked dynamically.
  CHECK(program_obstacle("/proc/self/exe") == 0);
  CHECK(program_obstacle("/nonexistent") == ENOENT && program_obstacle(name) == EACCES);
  CHECK(obstacle_of("#!/bin/sh\n", 0755) == 0 && obstacle_of("#! \t/bin/sh -e\n", 0755) == 0 && obstacle_of("#!/bin/sh", 0755) == 0);
  CHECK(obstacle_of("#!/nowhere/sh\n", 0755) == ELIBACC && obstacle_of("#!\n\n", 0755) == ELIBACC);
  CHECK(obstacle_of("#!/bin/sh\n", 0644) == EACCES && obstacle_of("", 0755) == ENOEXEC && obstacle_of("echo\n", 0755) == ENOEXEC);
  CHECK(obstacle_of("\177ELF", 0755) == ENOEXEC);
  // The name of the loader is text of the first page.
  int from = open("/bin/sh", O_RDONLY | O_CLOEXEC), to = open(at("program"), O_WRONLY | O_TRUNC | O_CLOEXEC);
  ssize_t n = read(from, self, sizeof self);
  char *loader = n > 0 ? memmem(self, (size_t)n, "/ld-", 4) : NULL;
  CHECK(loader && memcpy(loader, "/no-", 4) && write(to, self, (size_t)n) == n && close(from) == 0 && close(to) == 0);
  CHECK(program_obstacle(at("program")) == ELIBACC);
}

static void test_pipes(void) {
  struct troubles t = {0};
  struct stat s;
  CHECK(mkfifo(at("pipe"), 0600) == 0 && symlink("pipe", at("to-pipe")) == 0);
  CHECK(!plain_file_stream(at("to-pipe")) && errno == EEXIST);
  CHECK(plain_file_open(name, &s) == -1 && errno == EISDIR);
  CHECK(plain_file_open("/dev/null", &s) == -1 && errno == EEXIST);
  fstab_examine(at("pipe"), "/sys/block", "/dev", &t);
  CHECK(t.count == 0);
  struct passwd *root = plain_file_user("root");
  CHECK(root && root->pw_uid == 0);
  CHECK(!plain_file_user("nobody has this name") && errno == 0);
}

void test_disks(void) {
  char command[PATH_MAX + 16];
  CHECK(mkdtemp(name) != NULL);
  test_notes();
  test_fstab();
  test_fstab_tags();
  test_places();
  test_programs();
  test_pipes();
  test_shells();
  snprintf(command, sizeof command, "rm -rf %s", name);
  CHECK(system(command) == 0);
}
