#include "child.h"
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct descriptors {
  int child_in, child_out, child_err;     // become 0, 1, 2
  int parent_in, parent_out, parent_err;  // the agent's ends
};

static int make_pipe(int *read_end, int *write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  *read_end = ends[0];
  *write_end = ends[1];
  return 0;
}

static bool open_pty(struct descriptors *d, const struct child_plan *plan) {
  int unlock = 0, number;
  d->parent_out = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (d->parent_out < 0 || ioctl(d->parent_out, TIOCSPTLCK, &unlock) != 0) return false;
  if (ioctl(d->parent_out, TIOCGPTN, &number) != 0) return false;
  char name[32];
  snprintf(name, sizeof name, "/dev/pts/%d", number);
  d->child_in = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (d->child_in < 0) return false;
  struct winsize size = {.ws_row = plan->rows, .ws_col = plan->columns};
  ioctl(d->child_in, TIOCSWINSZ, &size);
  if (plan->user && fchown(d->child_in, plan->uid, (gid_t)-1) == 0) fchmod(d->child_in, 0620);
  d->parent_in = fcntl(d->parent_out, F_DUPFD_CLOEXEC, 0);
  d->child_out = fcntl(d->child_in, F_DUPFD_CLOEXEC, 0);
  d->child_err = fcntl(d->child_in, F_DUPFD_CLOEXEC, 0);
  return d->parent_in >= 0 && d->child_out >= 0 && d->child_err >= 0;
}

static bool open_descriptors(struct descriptors *d, const struct child_plan *plan) {
  if (plan->is_tty) return open_pty(d, plan);
  if (make_pipe(&d->child_in, &d->parent_in) != 0 || make_pipe(&d->parent_out, &d->child_out) != 0) return false;
  if (plan->has_stderr) return make_pipe(&d->parent_err, &d->child_err) == 0;
  d->child_err = fcntl(d->child_out, F_DUPFD_CLOEXEC, 0);
  return d->child_err >= 0;
}

static void close_descriptors(struct descriptors *d, bool child_side, bool parent_side) {
  int *child[] = {&d->child_in, &d->child_out, &d->child_err};
  int *parent[] = {&d->parent_in, &d->parent_out, &d->parent_err};
  for (int i = 0; i < 3; i++) {
    if (child_side && *child[i] >= 0) close(*child[i]);
    if (parent_side && *parent[i] >= 0) close(*parent[i]);
  }
}

void child_become_ordinary(void) {
  sigset_t none;
  sigemptyset(&none);
  for (int n = 1; n < 65; n++) signal(n, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setpriority(PRIO_PROCESS, 0, 0);
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "0", 1) < 0) errno = 0;
    close(fd);
  }
  umask(022);
}

