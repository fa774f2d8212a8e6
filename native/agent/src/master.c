#include "agent.h"
#include "channel.h"
#include "child.h"
#include "serve.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define PORT_SEARCH_FAST_MS 20
#define PORT_SEARCH_SLOW_MS 500
#define PORT_SEARCH_FAST_FOR_MS 2000
#define PORT_SEARCH_END_MS 10000  // once one port exists, the others follow soon
#define RESPAWN_BACK_OFF_MS 200

struct worker {
  pid_t pid;              // 0: none
  char device[64];        // serial port, "" when not found yet
  int64_t not_before_ms;  // back-off after a death
  bool was_killed;        // the last worker was killed, perhaps in the middle of a session
};

struct master {
  struct worker workers[AGENT_SLOTS];
  int init_fd, vsock_fd, signal_fd;
  int64_t started_ms;
  bool uses_serial;
};

static void run_worker(struct master *m, int slot, int fd, bool is_serial) {
  struct channel channel;
  if (m->vsock_fd >= 0) close(m->vsock_fd);
  close(m->signal_fd);
  agent_begin_worker(slot);
  channel_open(&channel, fd, is_serial, is_serial, slot);
  if (m->workers[slot].was_killed) channel_break_off(&channel);
  serve_channel(&channel);
  _exit(0);
}

static void start_serial(struct master *m, int slot) {
  struct worker *w = &m->workers[slot];
  w->not_before_ms = monotonic_ms() + RESPAWN_BACK_OFF_MS;
  pid_t pid = fork();
  if (pid > 0) {
    w->pid = pid;
    w->was_killed = false;
  }
  if (pid != 0) return;
  int fd = open(w->device, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) _exit(1);
  run_worker(m, slot, fd, true);
}

// Returns the number of known ports.
static int find_ports(struct master *m) {
  int found = 0;
  DIR *directory = opendir("/sys/class/virtio-ports");
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    char path[320], name[64] = "";
    int number;
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    int fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (read(fd, name, sizeof name - 1) > 0 && sscanf(name, AGENT_SERIAL_PORT "%d", &number) == 1 && number >= 0 &&
        number < AGENT_SERIAL_PORTS) {
      snprintf(m->workers[number].device, sizeof m->workers[number].device, "/dev/%.50s", entry->d_name);
      found++;
    }
    close(fd);
  }
  if (directory) closedir(directory);
  return found;
}

static void listen_vsock(struct master *m) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = AGENT_VSOCK_PORT, .svm_cid = VMADDR_CID_ANY};
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0) m->vsock_fd = fd;
  else close(fd);
}

static void accept_vsock(struct master *m) {
  struct sockaddr_vm peer;
  socklen_t size = sizeof peer;
  int fd = accept4(m->vsock_fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  int slot = AGENT_SERIAL_PORTS;
  while (slot < AGENT_SLOTS && m->workers[slot].pid) slot++;
  // Loopback vsock would let any user of the guest give commands to root.
  pid_t pid = slot < AGENT_SLOTS && peer.svm_cid == VMADDR_CID_HOST ? fork() : -1;
  if (pid == 0) run_worker(m, slot, fd, false);
  if (pid > 0) m->workers[slot].pid = pid;
  close(fd);
}

static void reap_workers(struct master *m) {
  struct signalfd_siginfo info;
  while (read(m->signal_fd, &info, sizeof info) > 0) continue;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    for (int slot = 0; slot < AGENT_SLOTS; slot++) {
      if (m->workers[slot].pid != pid) continue;
      m->workers[slot].pid = 0;
      m->workers[slot].was_killed = slot < AGENT_SERIAL_PORTS && WIFSIGNALED(status);
      agent_shared->worker_pid[slot] = 0;
      agent_shared->served_life[slot] = 0;
      agent_shared->session_open[slot] = false;
    }
}

// Starts missing workers; returns how long the master may sleep, -1 for ever.
static int tend_ports(struct master *m) {
  int64_t now = monotonic_ms(), age = now - m->started_ms;
  int limit_ms = -1, found = 0;
  if (!m->uses_serial) return -1;
  for (int slot = 0; slot < AGENT_SERIAL_PORTS; slot++) found += m->workers[slot].device[0] != 0;
  if (found < AGENT_SERIAL_PORTS && (age < PORT_SEARCH_END_MS || (found == 0 && m->vsock_fd < 0))) {
    find_ports(m);
    limit_ms = age < PORT_SEARCH_FAST_FOR_MS && found == 0 ? PORT_SEARCH_FAST_MS : PORT_SEARCH_SLOW_MS;
  }
  for (int slot = 0; slot < AGENT_SERIAL_PORTS; slot++) {
    struct worker *w = &m->workers[slot];
    if (!w->device[0] || w->pid) continue;
    if (now >= w->not_before_ms) start_serial(m, slot);
    if (!w->pid && (limit_ms < 0 || limit_ms > RESPAWN_BACK_OFF_MS)) limit_ms = RESPAWN_BACK_OFF_MS;
  }
  return limit_ms;
}

int master_main(int init_fd, const char *transport) {
  static struct master m;
  m.init_fd = init_fd;
  m.vsock_fd = -1;
  m.started_ms = monotonic_ms();
  m.uses_serial = strcmp(transport, "vsock") != 0;
  signal(SIGPIPE, SIG_IGN);
  m.signal_fd = child_signal_fd();
  if (strcmp(transport, "serial") != 0) listen_vsock(&m);
  agent_shared->personalized_fd = init_fd;
  agent_shared->init_started = init_fd < 0;
  for (;;) {
    int limit_ms = tend_ports(&m);
    struct pollfd p[3] = {
      {.fd = m.signal_fd, .events = POLLIN}, {.fd = m.vsock_fd, .events = POLLIN}, {.fd = m.init_fd, .events = POLLIN}};
    if (poll(p, 3, limit_ms) < 0) continue;
    if (p[0].revents) reap_workers(&m);
    if (p[1].revents) accept_vsock(&m);
    if (p[2].revents) {
      // Pid 1 closes its end when it executes the image's init. Workers may still hold copies of the other end.
      agent_shared->init_started = true;
      // The next channel may get its number.
      agent_shared->personalized_fd = -1;
      close(m.init_fd);
      m.init_fd = -1;
    }
  }
}
