#include "supervise.h"
#include "agent.h"
#include "child.h"
#include "power.h"
#include "service.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BACK_OFF_FIRST_MS 1000
#define BACK_OFF_MOST_MS 30000
#define STEADY_MS 60000  // a service that ran this long starts again with the first back-off
#define TERM_GRACE_MS 5000
#define KILL_GRACE_MS 2000

static char record[SERVICE_MAX_BYTES];
static struct service service;

struct supervised {
  pid_t pid;  // 0: not running
  int64_t started_ms, due_ms;
  int back_off_ms;
  bool is_wanted;
};

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  dprintf(2, "banger-init: ");
  vdprintf(2, format, arguments);
  dprintf(2, "\n");
  va_end(arguments);
}

static bool read_service(void) {
  int fd = open(SERVICE_PATH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  size_t length = 0;
  for (ssize_t n; fd >= 0 && (n = read(fd, record + length, sizeof record - length)) > 0;) length += (size_t)n;
  if (fd >= 0) close(fd);
  return fd >= 0 && service_decode(record, length, &service);
}

static bool is_number(const char *text, unsigned long *number) {
  char *end;
  *number = strtoul(text, &end, 10);
  return *text && !*end;
}

// "name", "uid", either with ":group" or ":gid", as in OCI's image-spec, config.md: a named group replaces all groups of the user. Root
// needs no entry in a list of users.
static bool become_user(char *text, const char **home) {
  char *group = strchr(text, ':');
  if (group) *group++ = 0;
  unsigned long uid, number;
  bool has_uid = is_number(text, &uid);
  if (!*text || (!has_uid && strcmp(text, "root") == 0)) has_uid = true, uid = 0;
  struct passwd *user = has_uid ? getpwuid((uid_t)uid) : getpwnam(text);
  if (!user && !has_uid) return false;
  gid_t gid = user ? user->pw_gid : 0;
  if (user) uid = user->pw_uid;
  *home = user ? user->pw_dir : uid == 0 ? "/root" : "/";
  if (group && *group) {
    bool has_gid = is_number(group, &number);
    struct group *found = has_gid ? NULL : getgrnam(group);
    if (!has_gid && !found) return false;
    gid = has_gid ? (gid_t)number : found->gr_gid;
  } else group = NULL;
  int error = user && !group ? initgroups(user->pw_name, gid) : setgroups(1, &gid);
  return error == 0 && setgid(gid) == 0 && setuid((uid_t)uid) == 0;
}

static bool has_variable(const char *name) {
  size_t n = strlen(name);
  for (char **at = service.environment; *at; at++)
    if (strncmp(*at, name, n) == 0 && (*at)[n] == '=') return true;
  return false;
}

static void add_variable(char *text) {
  char **at = service.environment;
  while (*at) at++;
  *at = text;
}

static void __attribute__((noreturn)) run_service(void) {
  static char home_variable[300];
  const char *home = "/root";
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  child_become_ordinary();
  setsid();
  if (null >= 0) dup2(null, 0);
  if (service.user && !become_user(service.user, &home)) {
    say("%s: no such user", service.user);
    _exit(126);
  }
  const char *directory = service.directory ? service.directory : "/";
  if (chdir(directory) != 0) {
    say("%s: %s", directory, strerror(errno));
    _exit(126);
  }
  snprintf(home_variable, sizeof home_variable, "HOME=%s", home);
  if (!has_variable("HOME")) add_variable(home_variable);
  if (!has_variable("PATH")) add_variable("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  struct child_plan plan = {.argv = service.argv, .environment = service.environment};
  int error = child_execute(&plan);
  say("%s: %s", service.argv[0], strerror(error));
  _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

static void start(struct supervised *s) {
  pid_t pid = fork();
  if (pid == 0) run_service();
  s->started_ms = monotonic_ms();
  s->pid = pid > 0 ? pid : 0;
  s->due_ms = s->started_ms + s->back_off_ms;
}

// A service that ends well is done; one that fails is started again, at growing intervals.
static void note_end(struct supervised *s, int status) {
  int64_t now = monotonic_ms();
  s->pid = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    s->is_wanted = false;
    say("%s ended", service.argv[0]);
    return;
  }
  if (now - s->started_ms >= STEADY_MS) s->back_off_ms = BACK_OFF_FIRST_MS;
  if (WIFEXITED(status)) say("%s ended with status %d; again in %d s", service.argv[0], WEXITSTATUS(status), s->back_off_ms / 1000);
  else say("%s was ended by signal %d; again in %d s", service.argv[0], WTERMSIG(status), s->back_off_ms / 1000);
  s->due_ms = now + s->back_off_ms;
  s->back_off_ms = s->back_off_ms * 2 < BACK_OFF_MOST_MS ? s->back_off_ms * 2 : BACK_OFF_MOST_MS;
}

// A process that loses its parent becomes a child of pid 1.
static bool all_gone_within(int limit_ms) {
  int64_t until_ms = monotonic_ms() + limit_ms;
  for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) >= 0;) {
    if (monotonic_ms() >= until_ms) return false;
    if (pid == 0) sleep_ms(10);
  }
  return true;
}

// Only the service at first: on its signal, it may wait for its children.
static void end_service(pid_t service_pid) {
  int64_t until_ms = monotonic_ms() + TERM_GRACE_MS;
  if (service_pid == 0 || kill(service_pid, service.stop_signal) != 0) return;
  for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) != service_pid && monotonic_ms() < until_ms;) {
    if (pid < 0) return;
    if (pid == 0) sleep_ms(10);
  }
}

static void __attribute__((noreturn)) end_machine(pid_t service_pid, bool reboot_after) {
  end_service(service_pid);
  kill(-1, SIGTERM);
  kill(-1, SIGCONT);
  if (!all_gone_within(TERM_GRACE_MS)) {
    kill(-1, SIGKILL);
    all_gone_within(KILL_GRACE_MS);
  }
  sync();
  // Like the kernel's emergency remount: open files cannot keep a file system from becoming clean.
  mount(NULL, "/root", NULL, MS_REMOUNT | MS_RDONLY, NULL);
  mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
  power_end(reboot_after);
  for (;;) pause();
}

static struct timespec until_due(const struct supervised *s) {
  int64_t left_ms = s->is_wanted && !s->pid ? s->due_ms - monotonic_ms() : 3600 * 1000;
  if (left_ms < 0) left_ms = 0;
  return (struct timespec){.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
}

void supervise_main(void) {
  struct supervised s = {.back_off_ms = BACK_OFF_FIRST_MS, .is_wanted = read_service()};
  static const int watched[] = {SIGCHLD, SIGINT, SUPERVISE_POWEROFF_SIGNAL, SUPERVISE_REBOOT_SIGNAL};
  sigset_t signals;
  sigemptyset(&signals);
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) sigaddset(&signals, watched[i]);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  // Ctrl-Alt-Del then arrives as SIGINT, instead of an immediate reset.
  reboot(RB_DISABLE_CAD);
  for (;;) {
    int status;
    if (s.is_wanted && !s.pid && monotonic_ms() >= s.due_ms) start(&s);
    struct timespec limit = until_due(&s);
    int got = sigtimedwait(&signals, NULL, &limit);
    if (got == SUPERVISE_REBOOT_SIGNAL) end_machine(s.pid, true);
    if (got == SUPERVISE_POWEROFF_SIGNAL || got == SIGINT) end_machine(s.pid, false);
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == s.pid) note_end(&s, status);
  }
}
