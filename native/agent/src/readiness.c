#include "readiness.h"
#include "agent.h"
#include "standing.h"
#include "systemd.h"
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define RUN "/run"
#define SYSTEMD_RUN "/run/systemd"
/** Only the beginnings of long words are examined: enough for a command line, and little of a long script. */
#define LOOKED_AT_BYTES 65536

static bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool has_name(const char *text, const char *name) {
  size_t n = strlen(name);
  for (const char *at = text; at - text < LOOKED_AT_BYTES && (at = strstr(at, name)); at += n)
    if ((at == text || !is_name_character(at[-1])) && !is_name_character(at[n])) return true;
  return false;
}

bool readiness_asks_systemd(char *const *argv) {
  static const char *const names[] = {"systemctl",   "service",   "loginctl", "hostnamectl", "timedatectl", "localectl", "busctl",
                                      "systemd-run", "networkctl", "resolvectl", "machinectl", "systemd-analyze", NULL};
  for (char *const *word = argv; *word; word++)
    for (const char *const *name = names; *name; name++)
      if (has_name(*word, *name)) return true;
  return false;
}

/** Its process name changes late; the link of its executable changes at once. */
static bool is_coming(void) {
  char init[PATH_MAX], target[PATH_MAX];
  if (access(NO_INIT_PATH, F_OK) == 0) return false;
  standing_option("banger.init=", "/sbin/init", init, sizeof init);
  if (access("/run/systemd/system", F_OK) == 0) return true;
  return realpath(init, target) && strcmp(strrchr(target, '/'), "/systemd") == 0;
}

void readiness_await_systemd(int limit_ms) {
  char events[4096];
  if (access(SYSTEMD_SOCKET, F_OK) == 0 || !agent_shared->personalized || !is_coming()) return;
  int64_t until = monotonic_ms() + limit_ms, left;
  struct pollfd p = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
  if (p.fd < 0) return;
  inotify_add_watch(p.fd, RUN, IN_CREATE | IN_MOVED_TO);
  for (;;) {
    inotify_add_watch(p.fd, SYSTEMD_RUN, IN_CREATE | IN_MOVED_TO);
    // Check again after the watch is set, so that nothing is missed in between.
    if (access(SYSTEMD_SOCKET, F_OK) == 0 || (left = until - monotonic_ms()) <= 0 || poll(&p, 1, (int)left) <= 0) break;
    while (read(p.fd, events, sizeof events) > 0) continue;
  }
  close(p.fd);
}
