#include "routes.h"

#include "ruleset.h"
#include "common/constants.h"
#include "common/errors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct search {
  struct routes *routes;
  uint32_t lowest_metric;
};

struct route {
  uint32_t destination;
  uint32_t metric;
  int link;
};

static struct route parse_route(struct rtmsg *message, size_t length) {
  struct route route = {0};
  for (struct rtattr *a = RTM_RTA(message); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
    if (a->rta_type == RTA_DST) memcpy(&route.destination, RTA_DATA(a), sizeof route.destination);
    else if (a->rta_type == RTA_PRIORITY) memcpy(&route.metric, RTA_DATA(a), sizeof route.metric);
    else if (a->rta_type == RTA_OIF) memcpy(&route.link, RTA_DATA(a), sizeof route.link);
    // Of several next hops the first counts.
    else if (a->rta_type == RTA_MULTIPATH && RTA_PAYLOAD(a) >= sizeof(struct rtnexthop))
      route.link = ((struct rtnexthop *)RTA_DATA(a))->rtnh_ifindex;
  }
  route.destination = ntohl(route.destination);
  return route;
}

static void consider(struct search *search, struct nlmsghdr *header) {
  struct rtmsg *message = NLMSG_DATA(header);
  if (message->rtm_family != AF_INET || message->rtm_table != RT_TABLE_MAIN || message->rtm_type != RTN_UNICAST) return;
  if ((message->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) return;
  struct route route = parse_route(message, RTM_PAYLOAD(header));
  char name[IFNAMSIZ] = "";
  if (route.link == 0 || if_indextoname((unsigned)route.link, name) == NULL) return;
  if (message->rtm_dst_len == 0 && route.metric < search->lowest_metric) {
    search->lowest_metric = route.metric;
    memcpy(search->routes->uplink, name, sizeof name);
  }
  // A wider network, 10.0.0.0/8 say, may stand beside: the longer prefix wins.
  if (message->rtm_dst_len >= GUEST_PREFIX_LENGTH && route.destination >> 16 == GUEST_NETWORK >> 16 && strcmp(name, HOST_BRIDGE) != 0)
    memcpy(search->routes->conflict, name, sizeof name);
}

static int read_answer(int fd, struct search *search) {
  static _Alignas(struct nlmsghdr) char buffer[65536];
  for (;;) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0) return -1;
    size_t left = (size_t)n;
    for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return 0;
      if (header->nlmsg_type == NLMSG_ERROR) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(header))->error;
        return -1;
      }
      if (header->nlmsg_type == RTM_NEWROUTE) consider(search, header);
    }
  }
}

int routes_read(struct routes *routes) {
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .route = {.rtm_family = AF_INET},
  };
  struct search search = {.routes = routes, .lowest_metric = UINT32_MAX};
  memset(routes, 0, sizeof *routes);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -1;
  int result = send(fd, &request, sizeof request, 0) < 0 ? -1 : read_answer(fd, &search);
  KEEPING_ERRNO(close(fd));
  return result;
}
