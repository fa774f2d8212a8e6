#include "routes.h"
#include "forwarder.h"
#include "common/netlink.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct answer {
  unsigned char type;
  unsigned device;
};

static void read_answer(const struct nlmsghdr *header, struct answer *out) {
  const struct rtmsg *route = NLMSG_DATA(header);
  int length = (int)RTM_PAYLOAD(header);
  out->type = route->rtm_type;
  for (const struct rtattr *a = RTM_RTA(route); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
    if (a->rta_type == RTA_OIF) memcpy(&out->device, RTA_DATA(a), sizeof out->device);
  }
}

enum asked { ASKED_KNOWN, ASKED_NO_ROUTE, ASKED_NOTHING };

// `flags`: RTM_F_FIB_MATCH for the entry of the table instead of the resulting route.
static enum asked ask(struct in_addr destination, unsigned flags, struct answer *out) {
  static int fd = -1;
  struct netlink_request request;
  _Alignas(struct nlmsghdr) char answer[4096];
  if (fd < 0) fd = netlink_open(NETLINK_ROUTE);
  struct rtmsg *question = netlink_begin(&request, RTM_GETROUTE, 0, sizeof *question);
  question->rtm_family = AF_INET;
  question->rtm_dst_len = 32;
  question->rtm_flags = flags;
  netlink_add(&request, RTA_DST, &destination, sizeof destination);
  *out = (struct answer){.type = RTN_UNSPEC};
  const struct nlmsghdr *message = netlink_ask(fd, &request, answer, sizeof answer);
  if (message != NULL && message->nlmsg_type == NLMSG_ERROR) return ASKED_NO_ROUTE;
  if (message == NULL || message->nlmsg_type != RTM_NEWROUTE) return ASKED_NOTHING;
  read_answer(message, out);
  return ASKED_KNOWN;
}

static bool is_loopback(unsigned device) {
  struct ifreq request = {.ifr_ifindex = (int)device};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool known = fd >= 0 && ioctl(fd, SIOCGIFNAME, &request) == 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  if (fd >= 0) close(fd);
  return !known || (request.ifr_flags & IFF_LOOPBACK) != 0;
}

bool route_is_private(struct in_addr destination) {
  struct answer answer;
  enum asked asked = ask(destination, 0, &answer);
  // Without a route, connect(2) itself fails.
  if (asked == ASKED_NO_ROUTE) return false;
  if (asked == ASKED_NOTHING || answer.type == RTN_BROADCAST || answer.type == RTN_MULTICAST || answer.type == RTN_ANYCAST) return true;
  // The route to any address of the host uses the loopback device; its table entry names the device that has the address.
  if (answer.type == RTN_LOCAL && ask(destination, RTM_F_FIB_MATCH, &answer) != ASKED_KNOWN) return true;
  return is_loopback(answer.device);
}

// --- changes ---

static void (*on_change)(void);

// It does not matter what changed.
static void ignore(void *context, const struct nlmsghdr *message) { (void)context, (void)message; }

static void on_message(struct source *source, uint32_t events) {
  (void)events;
  netlink_hear(source->fd, ignore, NULL);
  on_change();
}

static struct source changes = {.fd = -1, .handle = on_message};

int routes_watch(void (*changed)(void)) {
  on_change = changed;
  changes.fd = netlink_listen(NETLINK_ROUTE, RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_IFADDR);
  if (changes.fd < 0) return -1;
  return loop_add(&changes, EPOLLIN);
}
