#include "agent.h"
#include "child.h"
#include "handlers.h"
#include "login.h"
#include "standing.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_LIMIT_MS 8000  // the host waits 10 s for a reply
#define REFUSAL_GRACE_MS 2000

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static bool parse_port(const char *text, uint16_t *port) {
  size_t n = strspn(text, "0123456789");
  if (n == 0 || n > 5 || text[n]) return false;
  int value = atoi(text);
  *port = htons((uint16_t)value);
  return value > 0 && value < 65536;
}

// "127.0.0.1:80", "[::1]:80" or "localhost:80": names would need the guest's resolver, which may hang.
static bool parse_target(const char *target, union address *a, socklen_t *length) {
  char host[64];
  const char *colon = strrchr(target, ':');
  if (!colon || colon == target || (size_t)(colon - target) >= sizeof host) return false;
  memset(a, 0, sizeof *a);
  size_t n = (size_t)(colon - target);
  memcpy(host, target, n);
  host[n] = 0;
  if (host[0] == '[' && host[n - 1] == ']') {
    host[n - 1] = 0;
    a->v6.sin6_family = AF_INET6;
    *length = sizeof a->v6;
    return inet_pton(AF_INET6, host + 1, &a->v6.sin6_addr) == 1 && parse_port(colon + 1, &a->v6.sin6_port);
  }
  a->v4.sin_family = AF_INET;
  *length = sizeof a->v4;
  const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
  return inet_pton(AF_INET, numeric, &a->v4.sin_addr) == 1 && parse_port(colon + 1, &a->v4.sin_port);
}

// Returns as soon as the host hangs up: the next host must not wait for a target that does not answer.
static int await_connected(struct channel *c, int fd, int limit_ms) {
  struct pollfd p[2] = {{.fd = fd, .events = POLLOUT}, {.fd = c->fd}};
  int error = 0;
  socklen_t size = sizeof error;
  if (poll(p, 2, limit_ms) <= 0) return ETIMEDOUT;
  if (p[1].revents) {
    c->gone = true;
    return ECONNABORTED;
  }
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static int connect_within(struct channel *c, const union address *a, socklen_t length, int limit_ms) {
  int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int error = connect(fd, &a->any, length) == 0 ? 0 : errno;
  if (error == EINPROGRESS) error = await_connected(c, fd, limit_ms);
  if (error == 0) return fd;
  close(fd);
  errno = error;
  return -1;
}

static void connect_tcp(struct channel *c, const char *target) {
  union address address;
  socklen_t length;
  if (!parse_target(target, &address, &length)) {
    reply_error(c, 400, "CONNECT needs ADDRESS:PORT or ssh", 0);
    return;
  }
  int fd = connect_within(c, &address, length, CONNECT_LIMIT_MS), one = 1;
  if (fd < 0) {
    reply_error(c, 502, strerror(errno), errno);
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct session session;
  session_init(&session, c);
  session.out_fd = fd;
  session.in_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  reply_switch(c, 200);
  session_run(&session);
}

// sshd executes itself again and therefore needs an absolute argv[0]. PAM is left out because pam_nologin and pam_systemd would refuse or
// delay logins while the image is still booting.
static bool start_sshd(struct session *session, const char *config) {
  static char *argv[] = {SSHD_PATH, "-i", "-e", "-o", "HostKey=" LOGIN_HOST_KEY_PATH,
                         "-o", "PermitRootLogin=prohibit-password", "-o", "PasswordAuthentication=no",
                         "-o", "KbdInteractiveAuthentication=no", "-o", "UseDNS=no", "-o", "UsePAM=no",
                         "-o", "LogLevel=ERROR", NULL, NULL, NULL};
  const size_t own_count = sizeof argv / sizeof *argv - 3;
  static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  argv[own_count] = config ? "-f" : NULL;
  argv[own_count + 1] = (char *)config;
  struct child_plan plan = {
    .argv = argv, .environment = (char **)environment, .directory = "/", .has_stderr = true};
  return child_start(session, &plan);
}

/** Whether it sent its greeting, which it does before it reads; one that ends before has refused its configuration. */
static bool greets(struct session *session) {
  struct pollfd p[2] = {{.fd = session->out_fd, .events = POLLIN}, {.fd = session->channel->fd}};
  while (poll(p, 2, -1) < 0) continue;
  return p[1].revents || (p[0].revents & POLLIN);
}

/** Ends a sshd without a greeting, and passes on its error message. */
static void end_refusal(struct session *session) {
  uint8_t complaint[2048];
  struct channel *c = session->channel;
  int child_fd = child_signal_fd();
  child_end(session->pid, child_fd, REFUSAL_GRACE_MS);
  ssize_t n = read(session->err_fd, complaint, sizeof complaint);
  if (n > 0) frame_put(&c->out, FRAME_STDERR, complaint, (size_t)n);
  for (int *const *fd = (int *const[]){&session->in_fd, &session->out_fd, &session->err_fd, &session->fault_fd, &child_fd, NULL}; *fd; fd++)
    if (**fd >= 0) close(**fd);
  buffer_free(&session->to_child);
  session_init(session, c);
}

static void connect_ssh(struct channel *c) {
  if (!image_is_running()) {
    reply_error(c, 503, "the image's init has not started yet", 0);
    return;
  }
  if (access(SSHD_PATH, X_OK) != 0) {
    reply_errno(c, SSHD_PATH, errno);
    return;
  }
  mkdir("/run/sshd", 0755);
  struct session session;
  session_init(&session, c);
  if (!start_sshd(&session, login_prepare())) {
    reply_errno(c, SSHD_PATH, errno);
    return;
  }
  // The host does not wait for a slow greeting.
  if (reply_switch(c, 200) && channel_flush(c) && !greets(&session)) {
    end_refusal(&session);
    if (!start_sshd(&session, login_plain_config())) {
      session_fail(c, 126, strerror(errno));
      return;
    }
  }
  session_run(&session);
}

void handle_connect(struct channel *c, struct request *request) {
  if (strcmp(request->http.target, "ssh") == 0) connect_ssh(c);
  else connect_tcp(c, request->http.target);
}
