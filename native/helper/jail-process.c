// The VMM as a process: its cgroup, its start through the jailer, its end.
#include "jail.h"
#include "common/constants.h"
#include "common/clock.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"
#define PARENT_CGROUP "banger"
#define PATH_BYTES 128
// Less than the daemon waits for a reply: a busy host is slow to copy kernel and initramfs and to run two programs.
#define START_TIMEOUT_MS 25000
#define END_TIMEOUT_MS 10000
#define POLL_MS 2
// For the VMM itself: its API, its event loop, programs that these may start, and the process that keeps the locks.
#define EXTRA_TASKS 17
// The VMM needs less than 10 MiB besides the guest's memory; page tables and file pages count as well.
#define EXTRA_MEMORY_MIB 64
#define MEMORY_SHARE_FOR_TABLES 64
#define MAX_WEIGHT 10000

// --- cgroup ---

static void cgroup_path(const struct jail *jail, const char *file, char path[PATH_BYTES]) {
  snprintf(path, PATH_BYTES, CGROUPS "/" PARENT_CGROUP "/" HOST_NAME_PREFIX "%s%s", jail->id, file);
}

static int write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = write(fd, text, strlen(text));
  KEEPING_ERRNO(close(fd));
  return n < 0 ? -1 : 0;
}

int cgroup_make(const struct jail *jail) {
  char path[PATH_BYTES];
  if (access(CGROUPS "/cgroup.controllers", F_OK) != 0) return refuse(ENOSYS, "a jail needs cgroup v2 at " CGROUPS);
  // Made here instead of by the jailer, so that a failure at any moment leaves nothing unknown.
  if (mkdir(CGROUPS "/" PARENT_CGROUP, 0755) != 0 && errno != EEXIST) return -1;
  cgroup_path(jail, "", path);
  return fault("jail") == 0 ? mkdir(path, 0755) : -1;
}

int cgroup_end(const struct jail *jail) {
  char kill_path[PATH_BYTES], path[PATH_BYTES];
  cgroup_path(jail, "/cgroup.kill", kill_path);
  cgroup_path(jail, "", path);
  int64_t deadline = monotonic_ms() + END_TIMEOUT_MS;
  // Repeats until it is empty: a child that has just been forked may join after the others were killed.
  for (;;) {
    if (write_file(kill_path, "1") != 0 && errno != ENOENT) return -1;
    if (rmdir(path) == 0 || errno == ENOENT) break;
    if (errno != EBUSY || monotonic_ms() >= deadline) return -1;
    sleep_ms(POLL_MS);
  }
  // Stays while it contains other VMs.
  rmdir(CGROUPS "/" PARENT_CGROUP);
  return 0;
}

// --- process ---

