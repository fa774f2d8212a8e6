// Keeps pasta alive, which joins the namespace to the outside. It is started by the outer half, as it needs the host's network.
#define _GNU_SOURCE
#include "forwarder.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A host without a network makes pasta end at once; it is tried again more and more rarely.
#define FIRST_RETRY_MS 1000
#define LAST_RETRY_MS 15000
#define HEALTHY_MS 30000

static char **arguments;
static struct source process = {.fd = -1};
static pid_t pid;
static unsigned exits;
static int64_t started_at, retry_at, retry_delay = FIRST_RETRY_MS;

pid_t uplink_pid(void) { return pid; }
unsigned uplink_exits(void) { return exits; }
bool uplink_waiting(void) { return arguments != NULL && pid == 0; }

static void plan_retry(void) {
  exits++;
  int64_t now = now_ms();
  if (now - started_at > HEALTHY_MS) retry_delay = FIRST_RETRY_MS;
  retry_at = now + retry_delay;
  retry_delay = retry_delay * 2 > LAST_RETRY_MS ? LAST_RETRY_MS : retry_delay * 2;
}

static void on_exit_of_pasta(struct source *source, uint32_t events) {
  (void)events;
  loop_close(source);
  waitpid(pid, NULL, 0);
  pid = 0;
  plan_retry();
}

static void spawn(void) {
  started_at = now_ms();
  pid = fork();
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    execvp(arguments[0], arguments);
    fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
  }
  if (pid < 0) {
    pid = 0;
    plan_retry();
    return;
  }
  process.fd = (int)syscall(SYS_pidfd_open, pid, 0);
  process.handle = on_exit_of_pasta;
  if (process.fd < 0 || inner_guard(process.fd) != 0 || loop_add(&process, EPOLLIN) != 0) uplink_stop();
}

void uplink_start(char **argv, pid_t inner) {
  size_t count = 0;
  while (argv[count] != NULL) count++;
  if (count == 0) return;
  static char inner_text[16];
  snprintf(inner_text, sizeof inner_text, "%d", (int)inner);
  arguments = calloc(count + 2, sizeof *arguments);
  if (arguments == NULL) return;
  memcpy(arguments, argv, count * sizeof *arguments);
  arguments[count] = inner_text;
  spawn();
}

void uplink_tick(int64_t now) {
  if (uplink_waiting() && now >= retry_at) spawn();
}

void uplink_stop(void) {
  if (pid == 0) return;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  pid = 0;
  loop_close(&process);
  plan_retry();
}
