#include "routes.h"
#include "forwarder.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct question {
  struct nlmsghdr header;
  struct rtmsg route;
  struct rtattr attribute;
  struct in_addr destination;
};

struct answer {
  unsigned char type;
  unsigned device;
};

static int table_socket(void) {
  static int fd = -1;
  if (fd < 0) fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  return fd;
}

static void read_answer(const struct nlmsghdr *header, struct answer *out) {
  const struct rtmsg *route = NLMSG_DATA(header);
  int length = (int)RTM_PAYLOAD(header);
  out->type = route->rtm_type;
  for (const struct rtattr *a = RTM_RTA(route); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
    if (a->rta_type == RTA_OIF) memcpy(&out->device, RTA_DATA(a), sizeof out->device);
  }
}

enum asked { ASKED_KNOWN, ASKED_NO_ROUTE, ASKED_NOTHING };

// `flags`: RTM_F_FIB_MATCH for the entry of the table rather than the route that is made from it.
static enum asked ask(struct in_addr destination, unsigned flags, struct answer *out) {
  static uint32_t number;
  _Alignas(struct nlmsghdr) char answer[4096];
  struct question question = {
      .header = {.nlmsg_len = sizeof question, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = ++number},
      .route = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_flags = flags},
      .attribute = {.rta_len = RTA_LENGTH(sizeof destination), .rta_type = RTA_DST},
      .destination = destination,
  };
  int fd = table_socket();
  *out = (struct answer){.type = RTN_UNSPEC};
  if (fd < 0 || send(fd, &question, sizeof question, 0) != (ssize_t)sizeof question) return ASKED_NOTHING;
  for (;;) {
    // The kernel answers within send(2).
    ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (n < (ssize_t)sizeof(struct nlmsghdr)) return ASKED_NOTHING;
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
    if (header->nlmsg_seq != number) continue;
    if (header->nlmsg_type == NLMSG_ERROR) return ASKED_NO_ROUTE;
    if (header->nlmsg_type != RTM_NEWROUTE || !NLMSG_OK(header, (size_t)n)) return ASKED_NOTHING;
    read_answer(header, out);
    return ASKED_KNOWN;
  }
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
  // Without a route connect(2) says so itself.
  if (asked == ASKED_NO_ROUTE) return false;
  if (asked == ASKED_NOTHING || answer.type == RTN_BROADCAST || answer.type == RTN_MULTICAST || answer.type == RTN_ANYCAST) return true;
  // The route to any address of the host leads over the loopback device; its entry names the device that has the address.
  if (answer.type == RTN_LOCAL && ask(destination, RTM_F_FIB_MATCH, &answer) != ASKED_KNOWN) return true;
  return is_loopback(answer.device);
}

// --- changes ---

static void (*on_change)(void);

static void on_message(struct source *source, uint32_t events) {
  (void)events;
  char message[8192];
  // What changed does not matter. ENOBUFS, too, tells that something did.
  while (recv(source->fd, message, sizeof message, MSG_DONTWAIT) >= 0) continue;
  on_change();
}

static struct source changes = {.fd = -1, .handle = on_message};

int routes_watch(void (*changed)(void)) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_IFADDR};
  on_change = changed;
  changes.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (changes.fd < 0 || bind(changes.fd, (struct sockaddr *)&address, sizeof address) != 0) return -1;
  return loop_add(&changes, EPOLLIN);
}
