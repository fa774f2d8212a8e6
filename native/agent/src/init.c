#include "agent.h"
#include "assemble.h"
#include "keep.h"
#include "mounts.h"
#include "power.h"
#include "run_tree.h"
#include "standing.h"
#include "supervise.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEW_ROOT "/newroot"
#define ROOT_WAIT_MS 20000
#define PERSONALIZE_WAIT_MS 60000
#define AGENT_START_MS 5000

struct boot_options {
  char root[128], init[128], transport[16], poweroff[16];
  bool waits, is_rescue;
};

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  dprintf(fd >= 0 ? fd : 2, "banger-init: ");
  vdprintf(fd >= 0 ? fd : 2, format, arguments);
  dprintf(fd >= 0 ? fd : 2, "\n");
  if (fd >= 0) close(fd);
  va_end(arguments);
}

/** The reason for people; the C library has no message for damaged disks. */
static const char *mount_error(int error) {
  switch (error) {
    case EINVAL: return "there is no ext4 file system";
    case EUCLEAN: case EBADMSG: return "its file system is damaged";
    case ENOENT: return "the device is not there";
    default: return strerror(error);
  }
}

// Ends the machine: a VMM that ends can be reported, one that hangs cannot.
static void __attribute__((noreturn)) fail_with(const char *what, const char *why) {
  say("%s: %s", what, why);
  sleep_ms(2000);
  sync();
  reboot(RB_AUTOBOOT);
  for (;;) pause();
}

static void __attribute__((noreturn)) fail(const char *what) { fail_with(what, strerror(errno)); }

static void mount_or_fail(const char *type, const char *path, unsigned long flags, const char *options) {
  mkdir(path, 0755);
  if (mount(type, path, type, flags, options) != 0 && errno != EBUSY) fail(path);
}

