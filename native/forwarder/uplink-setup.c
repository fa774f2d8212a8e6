// The namespace's side of the uplink: the TUN device, the routes and the transparent listener.
#include "forwarder.h"
#include "common/links.h"
#include "common/netlink.h"
#include "packet.h"
#include "common/constants.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// A table that delivers everything locally, for packets with OUTBOUND_MARK.
#define HERE_TABLE 100
#define LISTEN_BACKLOG 1024

static int add_route(unsigned char table, unsigned char type, unsigned char scope, const char *device) {
  struct netlink_request request;
  struct rtmsg *route = netlink_begin(&request, RTM_NEWROUTE, NLM_F_CREATE, sizeof *route);
  *route = (struct rtmsg){.rtm_family = AF_INET, .rtm_table = table, .rtm_protocol = RTPROT_STATIC, .rtm_scope = scope, .rtm_type = type};
  uint32_t index = if_nametoindex(device);
  netlink_add(&request, RTA_OIF, &index, sizeof index);
  return netlink_apply(-1, &request);
}

static int add_mark_rule(void) {
  struct netlink_request request;
  uint32_t mark = OUTBOUND_MARK;
  struct fib_rule_hdr *rule = netlink_begin(&request, RTM_NEWRULE, NLM_F_CREATE, sizeof *rule);
  *rule = (struct fib_rule_hdr){.family = AF_INET, .table = HERE_TABLE, .action = FR_ACT_TO_TBL};
  netlink_add(&request, FRA_FWMARK, &mark, sizeof mark);
  return netlink_apply(-1, &request);
}

int uplink_setup(void) {
  int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device < 0) return -1;
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, PRIVATE_UPLINK, IFNAMSIZ - 1);
  // The forwarder sends a guest's SYN back from here with the guest's address, which a strict reverse-path filter would treat as forged.
  // Datagrams pass whole, however they were fragmented.
  if (ioctl(device, TUNSETIFF, &request) == 0 && write_setting("/proc/sys/net/ipv4/conf/all/rp_filter", "0") == 0 &&
      write_setting("/proc/sys/net/ipv4/conf/" PRIVATE_UPLINK "/rp_filter", "0") == 0 &&
      link_set_mtu(PRIVATE_UPLINK, PACKET_BYTES) == 0 && link_bring_up(PRIVATE_UPLINK) == 0 &&
      add_route(RT_TABLE_MAIN, RTN_UNICAST, RT_SCOPE_LINK, PRIVATE_UPLINK) == 0 && add_route(HERE_TABLE, RTN_LOCAL, RT_SCOPE_HOST, "lo") == 0 &&
      add_mark_rule() == 0)
    return device;
  KEEPING_ERRNO(close(device));
  return -1;
}

int outbound_listener(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) return -1;
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(OUTBOUND_PORT)};
  if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) == 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0 &&
      listen(fd, LISTEN_BACKLOG) == 0)
    return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}
