#include "watch.h"

#include "nft.h"

#include "common/links.h"
#include "common/constants.h"
#include "common/errors.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int rules = -1, routes = -1, links = -1;
// What happened while nobody watched is not told.
static bool missed;

static int watch_group(unsigned group) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = group};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

int watch_start(void) {
  if (rules < 0) rules = nft_watch();
  if (rules >= 0 && routes < 0) routes = watch_group(RTMGRP_IPV4_ROUTE);
  if (routes >= 0 && links < 0) {
    links = watch_group(RTMGRP_LINK);
    missed = true;
  }
  return rules >= 0 && routes >= 0 && links >= 0 ? 0 : -1;
}

void watch_stop(void) {
  if (rules >= 0) close(rules);
  if (routes >= 0) close(routes);
  if (links >= 0) close(links);
  rules = routes = links = -1;
}

int watch_poll(struct pollfd fds[WATCH_FDS]) {
  if (rules < 0 || routes < 0 || links < 0) return 0;
  fds[0] = (struct pollfd){.fd = rules, .events = POLLIN};
  fds[1] = (struct pollfd){.fd = routes, .events = POLLIN};
  fds[2] = (struct pollfd){.fd = links, .events = POLLIN};
  return 3;
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

// --- addresses of TAPs ---

static bool is_of_guests(const unsigned char mac[6]) {
  static const unsigned char prefix[] = {MAC_PREFIX_BYTES};
  return memcmp(mac, prefix, sizeof prefix) == 0;
}

// Only what is said of a TAP: other kinds of links are made by root alone.
static void look_at(const struct nlmsghdr *header, void (*found)(const char *id)) {
  const struct ifinfomsg *link = NLMSG_DATA(header);
  int length = (int)IFLA_PAYLOAD(header), nested;
  const char *name = NULL;
  const unsigned char *mac = NULL;
  bool is_tap = false;
  for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
    unsigned short type = a->rta_type & NLA_TYPE_MASK;
    if (type == IFLA_IFNAME) name = RTA_DATA(a);
    if (type == IFLA_ADDRESS && RTA_PAYLOAD(a) == 6) mac = RTA_DATA(a);
    if (type != IFLA_LINKINFO) continue;
    nested = (int)RTA_PAYLOAD(a);
    for (const struct rtattr *b = RTA_DATA(a); RTA_OK(b, nested); b = RTA_NEXT(b, nested))
      is_tap |= b->rta_type == IFLA_INFO_KIND && strcmp(RTA_DATA(b), "tun") == 0;
  }
  if (is_tap && name != NULL && mac != NULL && tap_name_valid(name) && is_of_guests(mac)) found(name + strlen(HOST_NAME_PREFIX));
}

// Looks at each link as it is.
static void look_at_all(void (*found)(const char *id)) {
  struct if_nameindex *names = if_nameindex();
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (struct if_nameindex *n = names; fd >= 0 && n != NULL && n->if_index != 0; n++) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, n->if_name, IFNAMSIZ - 1);
    if (tap_name_valid(n->if_name) && ioctl(fd, SIOCGIFHWADDR, &request) == 0 && is_of_guests((unsigned char *)request.ifr_hwaddr.sa_data))
      found(n->if_name + strlen(HOST_NAME_PREFIX));
  }
  if (fd >= 0) close(fd);
  if (names != NULL) if_freenameindex(names);
}

void watch_stolen(void (*found)(const char *id)) {
  _Alignas(struct nlmsghdr) char messages[32768];
  for (;;) {
    ssize_t n = links < 0 ? 0 : recv(links, messages, sizeof messages, MSG_DONTWAIT);
    if (n < 0 && errno == ENOBUFS) missed = true;
    else if (n <= 0) break;
    size_t length = n < 0 ? 0 : (size_t)n;
    for (const struct nlmsghdr *header = (const struct nlmsghdr *)messages; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length))
      if (header->nlmsg_type == RTM_NEWLINK) look_at(header, found);
  }
  if (missed && links >= 0) {
    missed = false;
    look_at_all(found);
  }
}
