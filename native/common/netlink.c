#include "common/netlink.h"

#include "common/errors.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The kernel sends at most 32 KiB at once (netlink_recvmsg in net/netlink/af_netlink.c).
#define MOST_BYTES 32768

void *netlink_begin(struct netlink_request *request, int type, int flags, size_t body_size) {
  memset(request, 0, sizeof *request);
  request->header.nlmsg_type = (unsigned short)type;
  request->header.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
  request->header.nlmsg_len = (unsigned)NLMSG_LENGTH(body_size);
  return request->rest;
}

void netlink_add(struct netlink_request *request, unsigned short type, const void *value, size_t length) {
  struct rtattr *attribute = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(length);
  memcpy(RTA_DATA(attribute), value, length);
  request->header.nlmsg_len = (unsigned)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

int netlink_open(int protocol) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol); }

static bool send_request(int fd, struct netlink_request *request) {
  static unsigned number;
  request->header.nlmsg_seq = ++number;
  return send(fd, request, request->header.nlmsg_len, 0) == (ssize_t)request->header.nlmsg_len;
}

static int error_of(const struct nlmsghdr *message) { return -((const struct nlmsgerr *)NLMSG_DATA(message))->error; }

static int apply(int fd, struct netlink_request *request) {
  _Alignas(struct nlmsghdr) char answer[4096];
  request->header.nlmsg_flags |= NLM_F_ACK;
  if (!send_request(fd, request)) return -1;
  for (;;) {
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n < 0) return -1;
    const struct nlmsghdr *message = (const struct nlmsghdr *)answer;
    if (!NLMSG_OK(message, (size_t)n) || message->nlmsg_seq != request->header.nlmsg_seq || message->nlmsg_type != NLMSG_ERROR) continue;
    errno = error_of(message);
    return errno == 0 ? 0 : -1;
  }
}

int netlink_apply(int fd, struct netlink_request *request) {
  if (fd >= 0) return apply(fd, request);
  fd = netlink_open(NETLINK_ROUTE);
  if (fd < 0) return -1;
  int result = apply(fd, request);
  KEEPING_ERRNO(close(fd));
  return result;
}

const struct nlmsghdr *netlink_ask(int fd, struct netlink_request *request, void *answer, size_t size) {
  if (fd < 0 || !send_request(fd, request)) return NULL;
  for (;;) {
    // The kernel answers within send(2).
    ssize_t n = recv(fd, answer, size, MSG_DONTWAIT);
    if (n < (ssize_t)sizeof(struct nlmsghdr)) return NULL;
    const struct nlmsghdr *message = answer;
    if (message->nlmsg_seq != request->header.nlmsg_seq) continue;
    return NLMSG_OK(message, (size_t)n) ? message : NULL;
  }
}

int netlink_list(int fd, struct netlink_request *request, netlink_take *take, void *context) {
  _Alignas(struct nlmsghdr) char answer[MOST_BYTES];
  request->header.nlmsg_flags |= NLM_F_DUMP;
  if (!send_request(fd, request)) return -1;
  for (;;) {
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n < 0) return -1;
    size_t left = (size_t)n;
    for (const struct nlmsghdr *message = (const struct nlmsghdr *)answer; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return 0;
      if (message->nlmsg_type == NLMSG_ERROR) {
        errno = error_of(message);
        return -1;
      }
      take(context, message);
    }
  }
}

int netlink_listen(int protocol, unsigned groups) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

bool netlink_hear(int fd, netlink_take *take, void *context) {
  _Alignas(struct nlmsghdr) char messages[MOST_BYTES];
  for (bool missed = false;;) {
    ssize_t n = recv(fd, messages, sizeof messages, MSG_DONTWAIT);
    if (n < 0 && errno == ENOBUFS) missed = true;
    else if (n <= 0) return missed;
    size_t left = n > 0 ? (size_t)n : 0;
    for (const struct nlmsghdr *message = (const struct nlmsghdr *)messages; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
      take(context, message);
  }
}
