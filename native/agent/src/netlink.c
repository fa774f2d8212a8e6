#include "netlink.h"
#include "common/constants.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct message {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
    struct rtmsg route;
  } body;
  char attributes[128];
};

static void begin(struct message *m, int type, int flags, size_t body_size) {
  memset(m, 0, sizeof *m);
  m->header.nlmsg_type = (uint16_t)type;
  m->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  m->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_size);
}

static void add_u32(struct message *m, int type, uint32_t value) {
  struct rtattr *a = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->header.nlmsg_len));
  a->rta_type = (uint16_t)type;
  a->rta_len = (uint16_t)RTA_LENGTH(sizeof value);
  memcpy(RTA_DATA(a), &value, sizeof value);
  m->header.nlmsg_len = NLMSG_ALIGN(m->header.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
}

/** Sends and waits for the acknowledgement; 0 or an errno. */
static int transact(int fd, struct message *m) {
  char reply[4096];
  m->header.nlmsg_flags |= NLM_F_ACK;
  if (send(fd, m, m->header.nlmsg_len, 0) < 0) return errno;
  for (;;) {
    ssize_t n = recv(fd, reply, sizeof reply, 0);
    if (n < 0) return errno;
    struct nlmsghdr *h = (struct nlmsghdr *)reply;
    if (!NLMSG_OK(h, (size_t)n) || h->nlmsg_type != NLMSG_ERROR) continue;
    return -((struct nlmsgerr *)NLMSG_DATA(h))->error;
  }
}

static int set_link(int fd, int index, bool up, int mtu) {
  struct message m;
  begin(&m, RTM_NEWLINK, 0, sizeof m.body.link);
  m.body.link.ifi_index = index;
  m.body.link.ifi_change = IFF_UP;
  m.body.link.ifi_flags = up ? IFF_UP : 0;
  if (mtu > 0) add_u32(&m, IFLA_MTU, (uint32_t)mtu);
  return transact(fd, &m);
}

static int change_address(int fd, int type, int flags, int index, uint32_t address, int prefix_length) {
  struct message m;
  begin(&m, type, flags, sizeof m.body.address);
  m.body.address.ifa_family = AF_INET;
  m.body.address.ifa_index = (uint32_t)index;
  m.body.address.ifa_prefixlen = (uint8_t)prefix_length;
  add_u32(&m, IFA_LOCAL, address);
  add_u32(&m, IFA_ADDRESS, address);
  if (type == RTM_NEWADDR && prefix_length < 31) add_u32(&m, IFA_BROADCAST, address | htonl(0xffffffffu >> prefix_length));
  return transact(fd, &m);
}

#define MAX_FOREIGN 32

struct addresses {
  struct {
    uint32_t address;
    int prefix_length;
  } foreign[MAX_FOREIGN];
  int count;
};

static void note_address(struct nlmsghdr *h, const struct link_plan *plan, int index, struct addresses *found) {
  struct ifaddrmsg *body = NLMSG_DATA(h);
  if (h->nlmsg_type != RTM_NEWADDR || (int)body->ifa_index != index) return;
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

static int list_foreign(int fd, const struct link_plan *plan, int index, struct addresses *found) {
  struct message m;
  static char reply[16384];
  found->count = 0;
  begin(&m, RTM_GETADDR, NLM_F_DUMP, sizeof m.body.address);
  m.body.address.ifa_family = AF_INET;
  if (send(fd, &m, m.header.nlmsg_len, 0) < 0) return errno;
  for (;;) {
    ssize_t n = recv(fd, reply, sizeof reply, 0);
    if (n < 0) return errno;
    size_t left = (size_t)n;
    for (struct nlmsghdr *h = (struct nlmsghdr *)reply; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_type == NLMSG_DONE) return 0;
      if (h->nlmsg_type == NLMSG_ERROR) return EIO;
      note_address(h, plan, index, found);
    }
  }
}

static int set_default_route(int fd, int index, uint32_t gateway) {
  struct message m;
  begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof m.body.route);
  m.body.route.rtm_family = AF_INET;
  m.body.route.rtm_table = RT_TABLE_MAIN;
  m.body.route.rtm_protocol = RTPROT_STATIC;
  m.body.route.rtm_scope = RT_SCOPE_UNIVERSE;
  m.body.route.rtm_type = RTN_UNICAST;
  add_u32(&m, RTA_GATEWAY, gateway);
  add_u32(&m, RTA_OIF, (uint32_t)index);
  return transact(fd, &m);
}

/**
 * A resolver of the host that knows banger's names answers with addresses of the host's loopback (127.213.0.0/16). Here they are
 * nobody's: no name of another machine leads to what listens on this one's own loopback.
 */
static int close_host_loopback(int fd) {
  struct message m;
  begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof m.body.route);
  m.body.route.rtm_family = AF_INET;
  m.body.route.rtm_dst_len = GUEST_PREFIX_LENGTH;
  // Where 127.0.0.0/8 stands, and the longer one wins.
  m.body.route.rtm_table = RT_TABLE_LOCAL;
  m.body.route.rtm_protocol = RTPROT_STATIC;
  m.body.route.rtm_scope = RT_SCOPE_UNIVERSE;
  m.body.route.rtm_type = RTN_UNREACHABLE;
  add_u32(&m, RTA_DST, htonl(LOOPBACK_NETWORK));
  return transact(fd, &m);
}

static int configure(int fd, const struct link_plan *plan) {
  struct addresses found;
  int index = (int)if_nametoindex(plan->name), error;
  if (index == 0) return ENODEV;
  int loopback = (int)if_nametoindex("lo");
  if (loopback) set_link(fd, loopback, true, 0);
  if ((error = close_host_loopback(fd))) return error;
  if ((error = list_foreign(fd, plan, index, &found))) return error;
  // After a restore the old address stands there; going down drops its routes and neighbours too.
  if (found.count > 0 && (error = set_link(fd, index, false, 0))) return error;
  for (int i = 0; i < found.count; i++) {
    error = change_address(fd, RTM_DELADDR, 0, index, found.foreign[i].address, found.foreign[i].prefix_length);
    // Secondary addresses leave with their primary one.
    if (error && error != EADDRNOTAVAIL) return error;
  }
  if ((error = set_link(fd, index, true, plan->mtu))) return error;
  error = change_address(fd, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, plan->address, plan->prefix_length);
  if (error) return error;
  return plan->gateway ? set_default_route(fd, index, plan->gateway) : 0;
}

int netlink_configure(const struct link_plan *plan) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return errno;
  struct timeval limit = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  int error = configure(fd, plan);
  close(fd);
  return error;
}
