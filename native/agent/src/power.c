#include "power.h"
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define SAY_LIMIT_MS 1000
#define KILL_LIMIT_MS 2000
#define HOLD_LIMIT_MS 1000
#define OLD_ROOT "/oldroot"  // where systemd moves the image's root

static bool copy_program(const char *from, const char *to) {
  struct stat st;
  int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
  if (in >= 0 && fstat(in, &st) == 0) out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
  off_t left = out >= 0 ? st.st_size : 0;
  for (ssize_t n; left > 0 && (n = sendfile(out, in, NULL, (size_t)left)) > 0;) left -= n;
  int error = errno;
  bool is_whole = out >= 0 && left == 0;
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  if (!is_whole) unlink(to);
  errno = error;
  return is_whole;
}

bool power_install_hook(const char *self, const char *root) {
  char path[128];
  snprintf(path, sizeof path, "%s" POWER_HOOK_DIRECTORY, root);
  if (mkdir(path, 0755) != 0 && errno != EEXIST) return false;
  snprintf(path, sizeof path, "%s" POWER_HOOK_DIRECTORY POWER_HOOK_PROGRAM, root);
  return copy_program(self, path);
}

static bool wait_for(int fd, short events, int64_t until_ms) {
  struct pollfd p = {.fd = fd, .events = events};
  int64_t left = until_ms - monotonic_ms();
  return left > 0 && poll(&p, 1, (int)left) > 0;
}

bool power_say(int fd, const char *line, int limit_ms) {
  int64_t until_ms = monotonic_ms() + limit_ms;
  char answer;
  if (!wait_for(fd, POLLOUT, until_ms)) return false;
  if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) return false;
  // Only then has the host received it; a reset would drop data in a queue.
  return wait_for(fd, POLLIN, until_ms) && read(fd, &answer, 1) >= 0;
}

void power_tell_host(bool reboot_after) {
  struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = LAST_WORD_VSOCK_PORT};
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  // If nothing listens on the host, the connection is refused at once, and the first write fails.
  if (connect(fd, (struct sockaddr *)&host, sizeof host) == 0 || errno == EINPROGRESS)
    power_say(fd, reboot_after ? "reboot\n" : "poweroff\n", SAY_LIMIT_MS);
  close(fd);
}

// The kernel takes the disks away first (drivers/virtio/virtio.c, virtio_dev_shutdown). A pid 1 that then needs a page of its program would
// die, and the kernel would panic.
static void hold_init(void) {
  int64_t until_ms = monotonic_ms() + HOLD_LIMIT_MS;
  if (getpid() == 1 || ptrace(PTRACE_SEIZE, 1, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, 1, NULL, NULL) != 0) return;
  while (waitpid(1, NULL, WNOHANG | __WALL) == 0 && monotonic_ms() < until_ms) sleep_ms(1);
}

void power_end(bool reboot_after) {
  sync();
  if (agent_shared->resets_to_power_off) power_tell_host(reboot_after);
  hold_init();
  reboot(reboot_after || agent_shared->resets_to_power_off ? RB_AUTOBOOT : RB_POWER_OFF);
  ptrace(PTRACE_DETACH, 1, NULL, NULL);
}

// systemd spares the agent, which still holds the image's root.
static void end_processes(void) {
  int64_t until_ms = monotonic_ms() + KILL_LIMIT_MS;
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, WNOHANG) >= 0 && monotonic_ms() < until_ms) sleep_ms(5);
}

void power_hook_main(const char *verb) {
  end_processes();
  if (umount2(OLD_ROOT, 0) != 0) mount(NULL, OLD_ROOT, NULL, MS_REMOUNT | MS_RDONLY, NULL);
  agent_shared->resets_to_power_off = true;
  power_end(strcmp(verb, "reboot") == 0 || strcmp(verb, "kexec") == 0);
  for (;;) pause();
}