static const char *path_of(char **environment) {
  for (; *environment; environment++)
    if (strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// Like every shell, runs a script without "#!" with the shell.
static void execute(const char *file, const struct child_plan *plan) {
  execve(file, plan->argv, plan->environment);
  if (errno != ENOEXEC) return;
  size_t n = 0;
  while (plan->argv[n]) n++;
  char **argv = calloc(n + 2, sizeof *argv);
  if (!argv) return;
  argv[0] = "/bin/sh";
  argv[1] = (char *)file;
  for (size_t i = 1; i < n; i++) argv[i + 1] = plan->argv[i];
  execve("/bin/sh", argv, plan->environment);
}

int child_execute(const struct child_plan *plan) {
  const char *name = plan->argv[0];
  int worst = ENOENT;
  if (strchr(name, '/')) {
    execute(name, plan);
    return errno;
  }
  for (const char *at = path_of(plan->environment); *name; at++) {
    char file[4096];
    size_t length = strcspn(at, ":");
    int n = snprintf(file, sizeof file, "%.*s/%s", length ? (int)length : 1, length ? at : ".", name);
    if (n > 0 && (size_t)n < sizeof file) {
      execute(file, plan);
      if (errno != ENOENT && errno != ENOTDIR) worst = errno;
    }
    at += length;
    if (*at == 0) break;
  }
  return worst;
}

static void say_fault(int fault_fd, const char *what, int error) {
  char text[256];
  int n = snprintf(text, sizeof text, "%.180s: %s", what, strerror(error));
  if (n > 0 && write(fault_fd, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0) _exit(127);
}

static void child_main(const struct descriptors *d, const struct child_plan *plan, int fault_fd) {
  child_become_ordinary();
  setsid();
  if (plan->is_tty) ioctl(d->child_in, TIOCSCTTY, 0);
  if (dup2(d->child_in, 0) < 0 || dup2(d->child_out, 1) < 0 || dup2(d->child_err, 2) < 0) _exit(126);
  if (plan->user && (initgroups(plan->user, plan->gid) != 0 || setgid(plan->gid) != 0 || setuid(plan->uid) != 0)) {
    say_fault(fault_fd, plan->user, errno);
    _exit(126);
  }
  if (chdir(plan->directory) != 0) {
    say_fault(fault_fd, plan->directory, errno);
    _exit(126);
  }
  int error = child_execute(plan);
  say_fault(fault_fd, plan->argv[0], error);
  _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

static void make_nonblocking(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

bool child_start(struct session *s, const struct child_plan *plan) {
  struct descriptors d = {-1, -1, -1, -1, -1, -1};
  int fault_read = -1, fault_write = -1;
  pid_t pid = -1;
  if (open_descriptors(&d, plan) && make_pipe(&fault_read, &fault_write) == 0) pid = fork();
  if (pid == 0) child_main(&d, plan, fault_write);
  int error = errno;
  close_descriptors(&d, true, pid < 0);
  if (fault_write >= 0) close(fault_write);
  if (pid < 0) {
    if (fault_read >= 0) close(fault_read);
    errno = error;
    return false;
  }
  make_nonblocking(d.parent_in);
  make_nonblocking(d.parent_out);
  make_nonblocking(d.parent_err);
  make_nonblocking(fault_read);
  s->pid = pid;
  s->is_tty = plan->is_tty;
  s->in_fd = d.parent_in;
  s->out_fd = d.parent_out;
  s->err_fd = d.parent_err;
  s->fault_fd = fault_read;
  return true;
}

int child_signal_fd(void) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  return signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool child_reaped(pid_t pid, int *status) {
  int raw;
  pid_t found = waitpid(pid, &raw, WNOHANG);
  if (found == 0 || (found < 0 && errno == EINTR)) return false;
  *status = found < 0 ? 255 : WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return true;
}

static bool reaped_within(pid_t pid, int signal_fd, int limit_ms, int *status) {
  int64_t until = monotonic_ms() + limit_ms;
  for (;;) {
    if (child_reaped(pid, status)) return true;
    int64_t left = until - monotonic_ms();
    if (left <= 0) return false;
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    poll(&p, 1, left < 100 ? (int)left : 100);
    struct signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof info) < 0) continue;
  }
}

int child_end(pid_t pid, int signal_fd, int grace_ms) {
  int status = 255;
  if (kill(-pid, SIGHUP) != 0) kill(pid, SIGHUP);  // it may not have become a group leader yet
  kill(-pid, SIGCONT);
  if (reaped_within(pid, signal_fd, grace_ms, &status)) return status;
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);
  // A child in an uninterruptible sleep must not block the channel.
  if (!reaped_within(pid, signal_fd, 2000, &status)) status = 128 + SIGKILL;
  return status;
}

void child_fault(int fault_fd, char *reason, size_t capacity) {
  ssize_t n = read(fault_fd, reason, capacity - 1);
  reason[n > 0 ? n : 0] = 0;
}

int child_run(char *const *argv, int limit_ms) {
  static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  int status = -1;
  int64_t until = monotonic_ms() + limit_ms;
  pid_t pid = fork();
  if (pid == 0) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    child_become_ordinary();
    setsid();
    if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(126);
    execve(argv[0], argv, environment);
    _exit(127);
  }
  if (pid < 0) return -1;
  while (!child_reaped(pid, &status)) {
    if (monotonic_ms() >= until) kill(-pid, SIGKILL);
    sleep_ms(5);
  }
  return status;
}
