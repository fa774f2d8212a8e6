#define _GNU_SOURCE
#include "watch.h"

#include "nft.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

static int rules = -1, routes = -1;

static int watch_routes(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int watch_start(void) {
  if (rules < 0) rules = nft_watch();
  if (rules >= 0 && routes < 0) routes = watch_routes();
  return rules >= 0 && routes >= 0 ? 0 : -1;
}

void watch_stop(void) {
  if (rules >= 0) close(rules);
  if (routes >= 0) close(routes);
  rules = routes = -1;
}

int watch_poll(struct pollfd fds[WATCH_FDS]) {
  if (rules < 0 || routes < 0) return 0;
  fds[0] = (struct pollfd){.fd = rules, .events = POLLIN};
  fds[1] = (struct pollfd){.fd = routes, .events = POLLIN};
  return 2;
}

static bool has_default_route(const void *messages, size_t length) {
  for (const struct nlmsghdr *header = messages; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
    bool is_route = header->nlmsg_type == RTM_NEWROUTE || header->nlmsg_type == RTM_DELROUTE;
    if (is_route && ((const struct rtmsg *)NLMSG_DATA(header))->rtm_dst_len == 0) return true;
  }
  return false;
}

bool watch_changed(void) {
  _Alignas(struct nlmsghdr) char messages[8192];
  if (rules < 0 || routes < 0) return false;
  bool changed = nft_changed_by_others(rules);
  for (;;) {
    ssize_t n = recv(routes, messages, sizeof messages, MSG_DONTWAIT);
    if (n < 0 && errno != ENOBUFS) return changed;
    // Which route it was does not matter: all of them are read again.
    changed |= n < 0 || has_default_route(messages, (size_t)n);
  }
}
