#include "restored.h"
#include "agent.h"
#include "keep.h"
#include "processes.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define LET_GO_MS 1000  // twice what a session allows its command
#define LOOK_AGAIN_MS 5
#define JOURNAL_MS 30000
#define MACHINE_ID_LENGTH 32
#define BOOT_ID_LENGTH 37  // with the end of the line
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_NAME "boot-id"

/** Whether a worker still serves a request of an earlier life. It is woken each time: a signal may come between its look and poll(). */
static bool wake_earlier(void) {
  bool is_any = false;
  for (int slot = 0; slot < AGENT_SLOTS; slot++) {
    unsigned life = agent_shared->served_life[slot];
    int pid = agent_shared->worker_pid[slot];
    if (pid == 0 || life == 0 || life == agent_shared->life) continue;
    is_any = true;
    kill(pid, WORKER_WAKE_SIGNAL);
  }
  return is_any;
}

int restored_end_sessions(void) {
  for (int64_t until_ms = monotonic_ms() + LET_GO_MS; wake_earlier(); sleep_ms(LOOK_AGAIN_MS))
    if (monotonic_ms() >= until_ms) return ETIMEDOUT;
  return 0;
}

static bool read_start(const char *path, char *bytes, size_t length) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool is_read = fd >= 0 && read(fd, bytes, length) == (ssize_t)length;
  if (fd >= 0) close(fd);
  return is_read;
}

bool restored_is_other(const char *machine_id) {
  char present[MACHINE_ID_LENGTH];
  return !read_start("/etc/machine-id", present, sizeof present) || memcmp(present, machine_id, sizeof present) != 0;
}

int restored_renew_boot_id(void) {
  static const char file[] = KEEP_DIRECTORY "/" BOOT_ID_NAME;
  char id[BOOT_ID_LENGTH];
  if (!read_start("/proc/sys/kernel/random/uuid", id, sizeof id)) return errno ? errno : EIO;
  int error = keep_in_memory(BOOT_ID_NAME, 0444, id, sizeof id);
  if (error) return error;
  // That of an earlier restoration.
  umount2(BOOT_ID_PATH, MNT_DETACH);
  if (mount(file, BOOT_ID_PATH, NULL, MS_BIND, NULL) != 0) return errno;
  return mount(NULL, BOOT_ID_PATH, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0 ? 0 : errno;
}

static bool is_journal(pid_t pid, const char *stat, const char *cmdline, size_t length, void *journal) {
  (void)cmdline, (void)length;
  int parent;
  // One in a container has another parent.
  if (sscanf(stat, "%*d (systemd-journal) %*c %d", &parent) != 1 || parent != 1) return true;
  *(pid_t *)journal = pid;
  return false;
}

// systemd starts it again, and keeps for the new one what others log meanwhile (systemd-journald.service(8)). Asking systemd by systemctl
// takes five times as long in a guest whose code is not translated yet.
int restored_restart_journal(void) {
  pid_t pid = 0;
  if (access("/run/systemd/system", F_OK) == 0) processes_look(is_journal, &pid);
  if (pid == 0) return 0;
  int64_t until_ms = monotonic_ms() + JOURNAL_MS;
  for (kill(pid, SIGTERM); kill(pid, 0) == 0; sleep_ms(LOOK_AGAIN_MS))
    if (monotonic_ms() >= until_ms) return ETIMEDOUT;
  return 0;
}