static void mount_basics(void) {
  mount_or_fail("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mount_or_fail("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mount_or_fail("devtmpfs", "/dev", MS_NOSUID, "mode=755");
  // The agent needs terminals before, or without, an init that mounts this (options as in systemd).
  mkdir("/dev/pts", 0755);
  mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666");
  mkdir("/dev/shm", 0755);
  mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  int fd = open("/dev/console", O_RDWR | O_NOCTTY);
  if (fd < 0) fd = open("/dev/null", O_RDWR);
  for (int i = 0; fd >= 0 && i < 3; i++) dup2(fd, i);
  if (fd > 2) close(fd);
}

static void load_modules(void) {
  char name[128];
  FILE *order = fopen("/modules/order", "re");
  while (order && fgets(name, sizeof name, order)) {
    char path[160];
    name[strcspn(name, "\r\n")] = 0;
    if (!name[0] || name[0] == '#') continue;
    snprintf(path, sizeof path, "/modules/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    // A module that does not load may not be needed here; a missing root device is reported later.
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
      say("module %s: %s", name, strerror(errno));
    if (fd >= 0) close(fd);
  }
  if (order) fclose(order);
}

static void read_options(struct boot_options *o) {
  char word[4];
  standing_option("banger.root=", "/dev/vda", o->root, sizeof o->root);
  standing_option("banger.init=", "/sbin/init", o->init, sizeof o->init);
  standing_option("banger.transport=", "any", o->transport, sizeof o->transport);
  standing_option("banger.poweroff=", "off", o->poweroff, sizeof o->poweroff);
  standing_option("banger.wait=", "1", word, sizeof word);
  o->waits = strcmp(word, "0") != 0;
  standing_option("banger.rescue=", "0", word, sizeof word);
  o->is_rescue = strcmp(word, "1") == 0;
}

/** Told to the host by the agent, which is another process. */
static void leave_trouble(const char *what, int error, const char *held) {
  if (!error) return;
  say("%s: %s", what, strerror(error));
  mkdir(NEW_ROOT KEEP_DIRECTORY, 0755);
  FILE *file = fopen(NEW_ROOT BOOT_TROUBLES, "ae");
  if (!file) return;
  fprintf(file, "%d %s %s\n", error, held ? held : "-", what);
  fclose(file);
}

static struct mounted mount_root_disk(const struct boot_options *o) {
  // A rescue's root belongs to the image, which must not be written.
  if (o->is_rescue && mount(o->root, NEW_ROOT, "ext4", MS_RDONLY, "") == 0) return (struct mounted){.is_mounted = true};
  struct mounted root = {.error = errno};
  if (!o->is_rescue) root = mount_ext4(o->root, NEW_ROOT);
  if (!root.is_mounted) fail_with(o->root, mount_error(root.error));
  return root;
}

/** A container image expects the content of its own /run; an init makes its own. */
static void mount_run(const struct boot_options *o) {
  bool is_kept = strcmp(o->init, "none") == 0 && !o->is_rescue;
  int error = 0, disk = is_kept ? open(NEW_ROOT "/run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (mount("tmpfs", NEW_ROOT "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=20%") != 0) fail(NEW_ROOT "/run");
  if (disk < 0) return;
  int memory = open(NEW_ROOT "/run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  error = memory < 0 ? errno : run_tree_copy(disk, memory);
  if (memory >= 0) close(memory);
  else close(disk);
  leave_trouble("what the image has below /run", error, NULL);
}

static void mount_root(const struct boot_options *o) {
  static const char *const moved[] = {"dev", "proc", "sys"};
  char from[64], path[64];
  int64_t until = monotonic_ms() + ROOT_WAIT_MS;
  while (access(o->root, F_OK) != 0 && monotonic_ms() < until) sleep_ms(5);
  mkdir(NEW_ROOT, 0755);
  struct mounted root = mount_root_disk(o);
  // Where a link leads is told of the place.
  bool has_etc = faccessat(AT_FDCWD, NEW_ROOT "/etc", F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
  int place_error, error = 0;
  const char *missing = root_missing_place(NEW_ROOT, &place_error);
  if (missing && (error = root_assemble(NEW_ROOT)) != 0) fail_with("putting the root together", strerror(error));
  mount_run(o);
  for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
    snprintf(from, sizeof from, "/%s", moved[i]);
    snprintf(path, sizeof path, NEW_ROOT "/%s", moved[i]);
    if (mount(from, path, NULL, MS_MOVE, NULL) != 0) fail(path);
  }
  leave_trouble("the root file system", root.error, root.held);
  snprintf(path, sizeof path, "a directory for /%s", missing ? missing : "");
  leave_trouble(path, place_error, "memory");
  if (!missing && !has_etc && strcmp(o->init, "none") != 0) leave_trouble("all of /etc", ENOENT, NULL);
}

static int start_agent(const struct boot_options *o, char *self) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    char number[16];
    snprintf(number, sizeof number, "%d", ends[1]);
    fcntl(ends[1], F_SETFD, 0);
    char *argv[] = {AGENT_PROCESS_NAME, NEW_ROOT, number, (char *)o->transport, (char *)o->root, (char *)o->poweroff, NULL};
    execv(self, argv);
    _exit(127);
  }
  close(ends[1]);
  return ends[0];
}

static bool wait_for_agent(int fd, char word, int limit_ms) {
  char got = 0;
  int64_t until = monotonic_ms() + limit_ms;
  while (got != word) {
    int64_t left = until - monotonic_ms();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (left <= 0) return false;
    if (poll(&p, 1, (int)left) > 0 && read(fd, &got, 1) <= 0) return false;
  }
  return true;
}

// Frees the memory of the initramfs. Stays within one file system.
static void empty_directory(int directory_fd, dev_t device) {
  DIR *directory = fdopendir(directory_fd);
  if (!directory) return;
  for (struct dirent *entry; (entry = readdir(directory));) {
    struct stat st;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(directory_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != device) continue;
    if (S_ISDIR(st.st_mode)) {
      int fd = openat(directory_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (fd >= 0) empty_directory(fd, device);
    }
    unlinkat(directory_fd, entry->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
  }
  closedir(directory);
}

static void switch_root(void) {
  struct stat old;
  int old_root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (chdir(NEW_ROOT) != 0) fail(NEW_ROOT);
  if (old_root >= 0 && fstat(old_root, &old) == 0) empty_directory(old_root, old.st_dev);
  if (mount(".", "/", NULL, MS_MOVE, NULL) != 0) fail("moving the root");
  if (chroot(".") != 0 || chdir("/") != 0) fail("entering the root");
}

/** Returns if none of them can be executed. */
static void try_inits(const struct boot_options *o, char **argv) {
  static char *const environment[] = {"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL};
  const char *const candidates[] = INIT_CANDIDATES(o->init);
  for (size_t i = 0; candidates[i]; i++) {
    argv[0] = (char *)candidates[i];
    execve(candidates[i], argv, environment);
    if (i == 0) say("%s: %s", candidates[i], strerror(errno));
  }
}

void init_main(int argc, char **argv) {
  (void)argc;
  struct boot_options options;
  static char self[] = "/init";
  mount_basics();
  read_options(&options);
  load_modules();
  mount_root(&options);
  if (strcmp(options.poweroff, "reset") == 0 && !power_install_hook(self, NEW_ROOT))
    say("the program for the end of the machine: %s", strerror(errno));
  signal(SIGPIPE, SIG_IGN);
  int agent_fd = start_agent(&options, self);
  // The agent must have entered the new root before the old one is emptied. A guest without an agent is useless.
  if (!wait_for_agent(agent_fd, 'E', AGENT_START_MS)) fail("the agent did not start");
  if (options.waits && !wait_for_agent(agent_fd, 'P', PERSONALIZE_WAIT_MS)) say("the host sent no personalize; going on");
  switch_root();
  signal(SIGPIPE, SIG_DFL);
  if (strcmp(options.init, "none") != 0) {
    try_inits(&options, argv);
    // A machine with a running agent can be repaired.
    say("no init can be executed; the agent goes on without one");
    mkdir(KEEP_DIRECTORY, 0755);
    int marker = open(NO_INIT_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (marker >= 0) close(marker);
  }
  agent_shared->resets_to_power_off = strcmp(options.poweroff, "reset") == 0;
  // The agent takes it for the start of the image's init.
  close(agent_fd);
  supervise_main();
}