// Field 22 of /proc/PID/stat, 0 without such a process. @param state its third field
static unsigned long long start_of(pid_t pid, char *state) {
  char path[32], text[512];
  unsigned long long start = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  text[n < 0 ? 0 : n] = '\0';
  // The second field is the program's name, which may contain any character.
  const char *rest = strrchr(text, ')');
  if (rest == NULL || sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", state, &start) != 2) return 0;
  return start;
}

bool vmm_runs(const struct jail *jail) {
  char state = 'X';
  return jail->pid > 0 && start_of(jail->pid, &state) == jail->start && state != 'Z' && state != 'X';
}

bool vmm_status(const struct jail *jail, int *wait_status) {
  char state;
  // A pid from an earlier helper may belong to another child by now.
  if (jail->pid <= 0 || start_of(jail->pid, &state) != jail->start) return false;
  return waitpid(jail->pid, wait_status, WNOHANG) == jail->pid;
}

struct command {
  char id[16], uid[16], memory[48], pids[32], weight[32], files[32], netns[64];
  const char *argv[40];
};

// The jailer's command line (docs/jailer.md of Firecracker).
static void make_command(struct command *c, const struct jail_settings *settings, const struct jail *jail, const struct jail_size *size, int netns) {
  unsigned long long mib = (unsigned long long)size->memory_mib + size->memory_mib / MEMORY_SHARE_FOR_TABLES + EXTRA_MEMORY_MIB;
  unsigned weight = size->vcpus * 100 < MAX_WEIGHT ? size->vcpus * 100 : MAX_WEIGHT;
  snprintf(c->id, sizeof c->id, HOST_NAME_PREFIX "%s", jail->id);
  snprintf(c->uid, sizeof c->uid, "%u", jail->uid);
  snprintf(c->memory, sizeof c->memory, "memory.max=%llu", mib << 20);
  snprintf(c->pids, sizeof c->pids, "pids.max=%u", size->vcpus + EXTRA_TASKS);
  // Every cgroup has 100 by default: VMs get shares by their number of vCPUs.
  snprintf(c->weight, sizeof c->weight, "cpu.weight=%u", weight);
  snprintf(c->files, sizeof c->files, "no-file=%d", VMM_OPEN_FILES);
  // This process's descriptor, which nobody can swap; the jailer closes all of its own except the first three.
  snprintf(c->netns, sizeof c->netns, "/proc/%d/fd/%d", (int)getpid(), netns);
  const char *const words[] = {
      settings->jailer, "--id", c->id, "--exec-file", settings->firecracker, "--uid", c->uid, "--gid", c->uid,
      "--chroot-base-dir", settings->directory, "--cgroup-version", "2", "--parent-cgroup", PARENT_CGROUP,
      "--cgroup", c->memory, "--cgroup", c->pids, "--cgroup", c->weight, "--resource-limit", c->files,
  };
  size_t count = sizeof words / sizeof *words;
  memcpy(c->argv, words, sizeof words);
  if (netns >= 0) c->argv[count++] = "--netns";
  if (netns >= 0) c->argv[count++] = c->netns;
  c->argv[count++] = "--";
  c->argv[count++] = "--api-sock";
  c->argv[count++] = "/run/api.sock";
  c->argv[count] = NULL;
}

// In the child; returns only on failure.
static void become_jailer(const struct jail *jail, const struct command *command, int nothing, int output) {
  char procs[PATH_BYTES], *const environment[] = {NULL};
  sigset_t none;
  sigemptyset(&none);
  cgroup_path(jail, "/cgroup.procs", procs);
  // First of all, so that the end of the cgroup ends it, too.
  if (write_file(procs, "0") != 0 || setsid() < 0 || chdir("/") != 0) return;
  if (dup2(nothing, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) return;
  signal(SIGPIPE, SIG_DFL);
  // bind(2) applies it to a socket's mode, whatever the directory's list says; the group's bits limit the list.
  umask(0007);
  // A core dump would contain the guest's memory.
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(command->argv[0], (char *const *)command->argv, environment);
}

void locks_close(struct jail_locks *locks) {
  while (locks->count > 0) KEEPING_ERRNO(close(locks->fds[--locks->count]));
}

// Starts a process that has the locks as its first descriptors and nothing else. It belongs to root, so that no VMM can end it.
static _Noreturn void hold(const struct jail_locks *locks) {
  // Opened one after the other, none stands before its new place.
  for (int i = 0; i < locks->count; i++) dup2(locks->fds[i], i);
  syscall(SYS_close_range, (unsigned)locks->count, ~0U, 0);
  prctl(PR_SET_NAME, "banger-locks");
  for (;;) pause();
}

int locks_keep(const struct jail *jail, const struct jail_locks *locks) {
  char procs[PATH_BYTES];
  int status;
  if (locks->count == 0) return 0;
  if (fault("jail") != 0) return -1;
  cgroup_path(jail, "/cgroup.procs", procs);
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    // Forks twice, so that init, not the helper, becomes its parent.
    pid_t keeper = write_file(procs, "0") == 0 && setsid() >= 0 ? fork() : -1;
    if (keeper == 0) hold(locks);
    _exit(keeper > 0 ? 0 : 1);
  }
  if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) return fault("jail");
  return refuse(EIO, "no process could be left to keep the locks of the disks");
}

int vmm_launch(const struct jail_settings *settings, struct jail *jail, const struct jail_size *size, int netns, int log) {
  struct command command;
  char state;
  make_command(&command, settings, jail, size, netns);
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || fault("jail") != 0) return -1;
  jail->pid = fork();
  if (jail->pid == 0) {
    become_jailer(jail, &command, nothing, log);
    _exit(127);
  }
  KEEPING_ERRNO(close(nothing));
  // A child that was not waited for keeps its pid, so this is its own start time.
  if (jail->pid > 0) jail->start = start_of(jail->pid, &state);
  return jail->pid > 0 ? 0 : -1;
}

int vmm_await(const struct jail *jail, const struct jail_tree *tree) {
  struct stat s;
  for (int64_t deadline = monotonic_ms() + START_TIMEOUT_MS; monotonic_ms() < deadline; sleep_ms(POLL_MS)) {
    if (fstatat(tree->run, "api.sock", &s, AT_SYMLINK_NOFOLLOW) == 0) return fault("jail");
    if (!vmm_runs(jail)) return refuse(EIO, "the VMM ended before its socket was there; its log says why");
  }
  errno = ETIMEDOUT;
  return -1;
}

int netns_open(pid_t pid, uid_t uid) {
  char path[64];
  uid_t owner = (uid_t)-1;
  snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int user = ioctl(fd, NS_GET_USERNS);
  bool known = user >= 0 && ioctl(user, NS_GET_OWNER_UID, &owner) == 0;
  if (user >= 0) close(user);
  if (known && owner == uid) return fd;
  close(fd);
  return refuse(EPERM, "the network of process %d does not belong to the user", (int)pid);
}
