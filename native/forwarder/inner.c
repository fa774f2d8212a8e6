// The half inside the namespace: makes sockets and TAPs for the outer half, over a SEQPACKET pair. It ends with the outer half.
#include "forwarder.h"
#include "common/links.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MESSAGE_BYTES 32768

// --- inside ---

static const char *enter_new_namespace(void) {
  char uid_map[64], gid_map[64];
  snprintf(uid_map, sizeof uid_map, "0 %u 1\n", (unsigned)geteuid());
  snprintf(gid_map, sizeof gid_map, "0 %u 1\n", (unsigned)getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return "cannot make a user and network namespace";
  if (write_setting("/proc/self/setgroups", "deny") != 0) return "cannot write /proc/self/setgroups";
  if (write_setting("/proc/self/uid_map", uid_map) != 0) return "cannot write /proc/self/uid_map";
  if (write_setting("/proc/self/gid_map", gid_map) != 0) return "cannot write /proc/self/gid_map";
  return NULL;
}

static ssize_t send_with_fd(int channel, const char *text, size_t length, int fd) {
  struct iovec part = {.iov_base = (void *)text, .iov_len = length};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t n;
  do n = sendmsg(channel, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n;
}

// Returns the length, 0 at the end; *fd is the descriptor that came with it, or -1.
static ssize_t receive_with_fd(int channel, char *text, size_t size, int *fd) {
  struct iovec part = {.iov_base = text, .iov_len = size - 1};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t n;
  do n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  *fd = -1;
  if (n < 0) return -1;
  text[n] = '\0';
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(header), sizeof *fd);
  return n;
}

static int list_taps(char *reply, size_t size) {
  struct if_nameindex *names = if_nameindex();
  if (names == NULL) return -1;
  size_t used = 0;
  for (struct if_nameindex *n = names; n->if_index != 0; n++) {
    if (!tap_name_valid(n->if_name) || used + 32 > size) continue;
    used += (size_t)snprintf(reply + used, size - used, "tap %s\n", n->if_name);
  }
  if_freenameindex(names);
  return 0;
}

static int command(const char *line, char *reply, size_t size) {
  reply[0] = '\0';
  if (strcmp(line, "tap list") == 0) return list_taps(reply, size);
  bool add = strncmp(line, "tap add ", 8) == 0;
  const char *name = add ? line + 8 : strncmp(line, "tap delete ", 11) == 0 ? line + 11 : "";
  if (!tap_name_valid(name)) {
    errno = EINVAL;
    return -1;
  }
  return add ? tap_add(name) : link_delete(name);
}

static int make_socket(int type) { return socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

static int make_descriptor(const char *request, int uplink) {
  if (request[0] == 'u') return uplink;
  if (request[0] == 'l') return outbound_listener();
  return make_socket(request[1] == 'd' ? SOCK_DGRAM : SOCK_STREAM);
}

static void serve(int channel, int uplink) {
  static char text[MESSAGE_BYTES], reply[MESSAGE_BYTES];
  int fd;
  for (;;) {
    ssize_t n = receive_with_fd(channel, text, sizeof text, &fd);
    if (n <= 0) break;
    if (fd >= 0) close(fd);
    int made = -1, error = 0;
    reply[sizeof(int)] = '\0';
    if (text[0] == 'c') {
      if (command(text + 1, reply + sizeof(int), sizeof reply - sizeof(int)) != 0) error = errno;
    } else {
      made = make_descriptor(text, uplink);
      if (made < 0) error = errno;
    }
    memcpy(reply, &error, sizeof error);
    ssize_t sent = send_with_fd(channel, reply, sizeof(int) + strlen(reply + sizeof(int)) + 1, made);
    if (made >= 0) close(made);
    if (sent < 0) break;
  }
}

_Noreturn void inner_main(int channel, const struct bridge_settings *bridge) {
  prctl(PR_SET_NAME, "bgr-net-inner");
  // The terminal and the daemon's signals concern the outer half; the end of the channel ends this one.
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  char problem[256] = "ok";
  const char *step = enter_new_namespace();
  if (step == NULL && links_setup(bridge) != 0) step = "cannot set up the bridge";
  int uplink = step == NULL ? uplink_setup() : -1;
  if (step == NULL && uplink < 0) step = "cannot set up the uplink";
  if (step != NULL) snprintf(problem, sizeof problem, "%s: %s", step, strerror(errno));
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (send(channel, problem, strlen(problem) + 1, MSG_NOSIGNAL) > 0 && step == NULL) serve(channel, uplink);
  _exit(step == NULL ? 0 : 1);
}

int inner_probe(const struct bridge_settings *bridge, char **argv) {
  const char *step = enter_new_namespace();
  int status = 100;
  if (step == NULL && links_setup(bridge) != 0) {
    step = "cannot make a bridge";
    status = 101;
  }
  if (step == NULL && (tap_add("bgr-00000000") != 0 || uplink_setup() < 0)) {
    step = "cannot make a TAP and a TUN device from /dev/net/tun";
    status = 102;
  }
  if (step == NULL) {
    execvp(argv[0], argv);
    step = argv[0];
    status = errno == ENOENT ? 127 : 126;
  }
  fprintf(stderr, "%s: %s\n", step, strerror(errno));
  return status;
}

// --- asked from outside ---

// Stays so if there is no inner half: guests are then reached from here.
static int outer_channel = -1;

void inner_attach_channel(int channel) {
  outer_channel = channel;
  // The inner half answers in microseconds; if it hangs, this process must not.
  struct timeval limit = {.tv_sec = 5};
  setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static int ask(const char *request, char *reply, size_t size, int *fd) {
  static char answer[MESSAGE_BYTES];
  *fd = -1;
  if (send_with_fd(outer_channel, request, strlen(request), -1) < 0) return -1;
  ssize_t n = receive_with_fd(outer_channel, answer, sizeof answer, fd);
  if (n < (ssize_t)sizeof(int)) {
    // Without a reply the two halves are out of step: end, so that both are started again.
    loop_stop();
    errno = EPIPE;
    return -1;
  }
  int error;
  memcpy(&error, answer, sizeof error);
  if (reply != NULL) snprintf(reply, size, "%s", answer + sizeof(int));
  errno = error;
  return error == 0 ? 0 : -1;
}

static int ask_for_descriptor(const char *request) {
  int fd;
  if (ask(request, NULL, 0, &fd) != 0) return -1;
  // The reply came without its descriptor: this process has none left.
  if (fd < 0) errno = EMFILE;
  return fd;
}

int inner_socket(int type) {
  if (outer_channel < 0) return make_socket(type);
  return ask_for_descriptor(type == SOCK_DGRAM ? "sd" : "ss");
}

int inner_uplink(void) { return ask_for_descriptor("u"); }
int inner_listener(void) { return ask_for_descriptor("l"); }

int inner_command(const char *line, char *reply, size_t reply_size) {
  char request[512];
  int fd;
  if (outer_channel < 0) {
    errno = ENODEV;
    return -1;
  }
  snprintf(request, sizeof request, "c%s", line);
  return ask(request, reply, reply_size, &fd);
}
