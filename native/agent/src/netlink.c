#include "netlink.h"
#include "common/constants.h"
#include "common/netlink.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void add_u32(struct netlink_request *m, unsigned short type, uint32_t value) { netlink_add(m, type, &value, sizeof value); }

/** Returns 0 or an errno. */
static int apply(int fd, struct netlink_request *m) { return netlink_apply(fd, m) == 0 ? 0 : errno; }

static int set_link(int fd, int index, bool up, int mtu) {
  struct netlink_request m;
  struct ifinfomsg *link = netlink_begin(&m, RTM_NEWLINK, 0, sizeof *link);
  link->ifi_index = index;
  link->ifi_change = IFF_UP;
  link->ifi_flags = up ? IFF_UP : 0;
  if (mtu > 0) add_u32(&m, IFLA_MTU, (uint32_t)mtu);
  return apply(fd, &m);
}

static int set_mac(int fd, int index, const uint8_t mac[6]) {
  struct netlink_request m;
  struct ifinfomsg *link = netlink_begin(&m, RTM_NEWLINK, 0, sizeof *link);
  link->ifi_index = index;
  netlink_add(&m, IFLA_ADDRESS, mac, 6);
  return apply(fd, &m);
}

static bool has_other_mac(const struct link_plan *plan) {
  struct ifreq request;
  int fd = plan->has_mac ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
  if (fd < 0) return plan->has_mac;
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", plan->name);
  bool is_same = ioctl(fd, SIOCGIFHWADDR, &request) == 0 && memcmp(request.ifr_hwaddr.sa_data, plan->mac, 6) == 0;
  close(fd);
  return !is_same;
}

static int change_address(int fd, int type, int flags, int index, uint32_t address, int prefix_length) {
  struct netlink_request m;
  struct ifaddrmsg *body = netlink_begin(&m, type, flags, sizeof *body);
  body->ifa_family = AF_INET;
  body->ifa_index = (uint32_t)index;
  body->ifa_prefixlen = (uint8_t)prefix_length;
  add_u32(&m, IFA_LOCAL, address);
  add_u32(&m, IFA_ADDRESS, address);
  if (type == RTM_NEWADDR && prefix_length < 31) add_u32(&m, IFA_BROADCAST, address | htonl(0xffffffffu >> prefix_length));
  return apply(fd, &m);
}

#define MAX_FOREIGN 32

struct addresses {
  const struct link_plan *plan;
  int index;
  struct {
    uint32_t address;
    int prefix_length;
  } foreign[MAX_FOREIGN];
  int count;
};

static void note_address(void *context, const struct nlmsghdr *h) {
  struct addresses *found = context;
  const struct link_plan *plan = found->plan;
  struct ifaddrmsg *body = NLMSG_DATA(h);
  if (h->nlmsg_type != RTM_NEWADDR || (int)body->ifa_index != found->index) return;
  int length = (int)IFA_PAYLOAD(h);
  for (struct rtattr *a = IFA_RTA(body); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
    uint32_t address;
    if (a->rta_type != IFA_LOCAL) continue;
    memcpy(&address, RTA_DATA(a), sizeof address);
    if (address == plan->address && body->ifa_prefixlen == plan->prefix_length) continue;
    if (found->count == MAX_FOREIGN) continue;
    found->foreign[found->count].address = address;
    found->foreign[found->count++].prefix_length = body->ifa_prefixlen;
  }
}

static int list_foreign(int fd, struct addresses *found) {
  struct netlink_request m;
  struct ifaddrmsg *body = netlink_begin(&m, RTM_GETADDR, 0, sizeof *body);
  body->ifa_family = AF_INET;
  return netlink_list(fd, &m, note_address, found) == 0 ? 0 : errno;
}

static struct rtmsg *begin_route(struct netlink_request *m, unsigned char table, unsigned char type) {
  struct rtmsg *route = netlink_begin(m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *route);
  route->rtm_family = AF_INET;
  route->rtm_table = table;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = type;
  return route;
}

static int set_default_route(int fd, int index, uint32_t gateway) {
  struct netlink_request m;
  begin_route(&m, RT_TABLE_MAIN, RTN_UNICAST);
  add_u32(&m, RTA_GATEWAY, gateway);
  add_u32(&m, RTA_OIF, (uint32_t)index);
  return apply(fd, &m);
}

/**
 * If the host's resolver knows banger's names, it answers with the host's loopback addresses (127.213.0.0/16). In the guest these must lead
 * nowhere: the name of another VM must not lead to the guest's own loopback.
 */
static int close_host_loopback(int fd) {
  struct netlink_request m;
  // 127.0.0.0/8 is in this table, and the longer prefix has precedence.
  struct rtmsg *route = begin_route(&m, RT_TABLE_LOCAL, RTN_UNREACHABLE);
  route->rtm_dst_len = GUEST_PREFIX_LENGTH;
  add_u32(&m, RTA_DST, htonl(LOOPBACK_NETWORK));
  return apply(fd, &m);
}

static int configure(int fd, const struct link_plan *plan) {
  int index = (int)if_nametoindex(plan->name), error;
  struct addresses found = {.plan = plan, .index = index};
  if (index == 0) return ENODEV;
  int loopback = (int)if_nametoindex("lo");
  if (loopback) set_link(fd, loopback, true, 0);
  if ((error = close_host_loopback(fd))) return error;
  if ((error = list_foreign(fd, &found))) return error;
  // After a restore the old address is still set; taking the link down drops its routes and neighbours, too.
  bool is_other = has_other_mac(plan);
  if ((found.count > 0 || is_other) && (error = set_link(fd, index, false, 0))) return error;
  if (is_other && (error = set_mac(fd, index, plan->mac))) return error;
  for (int i = 0; i < found.count; i++) {
    error = change_address(fd, RTM_DELADDR, 0, index, found.foreign[i].address, found.foreign[i].prefix_length);
    // Secondary addresses disappear with their primary one.
    if (error && error != EADDRNOTAVAIL) return error;
  }
  if ((error = set_link(fd, index, true, plan->mtu))) return error;
  error = change_address(fd, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, plan->address, plan->prefix_length);
  if (error) return error;
  return plan->gateway ? set_default_route(fd, index, plan->gateway) : 0;
}

int netlink_configure(const struct link_plan *plan) {
  int fd = netlink_open(NETLINK_ROUTE);
  if (fd < 0) return errno;
  struct timeval limit = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  int error = configure(fd, plan);
  close(fd);
  return error;
}
