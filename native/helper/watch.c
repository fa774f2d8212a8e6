#include "watch.h"

#include "nft.h"

#include "common/links.h"
#include "common/constants.h"
#include "common/netlink.h"
#include "common/errors.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int rules = -1, routes = -1, links = -1;
// Changes from before the watch are not reported.
static bool missed;

int watch_start(void) {
  if (rules < 0) rules = nft_watch();
  if (rules >= 0 && routes < 0) routes = netlink_listen(NETLINK_ROUTE, RTMGRP_IPV4_ROUTE);
  if (routes >= 0 && links < 0) {
    links = netlink_listen(NETLINK_ROUTE, RTMGRP_LINK);
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

static void note_default_route(void *changed, const struct nlmsghdr *message) {
  bool is_route = message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE;
  if (is_route && ((const struct rtmsg *)NLMSG_DATA(message))->rtm_dst_len == 0) *(bool *)changed = true;
}

bool watch_changed(void) {
  if (rules < 0 || routes < 0) return false;
  bool changed = nft_changed_by_others(rules);
  // It does not matter which route changed: all of them are read again.
  return netlink_hear(routes, note_default_route, &changed) || changed;
}

// --- addresses of TAPs ---

static bool is_of_guests(const unsigned char mac[6]) {
  static const unsigned char prefix[] = {MAC_PREFIX_BYTES};
  return memcmp(mac, prefix, sizeof prefix) == 0;
}

struct finder {
  void (*found)(const char *id);
};

// Only messages about TAPs: only root makes other kinds of links.
static void look_at(void *context, const struct nlmsghdr *header) {
  const struct finder *finder = context;
  const struct ifinfomsg *link = NLMSG_DATA(header);
  int length = (int)IFLA_PAYLOAD(header), nested;
  const char *name = NULL;
  const unsigned char *mac = NULL;
  bool is_tap = false;
  if (header->nlmsg_type != RTM_NEWLINK) return;
  for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
    unsigned short type = a->rta_type & NLA_TYPE_MASK;
    if (type == IFLA_IFNAME) name = RTA_DATA(a);
    if (type == IFLA_ADDRESS && RTA_PAYLOAD(a) == 6) mac = RTA_DATA(a);
    if (type != IFLA_LINKINFO) continue;
    nested = (int)RTA_PAYLOAD(a);
    for (const struct rtattr *b = RTA_DATA(a); RTA_OK(b, nested); b = RTA_NEXT(b, nested))
      is_tap |= b->rta_type == IFLA_INFO_KIND && strcmp(RTA_DATA(b), "tun") == 0;
  }
  if (is_tap && name != NULL && mac != NULL && tap_name_valid(name) && is_of_guests(mac)) finder->found(name + strlen(HOST_NAME_PREFIX));
}

// Checks the present state of each link.
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
  struct finder finder = {.found = found};
  if (links >= 0 && netlink_hear(links, look_at, &finder)) missed = true;
  if (missed && links >= 0) {
    missed = false;
    look_at_all(found);
  }
}
