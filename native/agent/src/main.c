#include "agent.h"
#include "channel.h"
#include "copy.h"
#include "power.h"
#include "serve.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// For tests: channels on inherited descriptors, as if the image were running. All but the last are served by children.
static int serve_descriptors(char **numbers, int count) {
  struct channel channel;
  int slot = 0;
  while (slot < count - 1 && fork() != 0) slot++;
  int fd = atoi(numbers[slot]);
  for (int i = 0; i < count; i++)
    if (i != slot) close(atoi(numbers[i]));
  sigset_t children;
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  if (fcntl(fd, F_GETFD) < 0) return 2;
  agent_shared->init_started = true;
  agent_begin_worker(slot);
  channel_open(&channel, fd, false, true, slot);
  serve_channel(&channel);
  channel_close(&channel);
  return 0;
}

static void prefer_agent(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "-900", 4) < 0) setpriority(PRIO_PROCESS, 0, 0);
    close(fd);
  }
  setpriority(PRIO_PROCESS, 0, -5);
}

/** argv: the process name, the new root, the socket to pid 1, the transport, the root device, the kind of power-off. */
static int serve_from_initramfs(char **argv) {
  if (chroot(argv[1]) != 0 || chdir("/") != 0) return 1;
  int init_fd = atoi(argv[2]);
  fcntl(init_fd, F_SETFD, FD_CLOEXEC);
  snprintf(agent_shared->root_device, sizeof agent_shared->root_device, "%s", argv[4]);
  agent_shared->resets_to_power_off = strcmp(argv[5], "reset") == 0;
  setsid();
  umask(022);
  prefer_agent();
  // From now on pid 1 may empty the old root.
  if (write(init_fd, "E", 1) != 1) return 1;
  return master_main(init_fd, argv[3]);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--version") == 0) {
    puts("banger-agent " AGENT_VERSION);
    return 0;
  }
  if (getpid() != 1 && argc > 1 && strcmp(argv[1], "copy") == 0) return copy_main(argc - 2, argv + 2);
  if (!agent_share()) return 1;
  if (getpid() == 1 && argc > 1 && strcmp(argv[0], POWER_HOOK_PROGRAM) == 0) power_hook_main(argv[1]);
  if (getpid() == 1 && strcmp(argv[0], AGENT_PROCESS_NAME) != 0) init_main(argc, argv);
  if (argc == 6 && strcmp(argv[0], AGENT_PROCESS_NAME) == 0) return serve_from_initramfs(argv);
  if (argc > 2 && argc - 2 <= AGENT_SLOTS && strcmp(argv[1], "--serve-fd") == 0) return serve_descriptors(argv + 2, argc - 2);
  if (argc == 1) {
    prefer_agent();
    return master_main(-1, "any");
  }
  fputs("usage: banger-agent [--version | --serve-fd N…]\n", stderr);
  return 2;
}
