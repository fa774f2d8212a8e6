#include "routes.h"

#include "ruleset.h"
#include "common/constants.h"
#include "common/netlink.h"
#include "common/errors.h"

#include <arpa/inet.h>
#include <errno.h>
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

static void consider(void *context, const struct nlmsghdr *header) {
  struct search *search = context;
  struct rtmsg *message = NLMSG_DATA(header);
  if (header->nlmsg_type != RTM_NEWROUTE) return;
  if (message->rtm_family != AF_INET || message->rtm_table != RT_TABLE_MAIN || message->rtm_type != RTN_UNICAST) return;
  if ((message->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) return;
  struct route route = parse_route(message, RTM_PAYLOAD(header));
  char name[IFNAMSIZ] = "";
  if (route.link == 0 || if_indextoname((unsigned)route.link, name) == NULL) return;
  if (message->rtm_dst_len == 0 && route.metric < search->lowest_metric) {
    search->lowest_metric = route.metric;
    memcpy(search->routes->uplink, name, sizeof name);
  }
  // A wider network, such as 10.0.0.0/8, may exist besides: the longer prefix has precedence.
  if (message->rtm_dst_len >= GUEST_PREFIX_LENGTH && route.destination >> 16 == GUEST_NETWORK >> 16 && strcmp(name, HOST_BRIDGE) != 0)
    memcpy(search->routes->conflict, name, sizeof name);
}

int routes_read(struct routes *routes) {
  struct search search = {.routes = routes, .lowest_metric = UINT32_MAX};
  struct netlink_request request;
  struct rtmsg *question = netlink_begin(&request, RTM_GETROUTE, 0, sizeof *question);
  question->rtm_family = AF_INET;
  memset(routes, 0, sizeof *routes);
  int fd = netlink_open(NETLINK_ROUTE);
  if (fd < 0) return -1;
  int result = netlink_list(fd, &request, consider, &search);
  KEEPING_ERRNO(close(fd));
  return result;
}
